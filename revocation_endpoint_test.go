package caddyoauth

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

const jsonType = "application/json"

func TestWhoMayTakeBackAtTheEndpoint(t *testing.T) {
	issuer := newGrantor(t, nil)
	const secret = "0123456789abcdef0123456789abcdef"
	g := newGate(t, issuer, publicEndpoint+`
		revocation {
			endpoint /global_token_revocation
			secret   `+secret+`
			scope    users:logout
		}`)
	sign := func(claims map[string]any) string {
		all := map[string]any{"iss": issuer.URL, "aud": "api", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Add(-time.Hour).Unix()}
		maps.Copy(all, claims)
		tok, err := issuer.key.Token("at+jwt", all)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	may, mayNot := sign(map[string]any{"sub": "watch", "scope": "users:logout"}), sign(map[string]any{"sub": "watch", "scope": "read"})
	bob := fmt.Sprintf(`{"sub_id": {"format": "iss_sub", "iss": %q, "sub": "bob"}}`, issuer.URL)
	ask := func(method, authorization, kind, body string) (int, http.Header) {
		headers := []string{"Content-Type", kind}
		if authorization != "" {
			headers = append(headers, "Authorization", authorization)
		}
		res := g.send(method, "/global_token_revocation", body, headers...)
		return res.Code, res.Header()
	}
	for _, one := range []struct {
		what, method, authorization, kind, body string
		status                                  int
	}{
		{"nobody", "POST", "", jsonType, bob, 401},
		{"another secret", "POST", "Bearer " + secret + "0", jsonType, bob, 401},
		{"the secret as Basic", "POST", "Basic " + secret, jsonType, bob, 401},
		{"a token without the scope", "POST", "Bearer " + mayNot, jsonType, bob, 403},
		{"another method", "GET", "Bearer " + may, jsonType, bob, 405},
		{"a form", "POST", "Bearer " + may, formType, bob, 400},
		{"no JSON", "POST", "Bearer " + may, jsonType, "{", 400},
		{"no sub_id", "POST", "Bearer " + may, jsonType, "{}", 400},
		{"no user", "POST", "Bearer " + may, jsonType, `{"sub_id": {"format": "opaque"}}`, 400},
		{"an e-mail address", "POST", "Bearer " + may, jsonType, `{"sub_id": {"format": "email", "email": "bob@example.com"}}`, 422},
		{"another issuer's", "POST", "Bearer " + may, jsonType, `{"sub_id": {"format": "iss_sub", "iss": "https://other.example.com", "sub": "bob"}}`, 404},
		{"too much", "POST", "Bearer " + may, jsonType, `{"sub_id": "` + strings.Repeat("a", 40_000) + `"}`, 400},
	} {
		if status, header := ask(one.method, one.authorization, one.kind, one.body); status != one.status || status == 401 && header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v, want %d", one.what, status, header, one.status)
		}
	}
	mine := sign(map[string]any{"sub": "bob"})
	if status, _ := g.get(mine); status != 200 {
		t.Fatal(status)
	}
	for name, one := range map[string]struct{ authorization, body, sub string }{
		"a token with the scope": {"Bearer " + may, bob, "bob"},
		"the secret":             {"bearer " + secret, `{"sub_id": {"format": "opaque", "id": "carol"}}`, "carol"},
	} {
		if status, _ := ask("POST", one.authorization, jsonType, one.body); status != http.StatusNoContent {
			t.Errorf("%s: %d", name, status)
		}
		if status, _ := g.get(sign(map[string]any{"sub": one.sub, "jti": name})); status != 401 {
			t.Errorf("%s: %d for a token of who was logged out", name, status)
		}
	}
	if status, _ := g.get(sign(map[string]any{"sub": "dave"})); status != 200 {
		t.Errorf("%d for another user", status)
	}
	g.hides([]string{secret, may, mayNot})
}

// A client's grant that its user's token stands behind ends with the request that
// finds out, on whatever node; a refresh brings no new right.
func TestAGrantWhoseClientWasTakenBackEndsWithItsNextRequest(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	app := g.answer(g.post("/auth", codeForm))
	if status, _ := g.get(app.AccessToken); status != 200 {
		t.Fatal(status)
	}
	g.skip(2 * time.Second) // what began in that very second is meant, too
	body := fmt.Sprintf(`{"issuer": %q, "client": "app"}`, issuer.URL)
	revokes(t, http.MethodPost, body, 200)
	status, _ := g.get(app.AccessToken)
	if status != 401 || !strings.Contains(g.logged(), `"token_revoked"`) && !strings.Contains(g.logged(), "no_grant") {
		t.Errorf("%d; %s", status, g.logged())
	}
	revokes(t, http.MethodDelete, body, 204)
	if status, _ := g.get(app.AccessToken); status != 401 {
		t.Errorf("%d: the grant has not ended", status)
	}
	for _, one := range grantsListed(t, "/oauth/grants") {
		if one.State == "live" || one.Reason != "revoked" {
			t.Errorf("%+v", one)
		}
	}
}

func TestALogOutAtTheIssuerTakesBackWhatClientsBringThemselves(t *testing.T) {
	s := newPortal(t, "", nil)
	s.browser().logIn()
	bearer := func(claims map[string]any) string {
		all := map[string]any{"iss": s.issuer.URL, "aud": "api", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Add(-time.Minute).Unix(), "sub": "alice"}
		maps.Copy(all, claims)
		tok, err := s.issuer.key.Token("at+jwt", all)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	of := func(sid string) string { return bearer(map[string]any{"sid": sid, "jti": sid}) }
	for _, sid := range []string{"sid-1", "sid-2"} {
		if status, _ := s.gate.get(of(sid)); status != 200 {
			t.Fatal(status)
		}
	}
	if code := s.logout("logout+jwt", map[string]any{"sid": "sid-1", "sub": "alice"}); code != 200 {
		t.Fatal(code)
	}
	for tok, want := range map[string]int{
		of("sid-1"): 401, of("sid-2"): 200,
		bearer(map[string]any{"sid": "sid-1", "iat": time.Now().Add(2 * time.Second).Unix()}): 200, // the issuer stands by it
	} {
		if status, _ := s.gate.get(tok); status != want {
			t.Errorf("%d, want %d; %s", status, want, s.gate.logged())
		}
	}
	if code := s.logout("logout+jwt", map[string]any{"sub": "alice"}); code != 200 {
		t.Fatal(code)
	}
	if status, _ := s.gate.get(of("sid-2")); status != 401 {
		t.Errorf("%d after all of the user was logged out", status)
	}
}

// As Okta's Universal Logout asks: with a JWT that is signed for the endpoint, and
// that says nothing of whom it is about.
func TestAnIssuerTakesBackWithAJWTThatItSignsForTheEndpoint(t *testing.T) {
	issuer, other := newGrantor(t, nil), newGrantor(t, nil)
	const here = "https://api.example.com/global_token_revocation"
	g := rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n}\nissuer %s {\naudience api\n}\nrevocation {\nendpoint /global_token_revocation\njwt_audience %s\nemail_as_sub\n}\n}", issuer.URL, other.URL, here), &issuer.clock)
	number := 0
	signed := func(edits map[string]any) string {
		number++
		now := issuer.clock.now().Unix()
		all := map[string]any{"iss": issuer.URL, "aud": here, "sub": "gateway", "jti": fmt.Sprint("call-", number), "iat": now, "nbf": now - 300, "exp": now + 300}
		typ, is := edits["typ"].(string)
		if !is {
			typ = "global-token-revocation+jwt"
		}
		for name, value := range edits {
			all[name] = value
		}
		tok, err := issuer.key.Token(typ, all)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	ask := func(jwt, body string) int {
		return g.send("POST", "/global_token_revocation", body, "Content-Type", jsonType, "Authorization", "Bearer "+jwt).Code
	}
	user := func(sub string) string {
		return fmt.Sprintf(`{"sub_id": {"format": "iss_sub", "iss": %q, "sub": %q}}`, issuer.URL, sub)
	}
	once := signed(nil)
	for _, one := range []struct {
		what, jwt, body string
		status          int
	}{
		{"one for a user", once, user("bob"), 204},
		{"the same for another user", once, user("eve"), 401},
		{"an address", signed(nil), `{"subject": {"format": "email", "email": "max@example.com"}}`, 204},
		{"one that is over", signed(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), user("eve"), 401},
		{"one for another endpoint", signed(map[string]any{"aud": "https://b.example.com/global_token_revocation"}), user("eve"), 401},
		{"one of another issuer, signed by this one", signed(map[string]any{"iss": other.URL}), user("eve"), 401},
		{"one of an issuer that nobody knows", signed(map[string]any{"iss": "https://unknown.example"}), user("eve"), 401},
		{"an access token", signed(map[string]any{"typ": "at+jwt"}), user("eve"), 401},
		{"a user of the other issuer", signed(nil), fmt.Sprintf(`{"sub_id": {"format": "iss_sub", "iss": %q, "sub": "eve"}}`, other.URL), 404},
	} {
		if status := ask(one.jwt, one.body); status != one.status {
			t.Errorf("%s: %d, want %d\n%s", one.what, status, one.status, g.logged())
		}
	}
	long := map[string]any{"iat": issuer.clock.now().Add(-time.Minute).Unix()}
	for sub, want := range map[string]int{"bob": 401, "max@example.com": 401, "eve": 200} {
		if status, _ := g.get(issuer.access(sub, long)); status != want {
			t.Errorf("%s: %d, want %d", sub, status, want)
		}
	}
}
