package e2e

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// loopbackJar keeps Secure cookies for plain http, as browsers do for the machine's
// own addresses.
type loopbackJar struct{ http.CookieJar }

func overTLS(u *url.URL) *url.URL {
	secure := *u
	secure.Scheme = "https"
	return &secure
}

func (j loopbackJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(overTLS(u), cookies)
}
func (j loopbackJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(overTLS(u)) }

// loopbackVisitor is a browser that goes to a site by plain http.
func loopbackVisitor(t *testing.T, site string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(time.Minute)
	client.Jar, client.CheckRedirect = loopbackJar{jar}, nil
	return &visitor{t, client, site}
}

// withLogIn are the recipes of a proxy with what the section about log-in adds.
func withLogIn(t *testing.T, name string, port int, judge, upstream string) {
	t.Helper()
	addresses := []string{"127.0.0.1:9091", judge, "127.0.0.1:3000", upstream}
	at := fmt.Sprint("127.0.0.1:", port)
	switch name {
	case "nginx":
		text := change(t, recipe(t, "nginx", "auth_request /_oauth"),
			"\t\tlocation / {\n", recipe(t, "nginx", "location /_oauth/")+"\n\t\tlocation / {\n"+recipe(t, "nginx", "without those of the gateway"),
			"\t\t\tinternal;\n", "\t\t\tinternal;\n"+recipe(t, "nginx", "in questions too"))
		serveNginx(t, change(t, text, append(addresses, "127.0.0.1:8080", at)...))
	case "haproxy":
		lua := strings.SplitAfter(recipe(t, "lua", `"location"`), "\n")
		script := change(t, recipe(t, "lua", "httpclient"), `local answered = { "authorization", "x-user-id", "x-user-email" }`+"\n", lua[0],
			`local relayed = { "www-authenticate", "retry-after", "cache-control", "content-type" }`+"\n", lua[1],
			"\tif status < 400 then -- nobody answered, or not the gateway\n", recipe(t, "lua", "status == 302"))
		text := change(t, recipe(t, "haproxy", "lua-load"), "\thttp-request lua.oauth\n", recipe(t, "haproxy", "acl own"))
		serveHAProxy(t, change(t, text+"\n"+recipe(t, "haproxy", "\tserver oauth"), append(addresses, "127.0.0.1:8080", at)...),
			change(t, script, addresses[:2]...))
	case "caddy":
		g := newGateway(t)
		g.port = port
		g.serve(change(t, recipe(t, "caddyfile", "Authorization Cookie"), append(addresses, "app.example.com", "http://"+at)...))
	}
}

// shown is an application that remembers what it was shown.
type shown struct {
	*httptest.Server
	mu   sync.Mutex
	last http.Header
	seen int
}

func startShown(t *testing.T) *shown {
	t.Helper()
	s := new(shown)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.last, s.seen = r.Header, s.seen+1
		s.mu.Unlock()
		_, _ = fmt.Fprintf(w, "<p>%s for %s</p>", r.RequestURI, r.Header.Get("X-User-Id"))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shown) request() (http.Header, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.seen
}

// judgeWithLogIn answers questions, and logs people in at an issuer.
func judgeWithLogIn(g *gateway, issuer, statuses string) {
	g.options = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"
	g.serve(fmt.Sprintf(`:%d {
	log
	oauth {
		issuer %s {
			audience %s
			client gateway %q
		}
		forward_auth {
			from 127.0.0.1
			%s
		}
		login {
			scope offline_access orders:read
			parameter prompt consent
			post_logout /_oauth/logged_out
		}
		session {
			store memory
		}
		copy_claims sub>X-User-Id
	}
}
`, g.port, issuer, audience, loginSecret, statuses))
}

func TestBehindAProxyThatAsksPeopleLogInAndComeBack(t *testing.T) {
	t.Parallel()
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			g, app, port := newGateway(t), startShown(t), freePort(t)
			site := at(port)
			issuer := startLogInIssuer(t, site)
			statuses := ""
			if f.statuses {
				statuses = "statuses 401 403"
			}
			judgeWithLogIn(g, issuer, statuses)
			withLogIn(t, f.name, port, strings.TrimPrefix(g.url(""), "http://"), strings.TrimPrefix(app.URL, "http://"))
			awaitPort(t, f.name, port)
			throughAFront(t, site, issuer, app)
		})
	}
}

func throughAFront(t *testing.T, site, issuer string, app *shown) {
	t.Helper()
	v := loopbackVisitor(t, site)
	ask := func(method, path string, headers ...string) answer {
		t.Helper()
		req, err := http.NewRequest(method, site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(headers); n += 2 {
			req.Header.Set(headers[n], headers[n+1])
		}
		got, err := send(v.client, req)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	script := []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*"}
	refused := func(what string, got answer) {
		t.Helper()
		if all := got.header.Values("Www-Authenticate"); got.status != http.StatusUnauthorized || len(all) != 1 || all[0] != "Bearer" || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %v", what, got.status, got.header)
		}
	}
	refused("a script without a session", ask(http.MethodGet, "/orders", script...))
	refused("a form without a session", ask(http.MethodPost, "/orders", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin"))
	if _, n := app.request(); n > 0 {
		t.Errorf("%d requests reached the application", n)
	}

	v.wantApp("/orders/7?page=2&q=a%20b", "/orders/7?page=2&q=a%20b for alice")
	if got := ask(http.MethodGet, "/orders", append(script, "Cookie", "theirs=1")...); got.status != http.StatusOK {
		t.Errorf("a script with a session: %d %s", got.status, got.body)
	}
	saw, _ := app.request()
	if cookies := saw.Values("Cookie"); len(cookies) != 1 || !strings.Contains(cookies[0], "theirs=1") || strings.Contains(cookies[0], "__Host-oauth") || strings.Contains(cookies[0], "ogs_") {
		t.Errorf("the application saw the cookies %q", cookies)
	}
	if !strings.HasPrefix(saw.Get("Authorization"), "Bearer ey") {
		t.Error("the application saw no access token")
	}

	websocket := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	for name, row := range map[string]struct {
		method  string
		headers []string
		want    int
	}{
		"a form of this site":      {"POST", []string{"Origin", site}, http.StatusOK},
		"another site's":           {"POST", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"another site's, modern":   {"DELETE", []string{"Sec-Fetch-Site", "cross-site", "Origin", site}, http.StatusForbidden},
		"another host's by header": {"POST", []string{"Origin", "https://evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https"}, http.StatusForbidden},
		"another site's WebSocket": {"GET", append([]string{"Origin", "https://evil.example"}, websocket...), http.StatusForbidden},
	} {
		if got := ask(row.method, "/orders", row.headers...); got.status != row.want {
			t.Errorf("%s: %d, want %d", name, got.status, row.want)
		}
	}
	// Headers that make a question of a request stop at the proxy.
	got := ask(http.MethodGet, "/_oauth/sessions", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/orders", "Accept", "text/html")
	if got.status != http.StatusOK || got.header.Get("Authorization") != "" || !strings.Contains(got.body, "<section") {
		t.Errorf("one's own sessions: %d %v", got.status, got.header)
	}

	v.stay()
	out, _ := v.do(http.MethodPost, "/_oauth/logout", site, nil)
	if to := out.header.Get("Location"); out.status != http.StatusSeeOther || !strings.HasPrefix(to, issuer+"/") {
		t.Errorf("a log-out: %d, to %s", out.status, to)
	}
	led, _ := v.do(http.MethodGet, "/orders", "", nil)
	if to := led.header.Get("Location"); led.status != http.StatusFound || to != site+"/_oauth/login?return=%2Forders" {
		t.Errorf("a click after it: %d, to %s", led.status, to)
	}
	// A client's word on the address leads nowhere else.
	elsewhere := ask(http.MethodGet, "/orders", "Accept", "text/html", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "/evil", "X-Forwarded-Port", "444")
	if to := elsewhere.header.Get("Location"); elsewhere.status != http.StatusFound || to != site+"/_oauth/login?return=%2Forders" {
		t.Errorf("with a client's own word on the address: %d, to %s", elsewhere.status, to)
	}
}
