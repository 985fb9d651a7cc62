package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"
)

// judgeOf is a gateway with forward_auth from 127.0.0.1 and these words more,
// at the level of handlers. Questions come from 127.0.0.1.
func judgeOf(t *testing.T, issuer, words string) *gate {
	t.Helper()
	if issuer == "" {
		issuer = "issuer https://issuer.example {\naudience api\njwks testdata/keys/issuer.jwks.json\n}"
	}
	if !strings.Contains(words, "forward_auth {") {
		words += "\nforward_auth {\nfrom 127.0.0.1\n}"
	}
	server, handlers := adaptSite(t, "@write {\nnot method GET HEAD\npath /orders/*\n}\n@late expression `{http.request.method} == \"DELETE\" && {http.request.uri.path} == \"/late\"`\n@full query full=1\noauth {\n"+issuer+"\n"+words+"\n}")
	g := &gate{TB: t, Gateway: new(Gateway), server: server, address: "127.0.0.1"}
	if err := caddy.StrictUnmarshalJSON(handlers[0], g.Gateway); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Gateway.Cleanup() })
	if err := g.Provision(testContext(t)); err != nil {
		t.Fatal("provisioning: ", err)
	}
	core, logs := logtest.New(zap.DebugLevel)
	g.logs, g.log = logs, zap.New(core)
	g.validator.Now = func() time.Time { return verdictClock }
	return g
}

func goodToken(t *testing.T, claims string) string {
	return signToken(t, "es256", defaultHeader, fmt.Sprintf(`{"iss":"https://issuer.example","aud":"api","sub":"alice","exp":%d%s}`, verdictClock.Unix()+300, claims))
}

// ask asks about one request, as a proxy does.
func (g *gate) ask(method, target string, headers ...string) *httptest.ResponseRecorder {
	g.Helper()
	return g.send(http.MethodGet, "/", "", append([]string{"X-Forwarded-Method", method, "X-Forwarded-Uri", target}, headers...)...)
}

// verdict is the status and the reason of the one log line, and checks what
// holds for every answer.
func (g *gate) verdict(res *httptest.ResponseRecorder) string {
	g.Helper()
	if len(g.saw) > 0 {
		g.Error("a question was forwarded")
	}
	if res.Header().Get("Cache-Control") != "no-store" {
		g.Error("an answer that may be cached")
	}
	if (res.Code == http.StatusOK) != (res.Header().Get("X-Oauth-Verdict") == "pass") {
		g.Errorf("%d with the verdict %q", res.Code, res.Header().Get("X-Oauth-Verdict"))
	}
	if length := res.Header().Get("Content-Length"); length != "" && length != strconv.Itoa(res.Body.Len()) {
		g.Errorf("Content-Length %s, and a body of %d bytes", length, res.Body.Len())
	}
	reason := ""
	for _, line := range g.logs.TakeAll() {
		reason, _ = line.ContextMap()["reason"].(string)
	}
	if challenge := res.Header().Get("WWW-Authenticate"); (res.Code >= 400 && res.Code < 500) != strings.HasPrefix(challenge, "Bearer") {
		g.Errorf("%d with the challenge %q", res.Code, challenge)
	}
	if (res.Code == http.StatusOK) != (reason == "") || res.Code == http.StatusOK && res.Body.Len() > 0 {
		g.Errorf("%d %q with the reason %q", res.Code, res.Body, reason)
	}
	return strings.TrimSpace(fmt.Sprint(res.Code, " ", reason))
}

func TestTheMethodAndTheTargetThatAreJudgedAreThoseOfTheHeaders(t *testing.T) {
	g := judgeOf(t, "", "require @write scope orders:write\nrequire @late scope late\nrequire @full scope full")
	token := "Bearer " + goodToken(t, `,"scope":"orders:read"`)
	for _, row := range []struct{ method, target, want string }{
		{"GET", "/orders/1", "200"},
		{"HEAD", "/orders/1", "200"},
		{"POST", "/orders/1", "403 missing_scope"},
		{"PROPFIND", "/orders/1", "403 missing_scope"},
		{"get", "/orders/1", "400 ambiguous_method"}, // methods are told apart by case
		{"delete", "/orders/1", "400 ambiguous_method"},
		{"POST", "/orders/1?a=b", "403 missing_scope"},
		{"POST", "/%6frders/1", "403 missing_scope"},
		{"POST", "/other", "200"},
		{"DELETE", "/late", "403 missing_scope"}, // by placeholders
		{"DELETE", "/later", "200"},
		{"GET", "/?full=1", "403 missing_scope"},
		{"GET", "/?full=2", "200"},
		{"GET", "/public/../orders/1", "400 ambiguous_path"},
		{"POST", "/public/%2e%2E/orders/1", "400 ambiguous_path"},
		{"POST", "/public/..%2forders/1", "400 ambiguous_path"},
		{"POST", "//orders/1", "400 ambiguous_path"},
		{"POST", "/orders;x/1", "400 ambiguous_path"},
		{"POST", `/x\..\orders/1`, "400 ambiguous_path"},
		{"POST", "/orders/1%00", "400 ambiguous_path"},
	} {
		if got := g.verdict(g.ask(row.method, row.target, "Authorization", token)); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.method, row.target, got, row.want)
		}
	}
	// The question's own method and path mean nothing.
	if got := g.verdict(g.send(http.MethodPost, "/orders/1", "", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/", "Authorization", token)); got != "200" {
		t.Error("the question itself was judged: ", got)
	}
}

func TestHeadersThatAreMissingDoubledOrOddAreRefused(t *testing.T) {
	g := judgeOf(t, "", "")
	token := "Bearer " + goodToken(t, "")
	const m, u = "X-Forwarded-Method", "X-Forwarded-Uri"
	for _, row := range [][]string{
		{},
		{m, "GET"},
		{u, "/"},
		{m, "GET", u, ""},
		{m, "", u, "/"},
		{m, "GET", m, "GET", u, "/"},
		{m, "GET", u, "/", u, "/"},
		{m, "GET", u, "/", u, "/admin"},
		{m, "GET, POST", u, "/"},
		{m, "GET ", u, "/"},
		{m, "GE\tT", u, "/"},
		{m, "GET", u, "admin"},
		{m, "GET", u, "*"},
		{m, "GET", u, "?x"},
		{m, "GET", u, "http://api.example/"},
		{m, "GET", u, "api.example:443"},
		{m, "GET", u, "/a, /b"},
		{m, "GET", u, "/a b"},
		{m, "GET", u, "/a\tb"},
		{m, "GET", u, "/admin#x"},
		{m, "GET", u, "/a%zz"},
		{m, "GET", u, "/a\x7fb"},
		{"X_Forwarded_Method", "GET", "X_Forwarded_Uri", "/"},
	} {
		if got := g.verdict(g.send(http.MethodGet, "/", "", append(row, "Authorization", token)...)); got != "400 forward_headers" {
			t.Errorf("%q: %s", row, got)
		}
	}
	// Other spellings are not read, and do no harm beside the right one.
	if got := g.verdict(g.ask("GET", "/", "X_Forwarded_Uri", "/admin", "x.forwarded.method", "POST", "Authorization", token)); got != "200" {
		t.Error("beside other spellings: ", got)
	}
}

func TestNoMatcherSeesTheHeadersOfAQuestion(t *testing.T) {
	g := judgeOf(t, "", "require scope never")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "127.0.0.1:1"
	for _, name := range []string{"X-Forwarded-Method", "X-Forwarded-Uri", "x_forwarded_uri", "X.Forwarded-Method", "X-Forwarded-Uri "} {
		r.Header[name] = []string{"/"}
	}
	_ = g.ForwardAuth.Restore(r)
	if len(r.Header) > 0 {
		t.Error("left: ", r.Header)
	}
}

func TestOnlyAPeerThatIsListedMayAsk(t *testing.T) {
	g := judgeOf(t, "", "forward_auth {\nfrom 127.0.0.1/8 10.1.2.3\nfrom fd00::/8\n}")
	sockets := judgeOf(t, "", "forward_auth {\nfrom unix 2001:db8::1\n}")
	token := "Bearer " + goodToken(t, "")
	for _, row := range []struct {
		g      *gate
		remote string
		listed bool
	}{
		{g, "127.0.0.1:1", true},
		{g, "127.9.9.9:1", true},
		{g, "10.1.2.3:1", true},
		{g, "10.1.2.4:1", false},
		{g, "[::ffff:10.1.2.3]:1", true},
		{g, "[::ffff:10.1.2.4]:1", false},
		{g, "[fd00::1]:1", true},
		{g, "[fd00::1%eth0]:1", true},
		{g, "[fe80::1%eth0]:1", false},
		{g, "192.0.2.1:1", false},
		{g, "@", false},
		{g, "", false},
		{g, "127.0.0.1", false}, // not what a server writes
		{sockets, "@", true},
		{sockets, "[2001:db8::1]:1", true},
		{sockets, "[2001:db8::2]:1", false},
		{sockets, "127.0.0.1:1", false},
	} {
		raw := httptest.NewRequest(http.MethodGet, "/", nil)
		raw.RemoteAddr = row.remote
		for name, value := range map[string]string{
			"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/", "Authorization": token,
			"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "Forwarded": "for=127.0.0.1",
		} {
			raw.Header.Set(name, value)
		}
		want := map[bool]string{true: "200", false: "400 forward_peer"}[row.listed]
		if got := row.g.verdict(row.g.serve(raw)); got != want {
			t.Errorf("from %q: %s, want %s", row.remote, got, want)
		}
	}
}

func TestARefusalHasAStatusThatTheProxyCanPassOn(t *testing.T) {
	issuer := httptest.NewServer(http.NotFoundHandler())
	defer issuer.Close()
	down := "issuer " + issuer.URL + " {\naudience api\n}"
	scopeless := goodToken(t, "")
	for _, row := range []struct{ statuses, issuer, method, target, auth, want, code string }{
		{"", "", "GET", "/", "Bearer a, b", "400 credential_malformed", "invalid_request"},
		{"statuses 401 403", "", "GET", "/", "Bearer a, b", "401 credential_malformed", "invalid_request"},
		{"statuses 400 401 403", "", "GET", "/", "Bearer a, b", "400 credential_malformed", "invalid_request"},
		{"statuses 401 403", "", "GET", "/..", "Bearer " + scopeless, "401 ambiguous_path", "invalid_request"},
		{"statuses 401 403", "", "GET", "nowhere", "Bearer " + scopeless, "401 forward_headers", "invalid_request"},
		{"statuses 401 403", "", "GET", "/", "", "401 no_credential", ""},
		{"statuses 401 403", "", "GET", "/", "Bearer a.b.c", "401 token_malformed", "invalid_token"},
		{"statuses 401 403", "", "POST", "/orders/1", "Bearer " + scopeless, "403 missing_scope", "insufficient_scope"},
		{"statuses 401", "", "POST", "/orders/1", "Bearer " + scopeless, "401 missing_scope", "insufficient_scope"},
		{"statuses 401", "", "HEAD", "/", "", "401 no_credential", ""}, // and its body, see verdict
		{"statuses 401 403", down, "GET", "/", "Bearer {down}", "503 issuer_unavailable", ""},
	} {
		g := judgeOf(t, row.issuer, "require @write scope orders:write\nforward_auth {\nfrom 127.0.0.1\n"+row.statuses+"\n}")
		var headers []string
		if row.auth == "Bearer {down}" {
			row.auth = "Bearer " + signToken(t, "es256", defaultHeader, fmt.Sprintf(`{"iss":%q,"aud":"api","sub":"alice","exp":%d}`, issuer.URL, verdictClock.Unix()+300))
		}
		if row.auth != "" {
			headers = []string{"Authorization", row.auth}
		}
		res := g.ask(row.method, row.target, headers...)
		if got := g.verdict(res); got != row.want {
			t.Errorf("%s, %s %s: %s, want %s", row.statuses, row.method, row.target, got, row.want)
		}
		challenge := res.Header().Get("WWW-Authenticate")
		if (row.code != "") != strings.Contains(challenge, "error=") || !strings.Contains(challenge, row.code) {
			t.Errorf("%s, %s: the challenge is %q, want %q", row.statuses, row.want, challenge, row.code)
		}
		if res.Body.Len() == 0 {
			t.Errorf("%s, %s: no body", row.statuses, row.want)
		}
	}
}

// The headers of ingress-nginx, as its template sets them.
func TestIngressNginxIsUnderstoodOrToldWhichTwoWordsToWrite(t *testing.T) {
	token := "Bearer " + goodToken(t, `,"scope":"orders:read"`)
	ask := func(g *gate, method, address string) *httptest.ResponseRecorder {
		return g.send(http.MethodGet, "/", "", "X-Original-Method", method, "X-Original-Url", address,
			"X-Auth-Request-Redirect", "/", "X-Sent-From", "nginx-ingress-controller", "Authorization", token)
	}
	g := judgeOf(t, "", "require @write scope orders:write")
	res := ask(g, "GET", "https://app.example/orders/1")
	detail, _ := g.logs.All()[0].ContextMap()["detail"].(string)
	if got := g.verdict(res); got != "400 forward_headers" || !strings.Contains(detail, `write "method X-Original-Method" and "uri X-Original-URL"`) {
		t.Errorf("by default: %s, %q", got, detail)
	}
	g = judgeOf(t, "", "require @write scope orders:write\nforward_auth {\nfrom 127.0.0.1\nmethod X-Original-Method\nuri X-Original-URL\n}")
	for _, row := range []struct{ method, address, want string }{
		{"GET", "https://app.example/orders/1?a=b", "200"},
		{"POST", "https://app.example/orders/1", "403 missing_scope"},
		{"POST", "https://app.example:8443/orders/1?x=https://other.example/", "403 missing_scope"},
		{"GET", "http://app.example?a=/orders/1", "400 forward_headers"}, // "GET http://app.example?a=/orders/1", which nginx forwards as /?a=…
		{"GET", "http://app.example?/orders/1", "400 forward_headers"},   // that, or a Host that is none
		{"GET", "http://app.example#/orders/1", "400 forward_headers"},
		{"POST", "/orders/1", "403 missing_scope"},
		{"POST", "https://app.example//orders/1", "400 ambiguous_path"},
		{"POST", "https://app.example/x/../orders/1", "400 ambiguous_path"},
		{"GET", "https://app.example", "400 forward_headers"},
		{"GET", "app.example/orders/1", "400 forward_headers"},
	} {
		if got := g.verdict(ask(g, row.method, row.address)); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.method, row.address, got, row.want)
		}
	}
	// Of any other header nothing but a path is taken.
	g = judgeOf(t, "", "")
	if got := g.verdict(g.ask("GET", "https://app.example/orders/1")); got != "400 forward_headers" {
		t.Errorf("a URL in X-Forwarded-Uri: %s", got)
	}
}
