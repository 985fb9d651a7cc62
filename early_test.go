package caddyoauth

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// unfinished is a request over TLS, before or after the end of its handshake.
func unfinished(complete bool, method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://api.example"+target, strings.NewReader(""))
	r.RemoteAddr = nextAddress() + ":4711"
	r.TLS = &tls.ConnectionState{HandshakeComplete: complete}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	return r
}

// behind serves a request as one of a trusted proxy.
func (g *gate) behind(raw *http.Request) *httptest.ResponseRecorder {
	g.Helper()
	res := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, g.server)
	caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true)
	if err := g.ServeHTTP(res, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		g.saw = append(g.saw, r)
		return nil
	})); err != nil {
		g.Error(err)
	}
	return res
}

func wantTooEarly(t *testing.T, what string, res *httptest.ResponseRecorder) {
	t.Helper()
	h := res.Header()
	if res.Code != http.StatusTooEarly || h.Get("Cache-Control") != "no-store" || h.Get("WWW-Authenticate") != "" || len(h["Set-Cookie"]) > 0 {
		t.Errorf("%s: %d %v %s", what, res.Code, h, res.Body)
	}
}

// The token endpoint acted on a replay, and a refresh token that came twice
// ended its grant.
func TestNothingThatActsIsDoneInEarlyData(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	asked := s.issuer.count()
	cookie := []string{"Cookie", "__Host-oauth=" + b.cookies["__Host-oauth"], "Sec-Fetch-Site", "same-origin"}
	for _, own := range []string{"/_oauth/login", "/_oauth/callback?code=x&state=y", "/_oauth/logout", "/_oauth/sessions", "/_oauth/backchannel_logout", "/_OAUTH/callback"} {
		for _, method := range []string{"GET", "POST"} {
			wantTooEarly(t, method+own, s.serve(unfinished(false, method, own, cookie...)))
			wantTooEarly(t, "behind a proxy: "+method+own, s.behind(unfinished(true, method, own, append(cookie, "Early-Data", "1")...)))
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "FROB"} {
		wantTooEarly(t, method, s.serve(unfinished(false, method, "/orders", cookie...)))
		wantTooEarly(t, "behind a proxy: "+method, s.behind(unfinished(true, method, "/orders", append(cookie, "Early-Data", "1")...)))
		// Several, or another value, mean the same (RFC 8470 §5.1).
		wantTooEarly(t, "behind a proxy: "+method, s.behind(unfinished(true, method, "/orders", append(cookie, "Early-Data", "x", "Early-Data", "y")...)))
	}
	socket := connected(3, "websocket", cookie...)
	socket.TLS = &tls.ConnectionState{}
	wantTooEarly(t, "a WebSocket", s.serve(socket))
	if len(s.saw) > 0 || s.issuer.count() != asked {
		t.Errorf("%d requests reached the upstream, and %d the issuer", len(s.saw), s.issuer.count()-asked)
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		if res := s.serve(unfinished(false, method, "/orders", cookie...)); res.Code != http.StatusOK {
			t.Errorf("%s: %d", method, res.Code)
		}
	}
	if !strings.Contains(s.logged(), verdict.TooEarly) {
		t.Error("no reason in the log")
	}
	if strings.Contains(s.logged(), "code=x") {
		t.Error("the query of a callback is in the log")
	}
	// What was too early is done later.
	if res := s.serve(unfinished(true, "POST", "/orders", cookie...)); res.Code != http.StatusOK {
		t.Errorf("after the handshake: %d", res.Code)
	}
}

func TestTheTokenEndpointAndTheMetadataWaitForTheHandshake(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\nresource https://api.example/")
	for _, own := range []string{"/auth", "/refresh", "/revoke", "/.well-known/oauth-protected-resource"} {
		wantTooEarly(t, own, g.serve(unfinished(false, "POST", own, "Content-Type", formType)))
		wantTooEarly(t, own, g.behind(unfinished(true, "POST", own, "Early-Data", "1")))
		if res := g.serve(unfinished(true, "POST", own, "Content-Type", formType, "Early-Data", "1")); res.Code == http.StatusTooEarly {
			t.Errorf("%s: the client said it itself", own)
		}
	}
}

// What Caddy's proxy writes itself stays true: a client's own says nothing.
func TestOnlyATrustedProxysEarlyDataReachesTheUpstream(t *testing.T) {
	s := newPortal(t, "", nil)
	cookie := []string{"Cookie", "__Host-oauth=" + s.browser().logIn().cookies["__Host-oauth"], "Connection", "Early-Data"}
	for name, row := range map[string]struct {
		serve func(*http.Request) *httptest.ResponseRecorder
		want  int
	}{"a client": {s.serve, 0}, "a proxy": {s.behind, 1}} {
		s.saw = nil
		res := row.serve(unfinished(true, "GET", "/orders", append(cookie, "Early-Data", "1")...))
		if res.Code != http.StatusOK || len(s.saw) != 1 || len(s.saw[0].Header["Early-Data"]) != row.want || len(s.saw[0].Header["Connection"]) > 0 {
			t.Errorf("%s: %d, and the upstream saw %v", name, res.Code, s.saw)
		}
	}
}

func TestAQuestionAboutEarlyDataIsAnswered425(t *testing.T) {
	g := judgeOf(t, "", "")
	token := "Bearer " + goodToken(t, "")
	wantTooEarly(t, "POST", g.ask("POST", "/orders", "Early-Data", "1", "Authorization", token))
	g.logs.TakeAll()
	if got := g.verdict(g.ask("GET", "/orders", "Early-Data", "1", "Authorization", token)); got != "200" {
		t.Errorf("GET: %s", got)
	}
	g = judgeOf(t, "", "forward_auth {\nfrom 127.0.0.1\nstatuses 401 425\n}")
	wantTooEarly(t, "POST, with 425 among the statuses", g.ask("POST", "/orders", "Early-Data", "1", "Authorization", token))
	g = judgeOf(t, "", "forward_auth {\nfrom 127.0.0.1\nstatuses 401 403\n}")
	if got := g.verdict(g.ask("POST", "/orders", "Early-Data", "1", "Authorization", token)); got != "401 "+verdict.TooEarly {
		t.Errorf("POST, with statuses: %s", got)
	}
}
