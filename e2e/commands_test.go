package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateMakesNoNetworkCallAndWorksBesideARunningServer(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := startGateway(t, up, identity(f.url, audience))
	get(t, g.url("/"), f.token(nil)).wantPass(t, "alice")
	idle := startFakeIssuer(t) // that no running gateway knows
	g.write(g.site(g.port, fmt.Sprintf("oauth %s %s", idle.url, audience), up))
	for range 3 {
		if _, stderr, code := g.with("validate"); code != 0 {
			t.Fatalf("caddy validate ended with %d:\n%s", code, stderr)
		}
	}
	if idle.requests() != 0 {
		t.Errorf("caddy validate made %d requests at the issuer", idle.requests())
	}
	get(t, g.url("/"), f.token(nil)).wantPass(t, "alice")
}

func TestValidateWorksWithTheIssuerDown(t *testing.T) {
	t.Parallel()
	f := newFakeIssuer(t) // never started
	g := newGateway(t)
	g.write(g.site(g.port, identity(f.url, audience), startUpstream(t)))
	if _, stderr, code := g.with("validate"); code != 0 {
		t.Errorf("caddy validate ended with %d:\n%s", code, stderr)
	}
}

func TestAMistakeInTheConfigNamesFileLineAndWord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ oauth, word string }{
		"unknown word":               {"oauth https://login.example.com api://orders {\n\t\taudiense x\n\t}", "audiense"},
		"unknown word of issuer":     {"oauth {\n\t\tissuer https://login.example.com {\n\t\t\taudiense x\n\t\t}\n\t}", "audiense"},
		"repeated scalar":            {"oauth https://login.example.com api://orders {\n\t\trealm a\n\t\trealm b\n\t}", "realm"},
		"missing argument":           {"oauth https://login.example.com api://orders {\n\t\trealm\n\t}", "realm"},
		"HMAC":                       {"oauth {\n\t\tissuer https://login.example.com {\n\t\t\taudience x\n\t\t\talgorithms HS256\n\t\t}\n\t}", "HS256"},
		"plain http far away":        {"oauth http://login.example.com api://orders", "insecure_http"},
		"no audience":                {"oauth https://login.example.com", "audience"},
		"skew beyond a minute":       {"oauth {\n\t\tissuer https://login.example.com {\n\t\t\taudience x\n\t\t\tskew 2m\n\t\t}\n\t}", "skew"},
		"no issuer":                  {"oauth", "issuer"},
		"a word that does not exist": {"oauth https://login.example.com api://orders {\n\t\tremember\n\t}", "remember"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(file, []byte("http://127.0.0.1:1 {\n\t"+test.oauth+"\n}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, stderr, code := runCommand(t, t.TempDir(), "", caddyBinary(t), "validate", "--config", file, "--adapter", "caddyfile")
			if code == 0 {
				t.Fatal("caddy validate is content")
			}
			if !strings.Contains(stderr, file+":") && !strings.Contains(stderr, "Caddyfile:") {
				t.Errorf("the error names no file and line:\n%s", tail(stderr, 3))
			}
			if !strings.Contains(tail(stderr, 3), test.word) {
				t.Errorf("the error does not name %s:\n%s", test.word, tail(stderr, 3))
			}
		})
	}
}

func TestAdaptGivesTheHandlerAndFmtLeavesAFormattedFileAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	text := "http://127.0.0.1:8080 {\n\toauth https://login.example.com api://orders {\n\t\trequire scope orders:read\n\t\tcopy_claims sub>X-User-Id\n\t}\n\treverse_proxy 127.0.0.1:9000\n}\n"
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	adapted, stderr, code := g.with("adapt")
	if code != 0 || !json.Valid([]byte(adapted)) {
		t.Fatalf("caddy adapt ended with %d:\n%s\n%s", code, adapted, stderr)
	}
	oauth, proxy := strings.Index(adapted, `"handler":"oauth"`), strings.Index(adapted, `"handler":"reverse_proxy"`)
	if oauth < 0 || proxy < oauth {
		t.Errorf("oauth does not stand before reverse_proxy without an order option:\n%s", adapted)
	}
	if strings.Contains(stderr, "not formatted") {
		t.Errorf("caddy adapt finds the file badly formatted:\n%s", stderr)
	}
	if diff, _, code := g.command("fmt", "--diff", g.config); code != 0 {
		t.Errorf("caddy fmt --diff would change a formatted file:\n%s", diff)
	}
	if err := os.WriteFile(g.config, []byte(strings.ReplaceAll(text, "\t\t", "   ")), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff, _, code := g.command("fmt", "--diff", g.config); code == 0 || !strings.Contains(diff, "+") {
		t.Errorf("caddy fmt --diff ended with %d on a badly formatted file:\n%s", code, diff)
	}
	if _, stderr, code := g.command("fmt", "--overwrite", g.config); code != 0 {
		t.Errorf("caddy fmt --overwrite ended with %d:\n%s", code, stderr)
	}
	if now, err := os.ReadFile(g.config); err != nil || string(now) != text {
		t.Errorf("caddy fmt made of it:\n%s", now)
	}
}

// A key that is of no use here is no news for who asks about a token.
func TestExplainSaysNothingButWhatItExplains(t *testing.T) {
	t.Parallel()
	g, key := newGateway(t), newSignKey(t)
	keys, err := json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "AAAA"}, map[string]any{"kty": "RSA", "use": "enc"}, key.jwk()}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(g.home, "keys.json")
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	const issuer = "https://login.example.com"
	out, said, code := runCommand(t, g.home, key.sign(goodClaims(issuer, nil), nil), g.binary, "oauth", "explain", "--issuer", issuer, "--audience", audience, "--jwks", file)
	if code != 0 || said != "" || strings.Contains(out, `"level"`) {
		t.Errorf("it ends with %d and says beside\n%s\n%s", code, said, out)
	}
}

// A pipeline goes by the status: a slip in a command's name must not look like
// a doctor who found nothing.
func TestAMistakeInTheCallOfACommandEndsItWithTwo(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, row := range []struct{ args, words string }{
		{"docter", `caddy oauth: unknown command "docter"`},
		{"docter --issuer https://login.example.com", "caddy oauth: unknown flag: --issuer"},
		{"doctor --isuer x", "caddy oauth doctor: unknown flag: --isuer"},
		{"status more", `caddy oauth status: unknown argument "more"`},
		{"explain --isuer x", "caddy oauth explain: unknown flag: --isuer"},
		{"explain eyJ", "caddy oauth explain: no arguments"},
		{"explain --jwks x", "caddy oauth explain: --jwks and --audience go with --issuer"},
		{"sidecar print", `caddy oauth sidecar: unknown argument "print"`},
		{"sidecar --prnt", "caddy oauth sidecar: unknown flag: --prnt"},
	} {
		stdout, stderr, code := g.command(append([]string{"oauth"}, strings.Fields(row.args)...)...)
		if code != 2 || !strings.HasPrefix(stderr, row.words) || stdout != "" {
			t.Errorf("caddy oauth %s ends with %d and says\n%s%s", row.args, code, tail(stdout, 3), tail(stderr, 5))
		}
	}
	if stdout, _, code := g.command("oauth"); code != 0 || !strings.Contains(stdout, "doctor") {
		t.Errorf("caddy oauth alone ends with %d and says\n%s", code, tail(stdout, 5))
	}
}
