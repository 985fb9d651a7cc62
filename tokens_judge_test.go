package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

const allGrants = `token_endpoint /auth {
	grant_types client_credentials refresh_token authorization_code device_code
	public_clients app
}`

// beginnings are the forms that begin a grant, and who sends them.
var beginnings = map[string][]string{
	"grant_type=client_credentials":                                                           basic("orders", "orders-secret"),
	"grant_type=authorization_code&client_id=app&code=the-code&code_verifier=v":               nil,
	"grant_type=" + tokenrequest.DeviceCodeURN + "&client_id=app&device_code=the-device-code": nil,
}

// grants lets the issuer grant an access token, whatever it is asked for.
func (i *grantor) grants(token func() string, more ...string) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		if q.Path != "/token" {
			i.knows(w, q)
			return
		}
		answer := map[string]any{"token_type": "Bearer", "expires_in": 300, "access_token": token()}
		if q.Form.Get("grant_type") != tokenrequest.ClientCredentials {
			answer["refresh_token"] = "refresh-token-of-the-issuer"
		}
		for n := 0; n < len(more); n += 2 {
			answer[more[n]] = more[n+1]
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func (g *gate) kept() (n int) {
	g.Helper()
	s, err := g.keeper.Open(g.Context())
	if err != nil {
		g.Fatal(err)
	}
	if err := s.List(g.Context(), func(session.Summary) bool { n++; return true }); err != nil {
		g.Fatal(err)
	}
	return n
}

// A client that gets a reference has something that works, or is told what to
// ask for otherwise.
func TestAGrantThatCanNeverPassIsRefusedGivenBackAndNotKept(t *testing.T) {
	for name, c := range map[string]struct {
		block  string
		token  func(i *grantor) string
		want   string
		text   string // in the answer
		detail string // in the log
	}{
		"another audience": {"", func(i *grantor) string { return i.access("alice", map[string]any{"aud": "api://other"}) },
			"400 invalid_target", "another audience", "wrong_audience: aud is"},
		"no audience at all": {"", func(i *grantor) string { return i.access("alice", map[string]any{"aud": nil}) },
			"400 invalid_target", "", "Issuer: "},
		"the resource was not asked for": {"resource https://api.example.com/", func(i *grantor) string { return i.access("alice") },
			"400 invalid_target", "resource=https://api.example.com/", "RFC 8707"},
		"opaque, and nobody is asked": {"", func(*grantor) string { return "opaque-0123456789" },
			"400 invalid_target", "opaque", "not_jwt: "},
		"scope that every request needs": {"require scope orders:read orders:write", func(i *grantor) string { return i.access("alice", map[string]any{"scope": "orders:read"}) },
			"400 invalid_scope", "orders:read orders:write", "require scope orders:read orders:write"},
		"an ID token in its place": {"", func(i *grantor) string { return i.access("alice", map[string]any{"nonce": "n"}) },
			"400 invalid_target", "id_token", "Client: send the access_token"},
		"another issuer's": {"", func(i *grantor) string { return i.access("alice", map[string]any{"iss": "https://other.example"}) },
			"400 invalid_target", "issuer_unknown", "https://other.example"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, nil)
			g := newGate(t, issuer, allGrants+"\n"+c.block)
			var token string
			issuer.grants(func() string { token = c.token(issuer); return token })
			for form, headers := range beginnings {
				issuer.take()
				g.logs.TakeAll()
				answer := g.refused(form, g.post("/auth", form, headers...), c.want)
				if !strings.Contains(answer.Description, c.text) {
					t.Errorf("the client reads %q, want %q", answer.Description, c.text)
				}
				log := g.logged()
				if !strings.Contains(log, "warn token request refused") || !strings.Contains(log, c.detail) || strings.Contains(log, token) {
					t.Errorf("the log has %s, want %q", log, c.detail)
				}
				back := issuer.take()
				if len(back) != 2 || back[1].Path != "/revoke" || back[1].client() != back[0].client() ||
					back[1].Form.Get("token") != map[bool]string{true: "refresh-token-of-the-issuer", false: token}[headers == nil] {
					t.Errorf("asked of the issuer: %+v", back)
				}
			}
			if n := g.kept(); n != 0 {
				t.Errorf("%d grants are kept", n)
			}
		})
	}
}

// What some requests need and others do not is judged with the request.
func TestAGrantThatPassesSomewhereIsHandedOut(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, allGrants+"\nrequire /write/* scope orders:write\nrequire claim role admin")
	for form, headers := range beginnings {
		g.answer(g.post("/auth", form, headers...))
	}
}

// An outage says nothing of a grant: what a code was used up for waits until it
// can be judged, and the issuer is not asked with the code again.
func TestAnOutageWhileAFirstTokenIsJudgedLosesNothing(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", allGrants)
	serial := 0
	down := true
	issuer.grants(func() string { serial++; return fmt.Sprint("good-", serial) })
	granting := issuer.answer
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Path == "/introspect" && down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		granting(w, q)
	})
	for form, headers := range beginnings {
		down = true
		for range 2 {
			res := g.post("/auth", form, headers...)
			g.refused(form, res, "503 temporarily_unavailable")
			if res.Header().Get("Retry-After") == "" {
				t.Error("nobody says when to come again")
			}
		}
		if other := g.post("/auth", strings.Replace(form, "verifier=v", "verifier=w", 1), headers...); headers == nil && other.Code == http.StatusOK {
			t.Error("another verifier gets what waits")
		}
	}
	if n := g.kept(); n != 0 {
		t.Errorf("%d grants are kept that nobody holds", n)
	}
	issuer.take()
	down = false
	g.clock.ahead.Add(int64(2 * time.Second)) // past the pause
	for form, headers := range beginnings {
		reference := g.answer(g.post("/auth", form, headers...)).AccessToken
		if status, _ := g.get(reference); status != http.StatusOK {
			t.Errorf("%s: %d", form, status)
		}
	}
	for _, q := range issuer.take() {
		if q.Path == "/token" && q.Form.Get("grant_type") != tokenrequest.ClientCredentials || q.Path == "/revoke" {
			t.Errorf("the issuer was asked again: %+v", q)
		}
	}
	// What was handed out waits no more: now it is the issuer's to say.
	if res := g.post("/auth", "grant_type=authorization_code&client_id=app&code=the-code&code_verifier=v"); res.Code != http.StatusOK {
		t.Error(res.Code)
	}
	if all := issuer.take(); len(all) == 0 || all[0].Path != "/token" {
		t.Errorf("%+v", all)
	}
}

// Another site names the same issuer, and means another server, or is another
// client there.
func TestWhatWaitsAtOneSiteIsNotHandedOutAtAnother(t *testing.T) {
	issuer := newKnower(t)
	one := newAsker(t, issuer, "", allGrants)
	var others []*gate
	for _, words := range []string{"client gateway the-gateways-own-secret\nmetadata " + issuer.URL + "/.well-known/oauth-authorization-server", "client other its-secret"} {
		others = append(others, rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\nintrospect\n%s\n}\n%s\n}", issuer.URL, words, allGrants), &issuer.clock))
	}
	const form = "grant_type=authorization_code&client_id=app&code=waits-at-one&code_verifier=v"
	issuer.grants(func() string { return "opaque-and-good" })
	granting := issuer.answer
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Path == "/introspect" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		granting(w, q)
	})
	one.refused(form, one.post("/auth", form), "503 temporarily_unavailable")
	for n, other := range others {
		issuer.take()
		other.post("/auth", form)
		if all := issuer.take(); len(all) == 0 || all[0].Path != "/token" {
			t.Errorf("site %d did not ask its own issuer: %+v", n, all)
		}
	}
	issuer.take()
	one.post("/auth", form)
	if all := issuer.take(); slices.ContainsFunc(all, func(q asked) bool { return q.Path == "/token" }) {
		t.Errorf("what waited at the first site is gone: %+v", all)
	}
}

// A key that is published a little late, and clocks that differ, are no fault of
// the client.
func TestAFreshTokenOfAnUnknownKeyOrAnotherTimeIsAnOutage(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, allGrants)
	for name, claims := range map[string]map[string]any{
		"dead on arrival": {"exp": time.Now().Add(-5 * time.Minute).Unix()},
		"not yet":         {"nbf": time.Now().Add(5 * time.Minute).Unix()},
	} {
		issuer.grants(func() string { return issuer.access("alice", claims) })
		g.refused(name, g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...), "503 temporarily_unavailable")
		if log := g.logged(); !strings.Contains(log, "error token request refused") || !strings.Contains(log, "clocks") {
			t.Errorf("%s: %s", name, log)
		}
	}
}

func TestTheIssuersWordsAreInTheLogCutAndCleaned(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, allGrants)
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"error":             "invalid_request",
			"error_description": "Parameter audience\nis missing, " + q.Form.Get("code") + " " + q.Password + " " + strings.Repeat("blah ", 200),
		})
	})
	for form, headers := range beginnings {
		g.logs.TakeAll()
		g.post("/auth", form, headers...)
		log := g.logged()
		if !strings.Contains(log, "(Parameter audience is missing, ") || strings.Contains(log, "the-code") || strings.Contains(log, "secret") || len(log) > 1000 {
			t.Errorf("%s: %s", form, log)
		}
	}
}
