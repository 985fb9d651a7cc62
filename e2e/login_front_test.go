package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// visitor follows redirects with its cookies, over TLS, and shows no pages.
type visitor struct {
	t      *testing.T
	client *http.Client
	site   string
}

func newVisitor(t *testing.T, site string, ca *gateway) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(time.Minute)
	client.Jar, client.CheckRedirect = jar, nil
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: ca.localRoots(), MinVersion: tls.VersionTLS12}
	v := &visitor{t, client, site}
	await(t, 30*time.Second, "a certificate", func() bool {
		req, err := http.NewRequest(http.MethodHead, v.site+"/_oauth/nothing", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = send(client, req)
		return err == nil
	})
	return v
}

// do sends a request as a browser does for a page of this origin ("" for none),
// and tells where it led.
func (v *visitor) do(method, path, origin string, form url.Values) (a answer, at string) {
	v.t.Helper()
	req, err := http.NewRequest(method, v.site+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	at = resp.Request.URL.String()
	a, err = readAnswer(resp)
	if err != nil {
		v.t.Fatal(err)
	}
	return a, at
}

// wantApp checks that a click leads to the application, which says what it saw.
func (v *visitor) wantApp(path, said string) {
	v.t.Helper()
	if a, at := v.do(http.MethodGet, path, "", nil); a.status != http.StatusOK || at != v.site+path || !strings.Contains(a.body, "<p>"+said+"</p>") {
		v.t.Errorf("%s led to %s: %d %.500s", path, at, a.status, a.body)
	}
}

// stay follows no redirects from now on.
func (v *visitor) stay() {
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// wantLogIn checks that no user is logged in: a click is sent to the issuer.
func (v *visitor) wantLogIn(issuer, redirect string) {
	v.t.Helper()
	v.stay()
	a, _ := v.do(http.MethodGet, "/orders", "", nil)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound || !strings.HasPrefix(to.String(), issuer+"/") || to.Query().Get("redirect_uri") != redirect {
		v.t.Errorf("a click without a session: %d, to %s", a.status, to)
	}
}

func TestPeopleLogInBehindAProxyThatEndsTLS(t *testing.T) {
	t.Parallel()
	front, g := newGateway(t), newGateway(t)
	site := fmt.Sprintf("https://localhost:%d", front.tlsPort)
	issuer := startLogInIssuer(t, site)
	g.options = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}"
	g.serve(fmt.Sprintf("http://localhost:%d {\n\tlog\n\t%s\n}\n", g.port, loginGateway(issuer, startApp(t), "store memory")))
	front.serve(fmt.Sprintf("%s {\n\treverse_proxy 127.0.0.1:%d\n}\nhttp://127.0.0.1:%d {\n}\n", site, g.port, front.port))

	v := newVisitor(t, site, front)
	v.wantApp("/orders/7?page=2", "/orders/7?page=2 for alice")
	for origin, want := range map[string]int{
		site: http.StatusOK,
		strings.Replace(site, "https:", "http:", 1): http.StatusForbidden, // what the gateway's own connection is
		g.url(""):              http.StatusForbidden,
		"https://example.com":  http.StatusForbidden,
		"https://localhost:44": http.StatusForbidden,
	} {
		if a, _ := v.do(http.MethodPost, "/orders", origin, nil); a.status != want {
			t.Errorf("a form of %s: %d, want %d", origin, a.status, want)
		}
	}
	v.stay()
	a, _ := v.do(http.MethodPost, "/_oauth/logout", site, nil)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther || !strings.HasPrefix(to.String(), issuer+"/") ||
		to.Query().Get("post_logout_redirect_uri") != site+"/_oauth/logged_out" || to.Query().Get("id_token_hint") == "" {
		t.Errorf("a log-out: %d, to %s", a.status, a.header.Get("Location"))
	}
	v.wantLogIn(issuer, site+"/_oauth/callback")
}

func TestPeopleLogInBelowAPath(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	origin := fmt.Sprintf("https://localhost:%d", g.tlsPort)
	site := origin + "/app"
	issuer := startLogInIssuer(t, site)
	g.serve(fmt.Sprintf("%s {\n\thandle_path /app/* {\n\t%s\n\t}\n}\nhttp://127.0.0.1:%d {\n}\n", origin, loginGateway(issuer, startApp(t), "store memory"), g.port))

	v := newVisitor(t, site, g)
	v.wantApp("/orders/7?page=2", "/orders/7?page=2 for alice")
	a, at := v.do(http.MethodGet, "/_oauth/sessions", "", nil)
	if a.status != http.StatusOK || at != site+"/_oauth/sessions" || strings.Count(a.body, "<section") != 1 || !strings.Contains(a.body, `href="/app/"`) {
		t.Errorf("one's own sessions: %d at %s\n%s", a.status, at, a.body)
	}
	if a, _ := v.do(http.MethodPost, "/_oauth/sessions", origin, url.Values{"end": {"all"}}); a.status != http.StatusOK || !strings.Contains(a.body, "You are logged out") {
		t.Errorf("ending all sessions: %d %s", a.status, a.body)
	}
	v.wantLogIn(issuer, site+"/_oauth/callback")
}

// A load balancer ends TLS, and behind it nginx takes a path off and adds what it
// saw to what the first one said.
const secondProxy = `
events {
}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen 127.0.0.1:%[1]d;
		location /app/ {
			proxy_pass http://127.0.0.1:%[2]d/;
			proxy_http_version 1.1;
			proxy_set_header Host inner.local;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto "$http_x_forwarded_proto, $scheme";
			proxy_set_header X-Forwarded-Host "$http_x_forwarded_host, $http_host";
			proxy_set_header X-Forwarded-Prefix /app;
			proxy_buffer_size 32k;
			proxy_buffers 4 32k;
		}
	}
}
`

func TestPeopleLogInBehindTwoProxiesOfWhichOneTakesAPathOff(t *testing.T) {
	t.Parallel()
	front, g := newGateway(t), newGateway(t)
	origin := fmt.Sprintf("https://localhost:%d", front.tlsPort)
	site := origin + "/app"
	issuer := startLogInIssuer(t, site)
	g.options = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"
	g.serve(fmt.Sprintf("http://:%d {\n\tlog\n\t%s\n}\n", g.port, loginGateway(issuer, startApp(t), "store memory")))
	dir, port := t.TempDir(), freePort(t)
	text := "pid nginx.pid;\ndaemon off;\nmaster_process off;\nerror_log stderr info;\n" + fmt.Sprintf(secondProxy, port, g.port)
	startProcess(t, dir, nil, installed(t, "nginx", "nginx-light"), "-p", dir, "-e", "stderr", "-c", writeFile(t, dir, "nginx.conf", text))
	front.serve(fmt.Sprintf("%s {\n\treverse_proxy 127.0.0.1:%d\n}\nhttp://127.0.0.1:%d {\n}\n", origin, port, front.port))

	v := newVisitor(t, site, front)
	v.wantApp("/orders/7?page=2", "/orders/7?page=2 for alice")
	a, at := v.do(http.MethodGet, "/_oauth/sessions", "", nil)
	if a.status != http.StatusOK || at != site+"/_oauth/sessions" || !strings.Contains(a.body, `href="/app/"`) {
		t.Errorf("one's own sessions: %d at %s\n%s", a.status, at, a.body)
	}
	if a, _ := v.do(http.MethodPost, "/_oauth/sessions", origin, url.Values{"end": {"all"}}); a.status != http.StatusOK || !strings.Contains(a.body, "You are logged out") {
		t.Errorf("ending all sessions: %d %s", a.status, a.body)
	}
	v.wantLogIn(issuer, site+"/_oauth/callback")
}
