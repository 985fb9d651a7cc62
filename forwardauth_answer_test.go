package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestTheAnswerHoldsTheIdentityAndTheTokenForTheUpstream(t *testing.T) {
	token := goodToken(t, `,"groups":["a","b,c"]`)
	const copies = "copy_claims sub>X-User-Id email>X-Email groups>X-Groups\n"
	for _, row := range []struct{ name, words, target, header, value, authorization, id string }{
		{"the header", "", "/", "Authorization", "Bearer " + token, "Bearer " + token, "alice"},
		{"in another case", "", "/", "Authorization", "bEARER  " + token, "bEARER  " + token, "alice"},
		{"stripped", "strip_token", "/", "Authorization", "Bearer " + token, "", "alice"},
		{"the query", "credentials query t", "/?a=1&t=" + token, "", "", "Bearer " + token, "alice"},
		{"the query, and an unverified header", "credentials query t", "/?t=" + token, "Authorization", "Bearer x", "Bearer " + token, "alice"},
		{"another header", "credentials header X-Token", "/", "X-Token", token, "Bearer " + token, "alice"},
		{"a cookie", "credentials cookie at", "/", "Cookie", "at=" + token, "", "alice"},
		{"nothing", "allow_anonymous", "/", "", "", "", ""},
	} {
		g := judgeOf(t, "", copies+row.words)
		headers := []string{"X-User-Id", "mallory", "X_Email", "mallory@example.com", "x-email", "m", "X-Other", "1"}
		if row.header != "" {
			headers = append(headers, row.header, row.value)
		}
		res := g.ask("GET", row.target, headers...)
		if got := g.verdict(res); got != "200" {
			t.Errorf("%s: %s", row.name, got)
			continue
		}
		groups := ""
		if row.id != "" {
			groups = "a,UTF-8''b%2Cc"
		}
		for name, want := range map[string]string{
			"Authorization": row.authorization, "X-User-Id": row.id, "X-Groups": groups, "X-Email": "", "X-Other": "", "X-Token": "",
		} {
			if got := res.Header().Values(name); (want != "" || len(got) > 0) && (len(got) != 1 || got[0] != want) {
				t.Errorf("%s: the answer's %s is %q, want %q", row.name, name, got, want)
			}
		}
	}
}

func TestForAReferenceTokenTheAnswerHoldsTheAccessTokenBehindIt(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\ncopy_claims sub>X-User-Id\nforward_auth {\nfrom 127.0.0.1\n}")
	g.address = "127.0.0.1"
	tok := g.token("orders")
	g.logs.TakeAll()
	res := g.ask("GET", "/orders", "Authorization", "Bearer "+tok.AccessToken)
	if got := g.verdict(res); got != "200" {
		t.Fatal(got, res.Body)
	}
	if got := res.Header().Get("Authorization"); !strings.HasPrefix(got, "Bearer ey") || res.Header().Get("X-User-Id") == "" {
		t.Errorf("the answer is %v", res.Header())
	}
	// In the target it is a stray, and the log keeps its path to itself.
	for _, target := range []string{"/a/" + tok.AccessToken, "/?x=" + tok.RefreshToken} {
		res := g.ask("GET", target, "Authorization", "Bearer "+tok.AccessToken)
		lines := fmt.Sprint(g.logs.All())
		if got := g.verdict(res); got != "400 stray_token" {
			t.Error(got)
		}
		if strings.Contains(lines+res.Body.String()+fmt.Sprint(res.Header()), tok.AccessToken[4:40]) || strings.Contains(lines, tok.RefreshToken[4:40]) {
			t.Error("the token is in the log or the answer: ", lines)
		}
	}
}

func TestAQuestionIsNeverLoggedAsItCame(t *testing.T) {
	g := judgeOf(t, "", "")
	g.server.Logs = &caddyhttp.ServerLogConfig{}
	for _, row := range []struct{ remote, target, want string }{
		{"127.0.0.1:1", "/orders?access_token=secret", "/orders"},
		{"192.0.2.1:1", "/orders?access_token=secret", "/_auth"},
		{"127.0.0.1:1", "orders?access_token=secret", "/_auth"},
	} {
		raw := httptest.NewRequest(http.MethodGet, "/_auth?x=secret", nil)
		raw.RemoteAddr = row.remote
		raw.Header.Set("X-Forwarded-Method", "PUT")
		raw.Header.Set("X-Forwarded-Uri", row.target)
		res := httptest.NewRecorder()
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, g.server)
		if err := g.ServeHTTP(res, r, nil); err != nil {
			t.Error("an error, which Caddy would log with the request: ", err)
		}
		if skip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool); !skip {
			t.Error("Caddy writes its own line")
		}
		lines := g.logs.TakeAll()
		if len(lines) != 2 || lines[1].Message != "handled request" || lines[1].ContextMap()["path"] != row.want {
			t.Errorf("the lines are %v", lines)
		}
		if strings.Contains(fmt.Sprint(lines), "secret") {
			t.Errorf("a secret is in %v", lines)
		}
	}
}

// To a proxy that asks, 200 means that its request may pass. One that asks with
// the client's own method, path and body must not be told so by our endpoints.
// And where it hands clients' requests to them, a question is the client's own
// doing: the answer would show the access token behind its reference.
func TestAQuestionAtOneOfOurEndpointsIsRefused(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\nforward_auth {\nfrom 10.0.0.0/8\n}")
	tok := g.token("orders")
	question := append([]string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/orders"}, "Content-Type", formType)
	for _, row := range []struct{ path, form string }{
		{"/revoke", "token=anything"}, {"/auth", "grant_type=client_credentials&client_id=orders&client_secret=orders-secret"},
	} {
		g.logs.TakeAll()
		if got := g.verdict(g.send(http.MethodPost, row.path, row.form, question...)); got != "400 forward_headers" {
			t.Errorf("asked at %s: %s", row.path, got)
		}
		res := g.send(http.MethodPost, row.path, "", append([]string{"Authorization", "Bearer " + tok.AccessToken}, question...)...)
		if res.Code != http.StatusBadRequest || res.Header().Get("Authorization") != "" {
			t.Errorf("a client that asks at %s gets %d %v", row.path, res.Code, res.Header())
		}
		if half := g.send(http.MethodPost, row.path, row.form, question[2:]...); half.Code != http.StatusBadRequest {
			t.Errorf("half a question at %s: %d", row.path, half.Code)
		}
		if res := g.post(row.path, row.form); res.Code != http.StatusOK {
			t.Errorf("a client at %s: %d %s", row.path, res.Code, res.Body)
		}
	}
}
