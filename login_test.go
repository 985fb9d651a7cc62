package caddyoauth

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
)

// A click leads to the issuer and back to where it was going, with a cookie
// that is a handle and nothing else. The upstream gets the issuer's token.
func TestABrowserLogsInAndTheUpstreamGetsItsToken(t *testing.T) {
	s := newPortal(t, "scope offline_access\nresource https://api.example/orders\nparameter audience orders", nil)
	b := s.browser()
	asked := b.begin("/orders?page=2")
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "gateway", "redirect_uri": "https://api.example/_oauth/callback",
		"scope": "openid offline_access", "code_challenge_method": "S256", "resource": "https://api.example/orders", "audience": "orders",
	} {
		if asked.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, asked.Get(name), want)
		}
	}
	res := b.back(asked)
	if b.want("callback", res, http.StatusSeeOther, ""); res.Header().Get("Location") != "/orders?page=2" {
		t.Error("not back where it was going: ", res.Header())
	}
	if len(b.cookies) != 1 || !strings.HasPrefix(b.cookies["__Host-oauth"], "ogs_") || len(b.cookies["__Host-oauth"]) != 68 {
		t.Errorf("cookies: %v", b.cookies)
	}
	if form := s.issuer.take()[0].Form; form.Get("resource") != "https://api.example/orders" {
		t.Errorf("the token request: %v", form)
	}
	if code := b.status("Cookie", "theirs=1; other=\"a b\""); code != http.StatusOK {
		t.Fatal(code, s.logged())
	}
	up := s.saw[0].Header
	if !strings.HasPrefix(up.Get("Authorization"), "Bearer ey") || strings.Join(up["Cookie"], "|") != `theirs=1; other="a b"` {
		t.Errorf("the upstream gets %v", up)
	}
	secrets := []string{b.cookies["__Host-oauth"], "the-code", asked.Get("state"), asked.Get("nonce"), "refresh-token-of-the-issuer"}
	s.hides(secrets)
}

func TestOnlyAPersonsClickIsSentToLogIn(t *testing.T) {
	s := newPortal(t, "", nil)
	for name, row := range map[string]struct {
		method  string
		headers []string
		want    int
	}{
		"a click":               {"GET", navigation, 302},
		"an old browser":        {"GET", []string{"Accept", "text/html,*/*"}, 302},
		"its HEAD":              {"HEAD", []string{"Accept", "text/html"}, 302},
		"a script":              {"GET", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}, 401},
		"a frame":               {"GET", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 401},
		"a picture":             {"GET", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 401},
		"curl":                  {"GET", []string{"Accept", "*/*"}, 401},
		"a form":                {"POST", navigation, 401},
		"a socket":              {"GET", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Accept", "text/html"}, 401},
		"a token that is wrong": {"GET", append([]string{"Authorization", "Bearer x.y.z"}, navigation...), 401},
		"another scheme":        {"GET", append([]string{"Authorization", "Basic eDp5"}, navigation...), 401},
	} {
		res := s.browser().do(row.method, "/orders", row.headers...)
		if res.Code != row.want {
			t.Errorf("%s: %d, want %d", name, res.Code, row.want)
		}
		if challenged := res.Header().Get("WWW-Authenticate") != ""; challenged != (row.want == 401) {
			t.Errorf("%s: challenged is %v", name, challenged)
		}
	}
}

func TestACallbackThatDoesNotFitAsksNoIssuer(t *testing.T) {
	s := newPortal(t, "", nil)
	b, other := s.browser(), s.browser()
	asked := b.begin("/orders")
	state := asked.Get("state")
	for name, res := range map[string]*httptest.ResponseRecorder{
		"of another browser": other.back(asked),
		"without a state":    b.back(asked, "state", ""),
		"of a wrong state":   b.back(asked, "state", state[:len(state)-1]+"_"),
		"with two states":    b.do("GET", "/_oauth/callback?code=the-code&state="+state+"&state="+state),
		"by POST":            b.do("POST", "/_oauth/callback?code=the-code&state="+state),
	} {
		if res.Code != 400 && res.Code != 405 {
			t.Errorf("%s: %d", name, res.Code)
		}
	}
	if n := s.issuer.count(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
	if b.back(asked).Code != http.StatusSeeOther {
		t.Error("the right one does not work any more: ", s.logged())
	}
	s.issuer.take()
	b.cookies = map[string]string{}
	if b.want("a second time", b.back(asked), 400, "This log-in has ended"); s.issuer.count() != 0 {
		t.Error("and the issuer was asked")
	}
}

// The cookie may have been copied: it still serves once.
func TestALogInIsFinishedOnce(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	asked := b.begin("/orders")
	copied := &tab{s, maps.Clone(b.cookies)}
	b.back(asked)
	s.issuer.take()
	if copied.want("the copy", copied.back(asked), 400, "This log-in has ended"); s.issuer.count() != 0 {
		t.Error("the issuer was asked")
	}
}

func TestTheIssuerIsComparedExactly(t *testing.T) {
	s := newPortal(t, "", nil)
	for _, iss := range []string{"", s.issuer.URL + "/", "https://evil.example"} {
		b := s.browser()
		b.want("iss "+iss, b.back(b.begin("/"), "iss", iss), 400, "did not come from the service")
	}
	quiet := newPortal(t, "", func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") })
	b := quiet.browser()
	b.want("an issuer that does not name itself", b.back(b.begin("/"), "iss", ""), 303, "")
	b.want("another", b.back(b.begin("/_oauth/login"), "iss", "https://evil.example"), 400, "did not come from the service")
	if n := s.issuer.count(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestAWrongAnswerOfTheIssuerStoresNothing(t *testing.T) {
	for name, row := range map[string]struct {
		claims, tokens map[string]any
		words          string
	}{
		"another nonce":            {claims: map[string]any{"nonce": "x"}, words: "could not be verified"},
		"no nonce":                 {claims: map[string]any{"nonce": nil}, words: "could not be verified"},
		"another issuer":           {claims: map[string]any{"iss": "https://evil.example"}, words: "could not be verified"},
		"another client":           {claims: map[string]any{"aud": "somebody"}, words: "could not be verified"},
		"two audiences, no azp":    {claims: map[string]any{"aud": []string{"gateway", "x"}}, words: "could not be verified"},
		"another azp":              {claims: map[string]any{"azp": "x"}, words: "could not be verified"},
		"expired":                  {claims: map[string]any{"exp": 1}, words: "could not be verified"},
		"no exp":                   {claims: map[string]any{"exp": nil}, words: "could not be verified"},
		"no iat":                   {claims: map[string]any{"iat": nil}, words: "could not be verified"},
		"no sub":                   {claims: map[string]any{"sub": nil}, words: "could not be verified"},
		"another at_hash":          {claims: map[string]any{"at_hash": "x"}, words: "could not be verified"},
		"a logout token":           {claims: map[string]any{"events": map[string]any{}}, words: "could not be verified"},
		"no ID token":              {tokens: map[string]any{"id_token": nil}, words: "could not be verified"},
		"an ID token of nobody":    {tokens: map[string]any{"id_token": "a.b.c"}, words: "could not be verified"},
		"an opaque access token":   {tokens: map[string]any{"access_token": "opaque"}, words: "not meant for this site"},
		"an access token not ours": {tokens: map[string]any{"access_token": "eyJhbGciOiJub25lIn0.e30.AA"}, words: "not meant for this site"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPortal(t, "", nil)
			s.claims, s.tokens = row.claims, row.tokens
			b := s.browser()
			b.want(name, b.back(b.begin("/orders")), http.StatusForbidden, row.words)
			if len(b.cookies) != 0 {
				t.Errorf("cookies: %v", b.cookies)
			}
			if asked := s.issuer.take(); len(asked) != 2 || asked[1].Path != "/revoke" {
				t.Errorf("what was granted is not given back: %v", asked)
			}
		})
	}
}

func TestWhatTheIssuerRefusesIsAPageWithAWayOn(t *testing.T) {
	s := newPortal(t, "", nil)
	for failure, row := range map[string]struct {
		status int
		words  string
	}{
		"access_denied":           {403, "You are not logged in"},
		"login_required":          {403, "You are not logged in"},
		"invalid_scope":           {403, "refused this site"},
		"temporarily_unavailable": {503, "Try again later"},
		"<script>x</script>":      {403, "refused this site"},
	} {
		b := s.browser()
		res := b.back(b.begin("/orders?page=3"), "error", failure, "code", "")
		b.want(failure, res, row.status, row.words)
		if b.want(failure, res, row.status, `<a href="/orders?page=3">Try again</a>`); strings.Contains(res.Body.String(), "<script>") {
			t.Error("what came with the request is shown")
		}
		if res.Code == 503 && res.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if n := s.issuer.count(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestABadCodeIsRefusedAndAnOutageIsNot(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	b.want("a wrong code", b.back(b.begin("/"), "code", "x"), 400, "does not know this log-in")
	s.issuer.says(503, "")
	b.want("an outage", b.back(b.begin("/")), 503, "Try again later")
	s.issuer.says(401, `{"error":"invalid_client"}`)
	b.want("a wrong secret", b.back(b.begin("/")), 503, "Try again later")
}

// A log-in costs a stranger nothing to begin, and each callback with a code that
// was made up is a call to the issuer as the gateway's client.
func TestCallbacksWithAMadeUpCodeAreBounded(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	for range limits.MostFailures {
		b.want("a made-up code", b.back(b.begin("/"), "code", "made-up"), 400, "does not know this log-in any more")
	}
	s.issuer.take()
	last := b.begin("/")
	res := b.back(last, "code", "made-up")
	b.want("after ten", res, 429, "Try again in a minute")
	if n := s.issuer.count(); n > 0 || res.Header().Get("Retry-After") == "" {
		t.Errorf("the issuer was asked %d times more; %v", n, res.Header())
	}
	if !strings.Contains(s.logged(), "too many failed attempts") {
		t.Error("no log line says why")
	}
	s.answer(s.post("/auth", "grant_type=client_credentials", basic("orders", "s")...)) // no matter of the token endpoint's
	there := s.address
	s.address = nextAddress()
	s.browser().logIn()
	s.address = there
	for range limits.MostFailures { // and the other way round
		s.post("/auth", "grant_type=refresh_token&refresh_token=x", basic("gateway", "s")...)
	}
	s.address = nextAddress()
	s.browser().logIn()
}

func TestTabsLogInSideBySideAndTheLastOneCounts(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	first := b.begin("/one")
	second := b.begin("/two")
	if len(b.cookies) != 2 {
		t.Fatalf("cookies: %v", b.cookies)
	}
	s.asked = first
	if res := b.back(first); res.Header().Get("Location") != "/one" {
		t.Error(res.Code, s.logged())
	}
	old := b.cookies["__Host-oauth"]
	s.asked = second
	if res := b.back(second); res.Header().Get("Location") != "/two" {
		t.Error(res.Code, s.logged())
	}
	if b.cookies["__Host-oauth"] == old || b.status() != 200 {
		t.Error("no new session")
	}
	// The first one has ended. A browser that still sends it must not lose the
	// second.
	late := &tab{s, map[string]string{"__Host-oauth": old}}
	res := late.do("GET", "/orders")
	if res.Code != 401 || len(res.Result().Cookies()) != 0 {
		t.Errorf("the first session: %d %v", res.Code, res.Header())
	}
}

func TestABrowserKeepsFewBegunLogIns(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser()
	for range 12 {
		b.begin("/orders?" + strings.Repeat("q", 300))
	}
	size := 0
	for name, value := range b.cookies {
		size += len(name) + len(value)
	}
	if n := len(b.cookies); n > mostBegun || n < 2 || size > begunBytes {
		t.Errorf("%d cookies with %d bytes", n, size)
	}
	if b.back(s.asked).Code != 303 {
		t.Error("the last one does not work: ", s.logged())
	}
}

func TestNoBrowserIsSentToAnotherSite(t *testing.T) {
	s := newPortal(t, "", nil)
	for target, want := range map[string]string{
		"/a?b=c%20d": "/a?b=c%20d", "": "/", "//evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "https://evil.example": "/",
		"/\t/evil.example": "/", "javascript:alert(1)": "/", "/a\nb": "/", "/" + strings.Repeat("a", 9000): "/", "/%5Cevil.example": "/",
		"/a#b": "/", "/_oauth/login": "/", "/_OAUTH/callback?x": "/", "/_oauth/sessions": "/_oauth/sessions", "/é": "/", "/%2F/evil.example": "/",
	} {
		b := s.browser()
		res := b.back(b.begin("/_oauth/login?return=" + url.QueryEscape(target)))
		if at := res.Header().Get("Location"); at != want {
			t.Errorf("%q leads to %q, want %q", target, at, want)
		}
	}
}

func TestOwnPathsAreNeverForwarded(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	for _, path := range []string{"/_oauth/", "/_oauth/x", "/_OAUTH/Callback/", "/_oauth/callback/../x"} {
		if res := b.do("GET", path); res.Code != 404 {
			t.Errorf("%s: %d", path, res.Code)
		}
	}
	if len(s.saw) != 0 {
		t.Error("the upstream saw ", s.saw[0].URL)
	}
	if !slices.Contains(s.OwnPaths(), "/_oauth/*") {
		t.Error(s.OwnPaths())
	}
}
