package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// keycloakGuest is a browser of a person: it follows redirects, and fills in Keycloak's
// forms as they stand.
type keycloakGuest struct {
	t      *testing.T
	client *http.Client
}

// plainJar keeps Secure cookies over plain http too, as browsers do for their own
// machine and Go does not.
type plainJar struct{ http.CookieJar }

func (j plainJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		c.Secure = false
	}
	j.CookieJar.SetCookies(u, cookies)
}

func newKeycloakGuest(t *testing.T) *keycloakGuest {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(2 * time.Minute)
	client.Jar, client.CheckRedirect = plainJar{jar}, nil
	return &keycloakGuest{t, client}
}

// ask sends a request as a navigation, and says where it led. A form is posted.
func (p *keycloakGuest) ask(address string, form url.Values) (a answer, at *url.URL) {
	p.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		p.t.Fatal(err)
	}
	asNavigation(req)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	at = resp.Request.URL
	if a, err = readAnswer(resp); err != nil {
		p.t.Fatal(err)
	}
	return a, at
}

var kcForm = regexp.MustCompile(`(?s)<form[^>]* action="([^"]+)"`)

// submit sends the first form of a page with these fields.
func (p *keycloakGuest) submit(page answer, at *url.URL, fields url.Values) (answer, *url.URL) {
	p.t.Helper()
	m := kcForm.FindStringSubmatch(page.body)
	if m == nil {
		p.t.Fatalf("no form at %s: %d %.600s", at, page.status, page.body)
	}
	to, err := at.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.ask(to.String(), fields)
}

// logIn opens an address, and logs in at the form that it leads to.
func (p *keycloakGuest) logIn(address, name string) (answer, *url.URL) {
	p.t.Helper()
	page, at := p.ask(address, nil)
	if !strings.Contains(page.body, "kc-form-login") {
		p.t.Fatalf("%s leads to no log-in at Keycloak, but to %s: %d %.600s", address, at, page.status, page.body)
	}
	return p.submit(page, at, url.Values{"username": {name}, "password": {name + "-password"}, "credentialId": {""}})
}

// call is a request of a script in a page: it is not sent to log in.
func (p *keycloakGuest) call(address string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return send(p.client, req)
}

// served is what the upstream saw of a script's request.
func (p *keycloakGuest) served(address string) seen {
	p.t.Helper()
	a, err := p.call(address)
	if err != nil {
		p.t.Fatal(err)
	}
	return a.seen(p.t)
}

// jsonText is a text in an object.
func jsonText(t *testing.T, body, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	text, _ := all[name].(string)
	return text
}

func (s seen) token() string { return strings.TrimPrefix(s.Header.Get("Authorization"), "Bearer ") }

// wire is a line to Keycloak that notes the refresh tokens presented there.
type wire struct {
	mu        sync.Mutex
	presented []string
}

// wired is the realm behind a wire. Keycloak's issuer has the name it is asked by.
func (r *realm) wired() (*realm, *wire) {
	r.t.Helper()
	target, err := url.Parse(r.base)
	if err != nil {
		r.t.Fatal(err)
	}
	w := &wire{}
	proxy := &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(target)
		pr.Out.Host = pr.In.Host
		if pr.In.Method == http.MethodPost && strings.HasSuffix(pr.In.URL.Path, "/token") {
			text, _ := io.ReadAll(pr.In.Body)
			pr.Out.Body = io.NopCloser(strings.NewReader(string(text)))
			if form, err := url.ParseQuery(string(text)); err == nil && form.Get("refresh_token") != "" {
				w.mu.Lock()
				w.presented = append(w.presented, form.Get("refresh_token"))
				w.mu.Unlock()
			}
		}
	}}
	server := httptest.NewServer(proxy)
	r.t.Cleanup(server.Close)
	base := server.URL
	return &realm{t: r.t, name: r.name, base: base, url: base + "/realms/" + r.name}, w
}

func (w *wire) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.presented...)
}
