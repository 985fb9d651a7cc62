package e2e

import (
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// A browser is driven by hand here: its cookies are Secure, and no Go jar sends
// those over plain http, as browsers do to their own machine.

// sessionCookie is the name of a session's cookie.
const sessionCookie = "__Host-oauth"

// browse logs a browser in: a navigation, the issuer, the callback.
func (r *rig) browse() session {
	r.t.Helper()
	const page = "/orders?page=2"
	sent := r.navigate(page, session{})
	sent.wantLogin(r.t, r)
	begun := sent.cookies()
	if len(begun) != 1 {
		r.t.Fatalf("beginning a log-in sets %d cookies, want one", len(begun))
	}
	back := r.followTo(sent.header.Get("Location"), r.g.url("/_oauth/callback"))
	r.secrets.add(kindCode, back.Query().Get("code"))
	r.secrets.add(kindVerifier, begun[0].Value, back.Query().Get("state")) // the verifier is sealed in the first
	req, err := http.NewRequest(http.MethodGet, back.String(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	asNavigation(req)
	req.AddCookie(&http.Cookie{Name: begun[0].Name, Value: begun[0].Value})
	a, err := send(r.client, req)
	if err != nil || a.status != http.StatusSeeOther || a.header.Get("Location") != page {
		r.t.Fatalf("the callback answers %d to %q, want 303 to %s; %v %s", a.status, a.header.Get("Location"), page, err, a.body)
	}
	for _, c := range a.cookies() {
		if c.Name == sessionCookie && c.MaxAge == 0 {
			r.secrets.add(kindCookie, c.Value)
			return session{cookie: c.Value}
		}
	}
	r.t.Fatal("the callback sets no session's cookie")
	return session{}
}

// followTo follows redirects with a jar of its own until they lead to an
// address that begins with stop, which is not asked for.
func (r *rig) followTo(address, stop string) *url.URL {
	r.t.Helper()
	return followTo(r.t, r.tap.client.Transport, address, stop)
}

func followTo(t *testing.T, transport http.RoundTripper, address, stop string) *url.URL {
	t.Helper()
	jar, _ := cookiejar.New(nil) // it fails for no input
	browser := &http.Client{Jar: jar, Timeout: time.Minute, Transport: transport}
	var last *url.URL
	browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		last = req.URL
		if strings.HasPrefix(req.URL.String(), stop) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := browser.Get(address)
	if err != nil {
		t.Fatalf("logging in: %v", err)
	}
	closeAll(resp.Body)
	if last == nil || last.Query().Get("code") == "" {
		t.Fatalf("logging in ended with %d at %v", resp.StatusCode, last)
	}
	return last
}

func asNavigation(req *http.Request) {
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Site", "none")
	req.Header.Set("Accept", "text/html")
}

// navigate is what a browser does with a link, with a session or without one.
func (r *rig) navigate(path string, s session) answer {
	r.t.Helper()
	a, err := r.tryNavigate(path, s)
	if err != nil {
		r.t.Fatalf("navigating to %s: %v", path, err)
	}
	return a
}

func (r *rig) tryNavigate(path string, s session) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, r.g.url(path), nil)
	if err != nil {
		return answer{}, err
	}
	asNavigation(req)
	if s.cookie != "" {
		s.present(req)
	}
	return send(r.client, req)
}

// logOut is the form of the gateway's own page.
func (r *rig) logOut(s session) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.g.url("/_oauth/logout"), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	s.present(req)
	a, err := send(r.client, req)
	if err != nil || a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), r.tap.url+"/session/end?") {
		r.t.Fatalf("the log-out answers %d to %.60q, want 303 to the issuer; %v", a.status, a.header.Get("Location"), err)
	}
	if hint, err := url.Parse(a.header.Get("Location")); err == nil {
		r.secrets.add(kindIDToken, hint.Query().Get("id_token_hint"))
	}
	a.wantCleared(r.t)
}

func (a answer) cookies() []*http.Cookie { return (&http.Response{Header: a.header}).Cookies() }

// wantCleared checks that the session's cookie is taken away.
func (a answer) wantCleared(t *testing.T) {
	t.Helper()
	if !slices.ContainsFunc(a.cookies(), func(c *http.Cookie) bool { return c.Name == sessionCookie && c.Value == "" && c.MaxAge < 0 }) {
		t.Errorf("the answer with %d clears no session's cookie", a.status)
	}
}

// wantLogin checks that a navigation is sent to the issuer, with PKCE.
func (a answer) wantLogin(t *testing.T, r *rig) {
	t.Helper()
	to, err := url.Parse(a.header.Get("Location"))
	if a.status != http.StatusFound || err != nil || !strings.HasPrefix(to.String(), r.tap.url+"/auth?") {
		t.Fatalf("%d to %.60q, want 302 to the issuer; %s", a.status, a.header.Get("Location"), a.body)
	}
	q := to.Query()
	r.secrets.add(kindVerifier, q.Get("state"), q.Get("nonce"))
	if q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("response_type") != "code" {
		t.Errorf("the authorization request has no PKCE: %v", slices.Sorted(maps.Keys(q)))
	}
	if challenges := a.header.Values("Www-Authenticate"); len(challenges) != 0 {
		t.Errorf("a redirect carries the challenge %q", challenges)
	}
}

// wantOut checks what a request with a session gets that is over.
func (a answer) wantOut(t *testing.T, s session) {
	t.Helper()
	if s.cookie == "" {
		a.wantChallenge(t, http.StatusUnauthorized, "invalid_token")
		return
	}
	a.wantChallenge(t, http.StatusUnauthorized, "") // as without any: nothing was presented that the client knows
	a.wantCleared(t)
}
