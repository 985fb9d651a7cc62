package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// below makes a request that came by https, and of which prefix was taken off.
func below(target, prefix string, headers ...string) *http.Request {
	raw := httptest.NewRequest(http.MethodGet, "https://app.example"+prefix+target, nil)
	raw.RequestURI = prefix + target
	for n := 0; n < len(headers); n += 2 {
		raw.Header.Add(headers[n], headers[n+1])
	}
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
	r.URL.Path = r.URL.Path[len(prefix):]
	return r
}

func TestAPrefixThatWasTakenOffIsPutBack(t *testing.T) {
	s := newPortal(t, "", nil)
	res := httptest.NewRecorder()
	r := below("/orders?page=2", "/app", navigation...)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if err := s.ServeHTTP(res, r, next); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(res.Header().Get("Location"))
	if err != nil || at.Query().Get("redirect_uri") != "https://app.example/app/_oauth/callback" {
		t.Fatalf("%d %v", res.Code, res.Header())
	}
	b := &tab{s, map[string]string{}}
	for _, c := range res.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	s.asked = at.Query()
	back := below("/_oauth/callback?state="+s.asked.Get("state")+"&code=the-code&iss="+url.QueryEscape(s.issuer.URL), "/app")
	for name, value := range b.cookies {
		back.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res = httptest.NewRecorder()
	if err := s.ServeHTTP(res, back, next); err != nil || res.Header().Get("Location") != "/app/orders?page=2" {
		t.Errorf("%d %v %v", res.Code, res.Header(), err)
	}
}

func TestALogInOverPlainHTTPSaysWhatIsWrong(t *testing.T) {
	s := newPortal(t, "", nil)
	res := s.gate.send(http.MethodGet, "/orders", "", navigation...)
	s.browser().want("plain http", res, http.StatusBadRequest, "Log-in needs https")
	if len(res.Result().Cookies()) != 0 {
		t.Error("a cookie that no browser keeps")
	}
}

// Caddy takes //app for /app, and browsers take //app/x for the host app.
func TestALinkBelowAPrefixStaysOnTheSiteHoweverThePrefixIsSpelled(t *testing.T) {
	issuer := newGrantor(t, nil)
	for _, row := range []struct{ path, target, want string }{
		{"/app/*", "/app/_oauth/logout", "/app/_oauth/sessions"},
		{"/app/*", "//app/_oauth/logout", "/app/_oauth/sessions"},
		{"/app/*", "///app/_oauth/logout", "/app/_oauth/sessions"},
		{"/app/v1/*", "//app//v1/_oauth/logout", "/app/v1/_oauth/sessions"},
		{`"/a b/*"`, "/a%20b/_oauth/logout", "/a%20b/_oauth/sessions"},
	} {
		block := fmt.Sprintf("oauth {\nissuer %s {\naudience api\nclient gateway secret\n}\nlogin\nsession {\nstore memory\n}\n}", issuer.URL)
		res := siteOf(t, "handle_path "+row.path+" {\n"+block+"\nrespond hi\n}")(http.MethodGet, "https://api.example"+row.target, "")
		if want := `<a href="` + row.want + `">Where I am logged in</a>`; res.Code != http.StatusOK || !strings.Contains(res.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", row.target, res.Code, regexp.MustCompile(`<a .*`).FindString(res.Body.String()), want)
		}
	}
}
