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

// pages is an application that shows each user their own page and wants caches
// to keep it, in the words of the path. It counts what it is asked.
type pages struct {
	server *httptest.Server
	mu     sync.Mutex
	asked  map[string]int
}

// wishes are what the application says to caches, by the path.
var wishes = map[string][]string{
	"/nothing":    nil,
	"/public":     {"Cache-Control", "public, max-age=600"},
	"/shared":     {"Cache-Control", "max-age=0, s-maxage=600"},
	"/accelerate": {"X-Accel-Expires", "600"},
	"/missing":    {"Cache-Control", "public, max-age=600"},
}

func startPages(t *testing.T) *pages {
	t.Helper()
	p := &pages{asked: map[string]int{}}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		p.mu.Unlock()
		said := wishes[r.URL.Path]
		for n := 0; n < len(said); n += 2 {
			w.Header().Set(said[n], said[n+1])
		}
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = fmt.Fprintf(w, "for %s", r.Header.Get("X-User-Id"))
	}))
	t.Cleanup(p.server.Close)
	return p
}

// startCache runs nginx as a cache that keeps all that it may: before the
// gateway, and below /bare before the application itself.
func startCache(t *testing.T, gateway, application string) (site string) {
	t.Helper()
	program, dir, port := installed(t, "nginx", "nginx-light"), t.TempDir(), freePort(t)
	text := fmt.Sprintf(`pid nginx.pid;
daemon off;
master_process off;
error_log stderr info;
events {
}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	proxy_cache_path kept keys_zone=kept:1m;
	proxy_cache kept;
	proxy_cache_key $request_uri;
	proxy_cache_valid any 10m;
	server {
		listen 127.0.0.1:%d;
		location / {
			proxy_pass %s;
		}
		location /bare/ {
			proxy_pass %s/;
		}
	}
}
`, port, gateway, application)
	startProcess(t, dir, nil, program, "-p", dir, "-e", "stderr", "-c", writeFile(t, dir, "nginx.conf", text))
	site = at(port)
	await(t, 30*time.Second, "the cache to listen", func() bool {
		req, err := http.NewRequest(http.MethodGet, site+"/bare/listening", nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := send(newClient(time.Minute), req)
		return err == nil && a.status == http.StatusOK
	})
	return site
}

// enter logs a user in at the gateway and answers their session's cookie.
func (g *gateway) enter(user string) string {
	g.t.Helper()
	ask := func(address, cookie string) answer {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		asNavigation(req)
		req.Header.Set("Cookie", cookie)
		a, err := send(newClient(time.Minute), req)
		if err != nil {
			g.t.Fatal(err)
		}
		return a
	}
	sent := ask(g.url("/_oauth/login"), "")
	jar, _ := cookiejar.New(nil) // it fails for no input
	var back *url.URL
	browser := &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if back = req.URL; strings.HasPrefix(back.String(), g.url("/_oauth/callback")) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(sent.header.Get("Location") + "&login_hint=" + user)
	if err != nil {
		g.t.Fatal(err)
	}
	closeAll(resp.Body)
	if back == nil || len(sent.cookies()) != 1 {
		g.t.Fatalf("no way back from the issuer: %d, %v", resp.StatusCode, sent.header)
	}
	for _, c := range ask(back.String(), sent.cookies()[0].Name+"="+sent.cookies()[0].Value).cookies() {
		if c.Name == sessionCookie {
			return c.Name + "=" + c.Value
		}
	}
	g.t.Fatalf("%s is not logged in", user)
	return ""
}

// A cache in front of the gateway sees a cookie where the application sees an
// Authorization header. It kept the page of one user and showed it to the next.
func TestACacheInFrontShowsNoUserThePageOfAnother(t *testing.T) {
	t.Parallel()
	g, app := newGateway(t), startPages(t)
	issuer := startLogInIssuer(t, g.url(""))
	g.serve(fmt.Sprintf(`http://127.0.0.1:%d {
	oauth {
		issuer %s {
			audience %s
			client gateway %q
		}
		login {
			scope offline_access
		}
		session {
			store memory
		}
		copy_claims sub>X-User-Id
	}
	handle /broken {
		reverse_proxy 127.0.0.1:%d
	}
	handle /here {
		header Cache-Control "public, max-age=600"
		respond "for {http.auth.user.id}"
	}
	handle {
		reverse_proxy %s
	}
	handle_errors {
		respond "for {http.auth.user.id}"
	}
}
`, g.port, issuer, audience, loginSecret, freePort(t), app.server.URL))
	site := startCache(t, g.url(""), app.server.URL)
	client := newClient(time.Minute)
	ask := func(path, cookie string) answer {
		req, err := http.NewRequest(http.MethodGet, site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		a, err := send(client, req)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	users := map[string]string{"alice": g.enter("alice"), "bob": g.enter("bob")}
	paths := map[string]int{"/nothing": 200, "/public": 200, "/shared": 200, "/accelerate": 200, "/missing": 404, "/here": 200, "/broken": 502}
	for path, status := range paths {
		for _, user := range []string{"alice", "bob", "alice"} {
			if a := ask(path, users[user]); a.status != status || a.body != "for "+user {
				t.Errorf("%s for %s: %d %q, %v", path, user, a.status, a.body, a.header)
			}
		}
		if a := ask(path, ""); a.status != http.StatusUnauthorized || strings.Contains(a.body, "alice") {
			t.Errorf("%s for nobody: %d %q", path, a.status, a.body)
		}
	}
	// The cache does keep all of these where nothing says otherwise.
	for path := range wishes {
		for range 3 {
			ask("/bare"+path, "")
		}
		app.mu.Lock()
		if n := app.asked[path]; n != 4 { // three for the users
			t.Errorf("control: %s was asked %d times, want once beside the users' three", path, n)
		}
		app.mu.Unlock()
	}
}
