package caddyoauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// portal is a gate with log-in, and what its issuer puts into ID tokens.
type portal struct {
	*gate
	issuer *grantor
	claims map[string]any // added to the ID token; nil takes a claim out
	tokens map[string]any // added to the token answer
	asked  url.Values     // of the last authorization request
}

// newPortal provisions a gateway with log-in. words are those of its block.
func newPortal(tb testing.TB, words string, change func(metadata map[string]any)) *portal {
	tb.Helper()
	return portalWith(tb, "login {\n"+words+"\n}\n"+endpoint, change)
}

// portalWith provisions one from the words of its directive.
func portalWith(tb testing.TB, block string, change func(metadata map[string]any)) *portal {
	tb.Helper()
	issuer := newGrantor(tb, func(m map[string]any) {
		m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
		m["end_session_endpoint"] = m["issuer"].(string) + "/end"
		m["authorization_response_iss_parameter_supported"] = true
		if change != nil {
			change(m)
		}
	})
	s := &portal{gate: newGate(tb, issuer, block), issuer: issuer}
	issuer.reply(s.token)
	return s
}

// token is the issuer's token endpoint, which proves the verifier.
func (s *portal) token(w http.ResponseWriter, q *asked) {
	if q.Path != "/token" || q.Form.Get("grant_type") != tokenrequest.AuthorizationCode {
		s.issuer.grant(w, q)
		return
	}
	sum := sha256.Sum256([]byte(q.Form.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != s.asked.Get("code_challenge") || q.Form.Get("code") != "the-code" ||
		q.Form.Get("redirect_uri") != s.asked.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	access := s.issuer.access("alice")
	answer := map[string]any{
		"token_type": "Bearer", "expires_in": int(accessLife.Seconds()), "access_token": access, "refresh_token": "refresh-token-of-the-issuer",
		"id_token": s.sign("JWT", map[string]any{"sub": "alice", "nonce": s.asked.Get("nonce"), "sid": "sid-1"}, s.claims),
	}
	maps.Copy(answer, s.tokens)
	_ = json.NewEncoder(w).Encode(answer)
}

// sign makes a token for the gateway's client.
func (s *portal) sign(typ string, claims ...map[string]any) string {
	now := s.clock.now().Unix()
	all := map[string]any{"iss": s.issuer.URL, "aud": "gateway", "iat": now, "exp": now + 300}
	for _, more := range claims {
		for name, value := range more {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
	}
	text, err := s.issuer.key.Token(typ, all)
	if err != nil {
		s.Error(err)
	}
	return text
}

// tab is a browser with its cookies.
type tab struct {
	*portal
	cookies map[string]string
}

func (s *portal) browser() *tab { return &tab{s, map[string]string{}} }

// navigation are the headers of a person's click.
var navigation = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none", "Accept", "text/html"}

// do sends a request over https with the browser's cookies, and keeps those
// that come back.
func (b *tab) do(method, target string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	return b.send(method, target, "", headers...)
}

func (b *tab) send(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	b.Helper()
	raw := httptest.NewRequest(method, "https://api.example"+target, strings.NewReader(body))
	raw.RequestURI, raw.RemoteAddr = target, b.address+":4711"
	for n := 0; n < len(headers); n += 2 {
		raw.Header.Add(headers[n], headers[n+1])
	}
	for name, value := range b.cookies {
		raw.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res := b.serve(raw)
	for _, c := range res.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			b.Errorf("the cookie %s is not kept well: %v", c.Name, c)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return res
}

// begin goes to a page and answers the authorization request that comes back.
func (b *tab) begin(target string) url.Values {
	b.Helper()
	res := b.do(http.MethodGet, target, navigation...)
	at, err := url.Parse(res.Header().Get("Location"))
	if err != nil || res.Code != http.StatusFound || res.Header().Get("Cache-Control") != "no-store" {
		b.Fatalf("no way to the issuer: %d %v; log: %s", res.Code, res.Header(), b.logged())
	}
	if !strings.HasPrefix(at.String(), b.issuer.URL+"/authorize?tenant=1&") {
		b.Errorf("not the authorization endpoint: %s", at)
	}
	b.asked = at.Query()
	return b.asked
}

// back is the callback of an authorization request.
func (b *tab) back(request url.Values, more ...string) *httptest.ResponseRecorder {
	b.Helper()
	q := url.Values{"state": {request.Get("state")}, "code": {"the-code"}, "iss": {b.issuer.URL}}
	for n := 0; n < len(more); n += 2 {
		if q.Set(more[n], more[n+1]); more[n+1] == "" {
			q.Del(more[n])
		}
	}
	at, err := url.Parse(request.Get("redirect_uri"))
	if err != nil {
		b.Fatal(err)
	}
	return b.do(http.MethodGet, at.Path+"?"+q.Encode(), append([]string{"Sec-Fetch-Site", "cross-site"}, navigation[:4]...)...)
}

// logIn logs the browser in.
func (b *tab) logIn() *tab {
	b.Helper()
	if res := b.back(b.begin("/orders?page=2")); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/orders?page=2" {
		b.Fatalf("not logged in: %d %v; log: %s", res.Code, res.Header(), b.logged())
	}
	return b
}

// status asks for something as a script of the site does.
func (b *tab) status(headers ...string) int {
	b.Helper()
	return b.do(http.MethodGet, "/orders", headers...).Code
}

func (b *tab) want(what string, res *httptest.ResponseRecorder, status int, words string) {
	b.Helper()
	text := res.Body.String()
	if res.Code != status || !strings.Contains(text, words) {
		b.Errorf("%s: %d %.2000s, want %d with %q; log: %s", what, res.Code, text, status, words, b.logged())
	}
	if policy := res.Header().Get("Content-Security-Policy"); status != http.StatusSeeOther && words != "" &&
		(!strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") ||
			res.Header().Get("X-Frame-Options") != "DENY" || res.Header().Get("Cache-Control") != "no-store") {
		b.Errorf("%s: the page is not closed: %v", what, res.Header())
	}
}
