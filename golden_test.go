package caddyoauth_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyoauth/caddyoauth"
	_ "github.com/caddyoauth/caddyoauth/devissuer"
	_ "github.com/caddyoauth/caddyoauth/redisstore"
)

var update = flag.Bool("update", false, "write the goldens anew from what the adapter says")

// goldenMark stands between a Caddyfile and what it becomes.
const goldenMark = "\n----------\n"

// adaptFile is what "caddy adapt" does.
func adaptFile(text string) (config []byte, warnings []caddyconfig.Warning, err error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
}

// Each file in testdata/goldens holds the body of a site, and the JSON of the
// gateway in it (….right.txt) or the error (….wrong.txt).
func TestEachWordOfTheGrammarAdaptsOrSaysWhatIsWrong(t *testing.T) {
	files, err := filepath.Glob("testdata/goldens/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			body, want, _ := strings.Cut(read(t, file), goldenMark)
			config, _, err := adaptFile(body)
			got := ""
			switch right := strings.HasSuffix(file, ".right.txt"); {
			case right && err != nil:
				t.Fatal(err)
			case right:
				var lines []string
				for _, handler := range gateways(config) {
					lines = append(lines, indent(t, handler))
				}
				got = strings.Join(lines, "\n")
				validate(t, config)
			case err == nil:
				t.Fatalf("this adapts, and should not: %s", config)
			default:
				got = err.Error()
			}
			compare(t, file, body, got, strings.TrimSpace(want))
		})
	}
}

// words is the grammar. A new word comes with its two goldens.
var words = []string{
	"oauth", "issuer", "provider", "audience", "algorithms", "token_type", "skew", "metadata", "jwks", "trust_pool",
	"client_id_as_audience", "access_token_issuer", "authorization_endpoint", "issuer-token_endpoint", "userinfo_endpoint",
	"end_session_endpoint", "bearer_token_file", "user",
	"insecure_http", "insecure_any_audience", "insecure_id_tokens", "require_scope", "require_claim", "require_acr",
	"require_max_age", "issuer-require", "resource", "resource_not_in_aud", "scopes_supported", "credentials",
	"copy_claims", "list_claims", "strip_token", "allow_anonymous", "insecure_upgrades", "streams", "close_code", "on_expiry", "on_renewal", "realm", "audit", "cache",
	"client", "auth", "key", "assertion_audience", "signed_secret", "session", "store", "idle", "max", "keys", "refresh_ahead",
	"min_refresh_interval", "token_timeout", "lease", "refresh_wait", "reuse_grace", "on_uncertain", "grants_per_client", "grants_per_subject", "token_endpoint",
	"grant_types", "public_clients", "default_grant", "revocation_endpoint", "device_authorization_endpoint",
	"login", "scope", "resource", "parameter", "response_mode", "insecure_no_pkce", "post_logout", "logout_parameter", "claims", "identity", "forward", "cookie",
	"forward_auth", "from", "method", "uri", "statuses",
	"redis", "sentinel", "sentinel_username", "sentinel_password", "username", "password", "database", "prefix", "tls",
	"replicas", "timeout", "connections",
	"introspect", "always", "rate", "insecure_any_token",
}

func TestEachWordHasAGoldenOfEachKind(t *testing.T) {
	for _, word := range words {
		for _, kind := range []string{"right", "wrong"} {
			if found, _ := filepath.Glob(fmt.Sprintf("testdata/goldens/%s*.%s.txt", word, kind)); len(found) == 0 {
				t.Errorf("no golden %s.%s.txt", word, kind)
			}
		}
	}
}

func TestTheExamplesAdaptAndAreFormatted(t *testing.T) {
	files, err := filepath.Glob("caddyfile/*.Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	t.Setenv("INTROSPECTION_SECRET", "a secret")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".Caddyfile")
		t.Run(name, func(t *testing.T) {
			text := read(t, file)
			if formatted := caddyfile.Format([]byte(text)); string(formatted) != text {
				t.Errorf("%s is not as \"caddy fmt\" writes it", file)
			}
			config, warnings, err := adaptFile(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range warnings {
				t.Error(warning)
			}
			validate(t, config)
			// The demo's JSON depends on the environment.
			if name != "demo" {
				golden := "testdata/goldens/caddyfile/" + name + ".json"
				compare(t, golden, "", indent(t, config), strings.TrimSpace(read(t, golden)))
			}
		})
	}
}

var fence = regexp.MustCompile("(?ms)^[ \t]*```caddyfile[^\n]*\n(.*?)^[ \t]*```[ \t]*$")

// Blocks that are wrong on purpose are fenced as text.
func TestTheCaddyfilesInTheDocumentationAdapt(t *testing.T) {
	files := []string{"README.md"}
	_ = filepath.WalkDir("docs", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return nil // no docs yet is no error
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		for _, m := range fence.FindAllSubmatchIndex(text, -1) {
			line := 1 + bytes.Count(text[:m[0]], []byte("\n"))
			t.Run(fmt.Sprintf("%s:%d", file, line), func(t *testing.T) {
				if err := adaptFragment(string(text[m[2]:m[3]])); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// adaptFragment takes a whole file, the body of a site, the body of oauth or
// that of an issuer.
func adaptFragment(text string) error {
	_, _, whole := adaptFile(text)
	if whole == nil {
		return nil
	}
	const issuer = "oauth {\nissuer https://login.example.com {\naudience api\n"
	for _, around := range [][2]string{
		{":80 {\n", "\n}\n"},
		{":80 {\noauth https://login.example.com api {\n", "\n}\n}\n"},
		{":80 {\n" + issuer + "}\n", "\n}\n}\n"},
		{":80 {\noauth {\n", "\n}\n}\n"},
		{":80 {\n" + issuer, "\n}\n}\n}\n"},
	} {
		if _, _, err := adaptFile(around[0] + text + around[1]); err == nil {
			return nil
		}
	}
	return whole
}

func TestAWrongJSONConfigGetsTheSameClearErrors(t *testing.T) {
	const issuer = `"issuer":[{"url":["https://login.example.com"],"audience":["api"]}]`
	for _, row := range []struct{ gateway, want string }{
		{`{}`, `no issuer: write "oauth <issuer_url> <audience>" or an issuer block`},
		{`{"issuer":[{"audience":["api"]}]}`, `an issuer without a URL`},
		{`{"issuer":[{"url":["https://login.example.com"]}]}`, `issuer https://login.example.com: no audience`},
		{`{"issuer":[{"url":["http://login.example.com"],"audience":["api"]}]}`, `plain http; use https, or insecure_http`},
		{`{"issuer":[{"url":["https://a.example","https://a.example"],"audience":["api"]}]}`, `https://a.example is there twice`},
		{`{"issuer":[{"url":["https://a.example"],"audience":["api"],"algorithms":["HS256"]}]}`, `HMAC, which is never taken`},
		{`{"issuer":[{"url":["https://a.example"],"audience":["api"],"skew":"2m"}]}`, `skew is 2m0s; it takes 0s to 60s`},
		{`{"issuer":[{"url":["https://a.example"],"audience":["api"],"token_type":"JWT"}]}`, `token_type is "JWT"; it takes at+jwt`},
		{`{"issuer":[{"url":["{env.NOT_SET_ANYWHERE}"],"audience":["api"]}]}`, `{env.NOT_SET_ANYWHERE}`},
		{`{` + issuer + `,"cache":-1}`, `cache is -1`},
		{`{` + issuer + `,"realm":"ä"}`, `only visible ASCII`},
		{`{` + issuer + `,"require":[{}]}`, `require: it takes scope`},
		{`{` + issuer + `,"require":[null]}`, `require: it takes scope`},
		{`{` + strings.Replace(issuer, `"audience"`, `"require":[null],"audience"`, 1) + `}`, `issuer https://login.example.com: require: it takes scope`},
		{`{"issuer":[null]}`, `an issuer without a URL`},
		{`{` + issuer + `,"require":[{"scope":["a b"]}]}`, `"a b" is not one scope word`},
		{`{` + issuer + `,"require":[{"scope":["a"],"claim":"b","value":["c"]}]}`, `write two`},
		{`{` + issuer + `,"require":[{"acr":["a"],"max_age":"5m"}]}`, `write two`},
		{`{` + issuer + `,"require":[{"max_age":"-5m"}]}`, `not a number of whole seconds above zero`},
		{`{` + issuer + `,"require":[{"acr":["{env.NOT_SET_ANYWHERE}"]}]}`, `{env.NOT_SET_ANYWHERE}`},
		{`{` + issuer + `,"resource":"https://api.example/x?y"}`, `no query or fragment`},
		{`{` + issuer + `,"resource":"http://api.example/x"}`, `plain http; use https, or insecure_http`},
		{`{"resource":"https://api.example","issuer":[{"url":["https://a.example"],"insecure_any_audience":true}]}`, `exclude each other`},
		{`{` + issuer + `,"copy_claims":["sub>Host"]}`, `the header Host has a use of its own`},
		{`{` + issuer + `,"credentials":[{"header":"A","query":"b"}]}`, `name one header, cookie or query parameter`},
		{`{` + issuer + `,"login":{}}`, `login: needs "client <id> <secret>"`},
		{`{` + strings.Replace(issuer, `"audience"`, `"client":{"id":"a","secret":"b"},"audience"`, 1) + `,"login":{"cookie":"x"}}`, `begins with __Host-`},
		{`{` + strings.Replace(issuer, `"audience"`, `"client":{"id":"a","secret":"b"},"audience"`, 1) + `,"login":{"parameter":{"state":"x"}}}`, `is set by the gateway`},
		{`{` + issuer + `,"forward_auth":{}}`, `no from`},
		{`{` + issuer + `,"forward_auth":{"from":["{env.NOT_SET_ANYWHERE}"]}}`, `{env.NOT_SET_ANYWHERE}`},
		{`{` + issuer + `,"forward_auth":{"from":["::/0"]}}`, `that is everybody`},
		{`{` + issuer + `,"forward_auth":{"from":["::1"],"statuses":[404]}}`, `never 404`},
		{`{` + issuer + `,"unknown":1}`, `unknown field "unknown"`},
	} {
		config := `{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[` +
			strings.Replace(row.gateway, "{", `{"handler":"oauth",`, 1) + `]}]}}}}}`
		config = strings.Replace(config, `"oauth",}`, `"oauth"}`, 1)
		err := validateError(t, []byte(config))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: the error is %v, want %s", row.gateway, err, row.want)
		}
	}
}

func validate(t *testing.T, config []byte) {
	t.Helper()
	if err := validateError(t, config); err != nil {
		t.Error("it adapts and does not provision: ", err)
	}
}

// validateError is what "caddy validate" does, with a storage of its own and
// without logs.
func validateError(t *testing.T, config []byte) error {
	t.Helper()
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		return err
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw, _ = json.Marshal(map[string]string{"module": "file_system", "root": t.TempDir()})
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	return caddy.Validate(&cfg)
}

func compare(t *testing.T, file, input, got, want string) {
	t.Helper()
	if *update {
		text := got + "\n"
		if input != "" {
			text = strings.TrimRight(input, "\n") + goldenMark + got + "\n"
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	return string(text)
}

func indent(t *testing.T, raw []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// gateways finds the oauth handlers in a config, in the order of its routes.
func gateways(raw json.RawMessage) (found []json.RawMessage) {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	if json.Unmarshal(raw, &object) == nil {
		if string(object["handler"]) == `"oauth"` {
			return []json.RawMessage{raw}
		}
		for _, name := range []string{"apps", "http", "servers", "srv0", "routes", "handle"} {
			found = append(found, gateways(object[name])...)
		}
	} else if json.Unmarshal(raw, &list) == nil {
		for _, entry := range list {
			found = append(found, gateways(entry)...)
		}
	}
	return found
}
