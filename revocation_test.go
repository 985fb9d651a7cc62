package caddyoauth

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

const revocations = "admin.api.oauth_revocations"

// revokes asks the admin endpoint to take something back, or to let it in again.
func revokes(t *testing.T, method, body string, want int) string {
	t.Helper()
	status, answer := adminOf(t, revocations, method, "/oauth/revocations", body)
	if status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, body, status, answer, want)
	}
	return answer
}

// serves sends a token to a gateway, and answers the status and the challenge.
func serves(t *testing.T, g *Gateway, tok string) (status int, challenge string) {
	t.Helper()
	raw, w := benchRequest(tok)
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), w, &caddyhttp.Server{})
	if err := g.ServeHTTP(w, r, nothing); err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header().Get("WWW-Authenticate")
}

func TestAJWTThatWasTakenBackIsRefusedAtOnceAndLetInAgain(t *testing.T) {
	key := benchKey(t, "ES256")
	g := benchGateway(t, []*jwssign.Key{key}, nil)
	mine, other := benchToken(t, key, 1), benchToken(t, key, 2)
	for name, one := range map[string]string{
		"by jti":                `"jti": "3d1a9c7e-55f4-4b7e-8a90-000000000001"`,
		"by subject":            `"subject": "7f9c2ba4-e88f-4c52-9a1f-000000000001"`,
		"by subject and client": `"subject": "7f9c2ba4-e88f-4c52-9a1f-000000000001", "client": "orders-frontend"`,
	} {
		t.Run(name, func(t *testing.T) {
			if status, _ := serves(t, g, mine); status != http.StatusOK { // and it is remembered
				t.Fatal(status)
			}
			body := `{"issuer": "https://issuer.example", "reason": "a lost laptop", ` + one + `}`
			if answer := revokes(t, http.MethodPost, body, 200); !strings.Contains(answer, `"lists":1`) {
				t.Error(answer)
			}
			status, challenge := serves(t, g, mine)
			if want := `Bearer error="invalid_token", error_description="the access token was revoked"`; status != 401 || challenge != want {
				t.Errorf("%d %s, want %s", status, challenge, want)
			}
			if status, _ := serves(t, g, other); status != http.StatusOK {
				t.Errorf("%d for another token", status)
			}
			revokes(t, http.MethodDelete, body, 204)
			if status, _ := serves(t, g, mine); status != http.StatusOK {
				t.Errorf("%d after it was let in again", status)
			}
		})
	}
}

func TestWhatIsIssuedAfterwardsIsGood(t *testing.T) {
	key := benchKey(t, "ES256")
	g := benchGateway(t, []*jwssign.Key{key}, nil)
	issued := func(at time.Duration, more map[string]any) string {
		claims := map[string]any{
			"iss": "https://issuer.example", "aud": "api", "sub": "ann", "azp": "app", "sid": "s1",
			"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Add(at).Unix(),
		}
		maps.Copy(claims, more)
		tok, err := key.Token("JWT", claims)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	before := time.Now().Add(-time.Minute).Format(time.RFC3339)
	for _, one := range []struct{ words, refused, passes string }{
		{`"subject": "ann"`, issued(-time.Hour, nil), issued(0, nil)},
		{`"subject": "ann"`, issued(0, map[string]any{"iat": nil}), issued(-time.Hour, map[string]any{"sub": "bob"})},
		{`"client": "app"`, issued(-time.Hour, nil), issued(-time.Hour, map[string]any{"azp": "web"})},
		{`"client": "app"`, issued(-time.Hour, map[string]any{"azp": "web", "client_id": "app"}), issued(0, nil)},
		{`"sid": "s1"`, issued(-time.Hour, nil), issued(-time.Hour, map[string]any{"sid": "s2"})},
		{`"sid": "s1"`, issued(-time.Hour, map[string]any{"sid": nil, "session_state": "s1"}), issued(0, nil)},
		{``, issued(-time.Hour, map[string]any{"sub": "bob"}), issued(0, nil)},
	} {
		body := `{"issuer": "https://issuer.example", "before": "` + before + `"`
		if one.words != "" {
			body += ", " + one.words
		}
		body += "}"
		revokes(t, http.MethodPost, body, 200)
		if status, _ := serves(t, g, one.refused); status != 401 {
			t.Errorf("%s: %d for what was taken back", body, status)
		}
		if status, _ := serves(t, g, one.passes); status != 200 {
			t.Errorf("%s: %d for what was not", body, status)
		}
		revokes(t, http.MethodDelete, body, 204)
	}
}

func TestTheAdminEndpointTellsWhatIsWrongWithARevocation(t *testing.T) {
	key := benchKey(t, "ES256")
	benchGateway(t, []*jwssign.Key{key}, func(g *Gateway) { g.Revocation = &revocation.Revocation{Entries: 1} })
	const issuer = `"issuer": "https://issuer.example"`
	for body, want := range map[string]string{
		`{}`:                 "name subject, client, jti or sid",
		`{` + issuer + `}`:   "or say before",
		`{"subject": "ann"}`: "no issuer",
		`{"subjekt": "ann"}`: "unknown field",
		`subject=ann`:        "the body is no revocation",
		`{` + issuer + `, "subject": "ann", "before": "2999-01-01T00:00:00Z"}`: "in the future",
		`{` + issuer + `, "subject": "ann", "until": "2020-01-01T00:00:00Z"}`:  "until is over",
		`{"issuer": "https://issuer.example/", "subject": "ann"}`:              "to the letter",
		`{` + issuer + `, "jti": "` + strings.Repeat("a", 2000) + `"}`:         "jti takes UTF-8 text of 1024 bytes at most",
	} {
		status, answer := adminOf(t, revocations, http.MethodPost, "/oauth/revocations", body)
		if status < 400 || status > 404 || !strings.Contains(answer, want) {
			t.Errorf("%.80s: %d %s, want %q", body, status, answer, want)
		}
	}
	revokes(t, http.MethodPost, `{`+issuer+`, "jti": "1"}`, 200)
	if answer := revokes(t, http.MethodPost, `{`+issuer+`, "jti": "2"}`, http.StatusInsufficientStorage); !strings.Contains(answer, "full: it has 1 entries") {
		t.Error(answer)
	}
	revokes(t, http.MethodPost, `{`+issuer+`, "jti": "1"}`, 200) // it is there
	var list []struct{ Issuer, JTI, Source string }
	if err := json.Unmarshal([]byte(revokes(t, http.MethodGet, "", 200)), &list); err != nil || len(list) != 1 || list[0].JTI != "1" || list[0].Source != revoked.ByOperator {
		t.Errorf("%+v %v", list, err)
	}
	revokes(t, http.MethodDelete, `{`+issuer+`, "jti": "3"}`, 404)
}

func TestAGrantThatWasTakenBackEndsHoweverNewItsAccessToken(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	for name, past := range map[string]time.Duration{"at once": 0, "with its next request": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			app := g.answer(g.post("/auth", codeForm))
			if status, _ := g.get(app.AccessToken); status != 200 {
				t.Fatal(status)
			}
			list := grantsListed(t, "/oauth/grants")
			before := ""
			if past > 0 { // of what began until then
				before = fmt.Sprintf(`, "before": %q`, time.Now().Add(-past).Format(time.RFC3339Nano))
			}
			body := fmt.Sprintf(`{"issuer": %q, "subject": "alice"%s}`, issuer.URL, before)
			revokes(t, http.MethodPost, body, 200)
			defer revokes(t, http.MethodDelete, body, 204)
			status, _ := g.get(app.AccessToken)
			if want := map[bool]int{true: 200, false: 401}[past > 0]; status != want {
				t.Errorf("%d, want %d; %v; log: %s", status, want, list, g.logged())
			}
		})
	}
}

// What a client has for itself is found by its name, and ends without its next request.
func TestTheGrantsThatAClientHasForItselfEndWhenItIsTakenBack(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	client := "app-" + nextAddress()
	one, other := g.token(client), g.token("app-"+nextAddress())
	body := fmt.Sprintf(`{"issuer": %q, "client": %q}`, issuer.URL, client)
	if answer := revokes(t, http.MethodPost, body, 200); !strings.Contains(answer, `"ended":1`) {
		t.Error(answer)
	}
	defer revokes(t, http.MethodDelete, body, 204)
	g.wants(map[string]int{one.AccessToken: 401, other.AccessToken: 200})
	if log := g.logged(); !strings.Contains(log, `"reason":"no_grant"`) {
		t.Errorf("it did not end at once: %s", log)
	}
}
