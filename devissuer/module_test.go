package devissuer_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"

	"github.com/caddyoauth/caddyoauth/devissuer"
)

func unmarshal(text string) (*devissuer.Handler, error) {
	h := new(devissuer.Handler)
	return h, h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
}

const full = `devissuer http://127.0.0.1:8080/issuer {
	audience http://127.0.0.1:8080/api other
	client demo demo-secret read write
	client plain plain-secret
	public_client tool read
	redirect_uri plain http://127.0.0.1:9/callback
	lifetime 15s
	token_path /auth /refresh
	default_grant client_credentials
	claim groups staff demo
	claim tenant blue
}`

func TestTheDirectiveBecomesTheModulesJSON(t *testing.T) {
	h, err := unmarshal(full)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"issuer":"http://127.0.0.1:8080/issuer","audience":["http://127.0.0.1:8080/api","other"],` +
		`"client":[{"id":"demo","secret":"demo-secret","scopes":["read","write"]},{"id":"plain","secret":"plain-secret","redirect_uris":["http://127.0.0.1:9/callback"]},{"id":"tool","scopes":["read"]}],` +
		`"lifetime":15000000000,"token_path":["/auth","/refresh"],"default_grant":"client_credentials",` +
		`"claim":{"groups":["staff","demo"],"tenant":"blue"}}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestTheDirectiveNeedsNoOrder(t *testing.T) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	if _, _, err := adapter.Adapt([]byte("http://127.0.0.1:8080 {\n"+full+"\n}"), nil); err != nil {
		t.Error(err)
	}
}

func TestErrorsNameTheLineAndTheWord(t *testing.T) {
	const rest = "audience a\nclient i s\n"
	for _, row := range []struct{ text, want string }{
		{"devissuer", "devissuer: takes one argument, the issuer URL, such as http://127.0.0.1:8080/issuer, at Testfile:1"},
		{"devissuer http://h/ http://i/", "devissuer: takes one argument"},
		{"devissuer login", `issuer "login": must be a URL such as http://127.0.0.1:8080/issuer, at Testfile:1`},
		{"devissuer http://h/ {\nclient i s\n}", "devissuer: audience is missing, at Testfile:3"},
		{"devissuer http://h/ {\naudience a\n}", "devissuer: client is missing, at Testfile:3"},
		{"devissuer http://h/ {\naudience\n}", "audience: arguments are missing: <aud...>, at Testfile:2"},
		{"devissuer http://h/ {\naudience a\naudience b\n}", "audience: is there already; it can stand once, at Testfile:3"},
		{"devissuer http://h/ {\nclient i\n}", "client: arguments are missing: <id> <secret> [<scope...>], at Testfile:2"},
		{"devissuer http://h/ {\nclient i s\nclient i t\n}", `client "i" is listed twice, at Testfile:3`},
		{"devissuer http://h/ {\nclient i \"\"\n}", `client "i": the secret must not be empty; one without a secret is a public_client, at Testfile:2`},
		{"devissuer http://h/ {\npublic_client\n}", "public_client: arguments are missing: <id> [<scope...>], at Testfile:2"},
		{"devissuer http://h/ {\npublic_client i\nclient i s\n}", `client "i" is listed twice, at Testfile:3`},
		{"devissuer http://h/ {\n" + rest + "lifetime soon\n}", `lifetime: time: invalid duration "soon", at Testfile:4`},
		{"devissuer http://h/ {\n" + rest + "lifetime 100ms\n}", "lifetime 100ms: must be whole seconds, one at least, at Testfile:4"},
		{"devissuer http://h/ {\n" + rest + "token_path auth\n}", `token_path "auth": must begin with a slash, at Testfile:4`},
		{"devissuer http://h/ {\n" + rest + "default_grant password\n}", "default_grant: can only be client_credentials, at Testfile:4"},
		{"devissuer http://h/ {\n" + rest + "claim exp 1\n}", `claim "exp": the server sets it itself, at Testfile:4`},
		{"devissuer http://h/ {\n" + rest + "claim a b\nclaim a c\n}", `claim "a": is there already; it can stand once, at Testfile:5`},
		{"devissuer http://h/ {\n" + rest + "scope x\n}", "scope: unknown word; there are audience, client, public_client, redirect_uri, lifetime, token_path, default_grant and claim, at Testfile:4"},
	} {
		if _, err := unmarshal(row.text); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q:\n got %v\nwant %s", row.text, err, row.want)
		}
	}
}

func TestTheModuleAnswersItsPathsAndPassesOthersOn(t *testing.T) {
	h, err := unmarshal(full)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	for path, want := range map[string]int{
		"/issuer/jwks": http.StatusOK,
		"/.well-known/oauth-authorization-server/issuer": http.StatusOK,
		"/auth":     http.StatusMethodNotAllowed,
		"/api":      http.StatusTeapot,
		"/issuer/x": http.StatusTeapot,
	} {
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil), next); err != nil || w.Code != want {
			t.Errorf("%s: got %d, %v, want %d", path, w.Code, err, want)
		}
	}
}
