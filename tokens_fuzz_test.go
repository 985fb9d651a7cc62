package caddyoauth

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// inProcess is a transport to a grantor without a network.
type inProcess struct{ issuer *grantor }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	res := httptest.NewRecorder()
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	p.issuer.ServeHTTP(res, r)
	return res.Result(), nil
}

// withoutNetwork lets the gate ask its issuer in process.
func (g *gate) withoutNetwork(issuer *grantor) {
	server := as.New(as.Config{Issuer: issuer.URL, Now: issuer.clock.now, Jitter: rand.Float64, Transport: inProcess{issuer}})
	g.TB.Cleanup(server.Close)
	t := g.validator.First()
	t.Profile.Keys, t.Server = server, server
}

// Whatever is sent to the gateway's own endpoints: no panic, no failure unless
// the issuer was asked, never client_credentials with the gateway's own
// credentials, no secret in answer or log, and nothing forwarded.
func FuzzTokenRequest(f *testing.F) {
	const mark = "a-secret-that-nobody-may-see"
	b64 := basic("orders", mark)[1]
	for _, s := range []struct{ method, path, kind, authorization, query, body string }{
		{"POST", "/auth", formType, b64, "", "grant_type=client_credentials&scope=a+b&resource=x&resource=y"},
		{"POST", "/auth", formType, "", "", "grant_type=client_credentials&client_id=orders&client_secret=" + mark},
		{"POST", "/auth", formType, "", "", "client_id=orders&client_secret=" + mark},
		{"POST", "/auth", formType, "", "", codeForm},
		{"POST", "/auth", formType + "; charset=utf-8", "", "", deviceForm},
		{"POST", "/auth", formType, "", "", "grant_type=refresh_token&client_id=app&refresh_token={r}"},
		{"POST", "/auth", formType, b64, "", "grant_type=refresh_token&refresh_token={r}"},
		{"POST", "/auth", formType, "", "", "grant_type=client_credentials&client_id=gateway&client_secret=the-gateways-own-secret"},
		{"POST", "/auth", formType, basic("gateway", "the-gateways-own-secret")[1], "", "grant_type=client_credentials"},
		{"POST", "/auth", formType, "Basic Z2F0ZXdheTo=", "", "grant_type=client_credentials&client_assertion=" + mark},
		{"POST", "/revoke", formType, "", "", "client_id=app&token={r}"},
		{"POST", "/revoke", formType, b64, "", "token={a}&token_type_hint=access_token"},
		{"POST", "/device", formType, "", "", "client_id=tv&scope=a"},
		{"POST", "/device", formType, "Basic dHY6", "client_secret=" + mark, "client_id=tv"},
		{"GET", "/auth", "", "Bearer " + mark, "a=b", ""},
		{"POST", "/auth", "multipart/form-data; boundary=x", "", "", "--x\r\n"},
		{"PUT", "/auth", formType, "Basic !!", "", "%zz=1&a=%"},
	} {
		f.Add(s.method, s.path, s.kind, s.authorization, s.query, s.body)
	}
	issuer := newGrantor(f, nil)
	g := newGate(f, issuer, strings.Replace(publicEndpoint, "{", "{\ndefault_grant client_credentials", 1))
	g.withoutNetwork(issuer)
	mine := g.answer(g.post("/auth", codeForm))
	fill := strings.NewReplacer("{a}", mine.AccessToken, "{r}", mine.RefreshToken)
	f.Fuzz(func(t *testing.T, method, path, kind, authorization, query, body string) {
		g.TB = t
		if path != "/auth" && path != "/revoke" && path != "/device" {
			path = "/auth"
		}
		raw := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, RequestURI: path + "?" + query, Host: "api.example",
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: nextAddress() + ":1", Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(fill.Replace(body))),
		}
		for name, value := range map[string]string{"Content-Type": kind, "Authorization": authorization} {
			if value != "" {
				raw.Header.Set(name, value)
			}
		}
		issuer.take()
		g.logs.TakeAll()
		res := g.serve(raw.WithContext(t.Context()))
		asked := issuer.take()
		if len(g.saw) > 0 {
			t.Error("it was forwarded")
			g.saw = nil
		}
		if res.Code >= 500 && len(asked) == 0 || res.Code < 200 {
			t.Errorf("%d %s, and the issuer was not asked", res.Code, res.Body)
		}
		if h := res.Header(); h.Get("Cache-Control") != "no-store" {
			t.Errorf("it may be stored: %v", h)
		}
		for _, q := range asked {
			ours := q.client() == "gateway" || strings.Contains(q.Form.Encode()+q.Password, "the-gateways-own-secret")
			if ours && q.Form.Get("grant_type") == tokenrequest.ClientCredentials {
				t.Errorf("asked as the gateway: %+v", q)
			}
			if ours && q.Path == "/token" && q.Form.Get("grant_type") != tokenrequest.DeviceCodeURN && q.Form.Get("code_verifier") == "" {
				t.Errorf("asked as the gateway without PKCE: %+v", q)
			}
		}
		if res.Code >= 400 || path == "/revoke" {
			for _, secret := range []string{mark, "the-gateways-own-secret", "refresh-token-of-the-issuer", mine.RefreshToken[10:40]} {
				if strings.Contains(res.Body.String(), secret) {
					t.Errorf("the answer shows %q: %s", secret, res.Body)
				}
			}
		}
		for _, secret := range []string{mark, "the-gateways-own-secret", "refresh-token-of-the-issuer", mine.RefreshToken[10:40], mine.AccessToken[10:40]} {
			// An id is no secret, wherever it was copied from.
			if log := g.logged(); strings.Contains(log, secret) && !strings.Contains(log, `"client_id":"`) {
				t.Errorf("the log shows %q: %s", secret, log)
			}
		}
		if path == "/auth" && res.Code == http.StatusOK {
			var answer tokenAnswer
			if err := json.Unmarshal(res.Body.Bytes(), &answer); err != nil || !strings.HasPrefix(answer.AccessToken, credential.AccessPrefix) {
				t.Errorf("%s", res.Body)
			}
		}
	})
}

// wholeOurs is a simple reading of what a token of ours looks like in a text.
var wholeOurs = regexp.MustCompile(`(?:^|[^A-Za-z0-9_-]|%[0-9A-Fa-f]{2})og[ar]_[A-Za-z0-9_-]{64}`)

func readsOurs(text string) bool {
	return wholeOurs.MatchString(text) || wholeOurs.MatchString(lenient.Unescape(text))
}

// Whatever stands in a request, no token of ours gets to the upstream, none is
// in the log, and one that is alone in its place works.
func FuzzReferenceToken(f *testing.F) {
	for _, s := range []struct{ authorization, target, cookie, other string }{
		{"Bearer {a}", "/orders?a=1", "", ""}, {"bearer   {a}", "/", "a=1; b=2", "x"}, {"Bearer {r}", "/", "", ""},
		{"Bearer {a}=", "/", "", ""}, {"Basic {a}", "/", "", ""}, {"{a}", "/", "", ""}, {"Bearer {a}, Bearer {a}", "/", "", ""},
		{"", "/?x={a}", "", ""}, {"", "/{r}", "", ""}, {"Bearer {a}", "/%6Fga_{rest}", "", ""}, {"Bearer {a}", "/?x=%6fga_{rest}&y", "", ""},
		{"", "/", "a={a}", ""}, {"Bearer {a}", "/", `a="{r}"; b`, ""}, {"", "/", "", "{a}"}, {"", "/", "", "https://x/?{r}&y"},
		{"", "/", "auth=%7B%22access_token%22%3A%22{a}%22%7D", "https://app/cb?next=%2Fx%3Ft%3D{r}"},
		{"", "/?redirect=%2Fcb%3Fnext%3D%252Fy%253Ft%253D{a}", "", "/?t=oga%5F{rest}"}, {"", "/?t=oga%5F{rest}%", "", ""},
		{"", "/?x=%zz%3D{a}", "", ""}, {"", "/a%3D{a}", "", "oga_oga_oga_oga_{a}"},
		{"", "/", "{a}", ""}, {"", "/", "a b={a}; c", ""}, {"", "/", `b=a,b\{r}`, ""}, {"", "/", "{a}=1", ""},
		{"Bearer a.b.c", "/?eyoga_{rest}", "a=xoga_{rest}", "-oga_{rest}"}, {"Bearer oga_", "/?oga_", "ogr_=oga_", "oga_ogr_"},
	} {
		f.Add(s.authorization, s.target, s.cookie, s.other)
	}
	issuer := newGrantor(f, nil)
	g := newGate(f, issuer, endpoint+"\nallow_anonymous")
	g.withoutNetwork(issuer)
	tok := g.token("orders")
	fill := strings.NewReplacer("{a}", tok.AccessToken, "{r}", tok.RefreshToken, "{rest}", tok.AccessToken[4:])
	f.Fuzz(func(t *testing.T, authorization, target, cookie, other string) {
		g.TB = t
		for _, text := range []string{authorization, target, cookie, other} {
			if text = fill.Replace(text); credential.HoldsOurs(text) != readsOurs(text) {
				t.Errorf("%q holds a token of ours: %v", text, credential.HoldsOurs(text))
			}
		}
		u, err := url.ParseRequestURI(fill.Replace(target))
		if err != nil || u.Host != "" {
			t.Skip()
		}
		raw := &http.Request{
			Method: http.MethodGet, URL: u, RequestURI: fill.Replace(target), Host: "api.example", Proto: "HTTP/1.1",
			ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:1", Header: http.Header{}, Body: http.NoBody,
		}
		for name, value := range map[string]string{"Authorization": authorization, "Cookie": cookie, "X-Other": other} {
			if value != "" {
				raw.Header.Set(name, fill.Replace(value))
			}
		}
		g.saw = nil
		g.logs.TakeAll()
		res := g.serve(raw.WithContext(t.Context()))
		if res.Code != 200 && res.Code/100 != 4 {
			t.Errorf("%d %s", res.Code, res.Body)
		}
		for _, r := range g.saw {
			seen := []string{r.URL.Path, lenient.Unescape(r.URL.RawQuery), r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-Other")}
			for _, text := range seen {
				if wholeOurs.MatchString(text) {
					t.Errorf("the upstream saw %q", text)
				}
			}
			if authorization == "Bearer {a}" && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
				t.Errorf("the upstream's Authorization is %q", r.Header.Get("Authorization"))
			}
		}
		if log := g.logged(); wholeOurs.MatchString(log) {
			t.Errorf("the log has it: %s", log)
		}
		clean := !wholeOurs.MatchString(fill.Replace(u.Path + "\n" + lenient.Unescape(u.RawQuery) + "\n" + cookie + "\n" + other))
		if authorization == "Bearer {a}" && clean && policy.CheckPath(u, false) == nil && res.Code != 200 && g.ownPath(raw) == nil {
			t.Errorf("%d %s for a good token", res.Code, res.Body)
		}
	})
}
