package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// finding is one line of caddy oauth doctor --json.
type finding struct{ Issuer, Check, Result, Text, Do string }

// doctor runs caddy oauth doctor and reads what it says.
func (g *gateway) doctor(args ...string) (said []finding, code int) {
	g.t.Helper()
	stdout, stderr, code := g.command(append([]string{"oauth", "doctor", "--json"}, args...)...)
	var report struct {
		Result   string
		Findings []finding
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		g.t.Fatalf("doctor %v ended with %d and printed no JSON: %v\n%s\n%s", args, code, err, stdout, tail(stderr, 5))
	}
	if failed := report.Result == "fail"; failed != (code == 1) || code > 1 {
		g.t.Errorf("doctor says %s and ends with %d", report.Result, code)
	}
	return report.Findings, code
}

func wantFinding(t *testing.T, said []finding, check, result, words string) {
	t.Helper()
	for _, one := range said {
		if one.Check == check && one.Result == result && strings.Contains(one.Text+" "+one.Do, words) {
			return
		}
	}
	t.Errorf("no %s %s with %q in %+v", result, check, words, said)
}

// issuerStatus is one issuer of caddy oauth status --json.
type issuerStatus struct {
	Issuer    string
	Keys      []struct{ KID, KTY string }
	LastError string    `json:"last_error"`
	NextFetch time.Time `json:"next_fetch"`
	Restored  bool
	Endpoints struct{ Token string }
	Cache     struct{ Entries, Most int }
}

func (g *gateway) status() (issuers []issuerStatus, code int) {
	g.t.Helper()
	stdout, stderr, code := g.command("oauth", "status", "--json", "--address", g.admin)
	var state struct{ Issuers []issuerStatus }
	if err := json.Unmarshal([]byte(stdout), &state); err != nil {
		g.t.Fatalf("status ended with %d and printed no JSON: %v\n%s\n%s", code, err, stdout, tail(stderr, 5))
	}
	return state.Issuers, code
}

func TestTheDoctorFindsARealIssuerWellAndTellsWhenItIsNot(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "RS256", "ES256")
	g := newGateway(t)
	secret := "secret-of-the-gateway"
	file := g.home + "/client-secret"
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	up := startUpstream(t)
	g.write(g.site(g.port, fmt.Sprintf(`oauth {
		issuer %s {
			audience %s
			client gateway {file.%s}
		}
		token_endpoint /token
	}`, issuer.url, audience, file), up))
	said, code := g.doctor("--config", g.config, "--adapter", "caddyfile")
	if code != 0 {
		t.Errorf("it ends with %d: %+v", code, said)
	}
	wantFinding(t, said, "metadata", "ok", issuer.url+"/.well-known/oauth-authorization-server")
	wantFinding(t, said, "keys", "ok", "2 usable keys")
	wantFinding(t, said, "algorithms", "ok", "")
	wantFinding(t, said, "clock", "ok", "")
	wantFinding(t, said, "endpoints", "ok", issuer.url+"/token answers")
	wantFinding(t, said, "client", "ok", "client_secret_basic")
	if strings.Contains(fmt.Sprint(said), secret) {
		t.Error("a secret is printed")
	}

	g.write(g.site(g.port, fmt.Sprintf("oauth {\n\t\tissuer %s {\n\t\t\taudience %s\n\t\t\talgorithms Ed25519\n\t\t}\n\t}", issuer.url, audience), up))
	said, code = g.doctor("--config", g.config, "--adapter", "caddyfile")
	wantFinding(t, said, "algorithms", "fail", "EdDSA")
	if code != 1 {
		t.Errorf("with no key for the algorithms it ends with %d", code)
	}
	said, _ = g.doctor("--issuer", issuer.url+"/")
	wantFinding(t, said, "metadata", "fail", "write the issuer exactly so: "+issuer.url)
	issuer.proc.signal(syscall.SIGTERM)
	said, _ = g.doctor("--issuer", issuer.url)
	wantFinding(t, said, "metadata", "fail", "see that the issuer runs")
	if _, _, code := g.command("oauth", "doctor"); code != 2 {
		t.Errorf("without arguments it ends with %d", code)
	}
}

func TestTheStatusOfARunningGatewayFollowsARealIssuer(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "ES256")
	g := startGateway(t, startUpstream(t), identity(issuer.url, audience))
	get(t, g.url("/"), issuer.token(t, "ES256", "orders:read")).wantPass(t, "service-ES256")
	issuers, code := g.status()
	if code != 0 || len(issuers) != 1 || issuers[0].Issuer != issuer.url {
		t.Fatalf("it ends with %d: %+v", code, issuers)
	}
	one := issuers[0]
	if len(one.Keys) != 1 || !strings.HasPrefix(one.Keys[0].KID, "ES256-") || one.Keys[0].KTY != "EC" || one.Endpoints.Token == "" ||
		one.Cache.Entries != 1 || one.LastError != "" || one.Restored || !one.NextFetch.After(time.Now()) {
		t.Errorf("%+v", one)
	}

	issuer.rotate(t, "ES256", true)
	fetch := func() int {
		resp, err := http.Post("http://"+g.admin+"/oauth/issuers/fetch?issuer="+url.QueryEscape(issuer.url), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		closeAll(resp.Body)
		return resp.StatusCode
	}
	if status := fetch(); status != http.StatusOK {
		t.Errorf("a fetch on request: %d", status)
	}
	if status := fetch(); status != http.StatusTooManyRequests {
		t.Errorf("another one at once: %d", status)
	}
	issuers, _ = g.status()
	if keys := issuers[0].Keys; len(keys) != 1 || keys[0].KID == one.Keys[0].KID {
		t.Errorf("after a rotation: %+v", keys)
	}
	table, _, _ := g.command("oauth", "status", "--address", g.admin)
	for _, words := range []string{issuer.url, issuers[0].Keys[0].KID, "EC P-256", "closed", "1 of 100000"} {
		if !strings.Contains(table, words) {
			t.Errorf("no %q in\n%s", words, table)
		}
	}

	issuer.proc.signal(syscall.SIGTERM)
	awaitFloorSince(t, time.Now())
	if status := fetch(); status != http.StatusBadGateway {
		t.Errorf("with the issuer down: %d", status)
	}
	issuers, code = g.status()
	if code != 1 || issuers[0].LastError == "" || len(issuers[0].Keys) != 1 {
		t.Errorf("with the issuer down it ends with %d: %+v", code, issuers)
	}
	g.stop()
	if _, _, code := g.command("oauth", "status", "--address", g.admin); code != 1 {
		t.Errorf("with the gateway down it ends with %d", code)
	}
}
