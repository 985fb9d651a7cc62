package caddyoauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// opaqueUsers makes the grantor answer opaque tokens: the first of a grant is
// first, and a refresh brings second. Of each the introspection endpoint says
// whose it is.
func (i *grantor) opaqueUsers(next func(http.ResponseWriter, *asked), second string, whose map[string]string) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		switch {
		case q.Path == "/introspect":
			sub := ""
			if user := whose[q.Form.Get("token")]; user != "" {
				sub = fmt.Sprintf(`,"sub":%q`, user)
			}
			fmt.Fprintf(w, `{"active":true,"aud":"api"%s,"exp":%d}`, sub, i.clock.now().Add(accessLife).Unix())
		case q.Form.Get("grant_type") == tokenrequest.RefreshToken:
			fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":300,"access_token":%q,"refresh_token":"refresh-of-%[1]s"}`, second)
		default:
			next(w, q)
		}
	})
}

// revoked reports whether the issuer got a refresh token back.
func (i *grantor) revoked(refresh string) bool {
	return slices.ContainsFunc(i.take(), func(q asked) bool { return q.Path == "/revoke" && q.Form.Get("token") == refresh })
}

func opaquePortal(t *testing.T, whose map[string]string) *portal {
	t.Helper()
	issuer := newGrantor(t, func(m map[string]any) {
		m["authorization_endpoint"] = m["issuer"].(string) + "/authorize?tenant=1"
	})
	s := &portal{gate: newAsker(t, issuer, "", "login\n"+endpoint), issuer: issuer, tokens: map[string]any{"access_token": "first"}}
	issuer.opaqueUsers(s.token, "second", whose)
	return s
}

// The subject of a grant was read from JWTs alone: an issuer of opaque tokens
// could answer a refresh with another user's token, and the browser of the one
// acted as the other.
func TestAnotherSubjectsOpaqueTokenEndsTheSession(t *testing.T) {
	s := opaquePortal(t, map[string]string{"first": "alice", "second": "mallory"})
	b := s.browser().logIn()
	if status := b.status(); status != http.StatusOK {
		t.Fatalf("before the refresh: %d; log: %s", status, s.logged())
	}
	seen := len(s.saw)
	s.skip(accessLife + time.Second)
	if status := b.status(); status != http.StatusUnauthorized || len(b.cookies) > 0 {
		t.Errorf("after a refresh that brought another's: %d, cookies %v; log: %s", status, b.cookies, s.logged())
	}
	if len(s.saw) > seen {
		t.Error("the upstream saw the other user")
	}
	if !s.issuer.revoked("refresh-of-second") {
		t.Error("its tokens were not given back")
	}
	if log := s.logged(); !strings.Contains(log, "a grant has ended") || !strings.Contains(log, `"outcome":"subject"`) {
		t.Errorf("the log does not say why it ended: %s", log)
	}
}

// What is the same, or is not said, ends nothing: clients that act for
// themselves have no subject at some issuers.
func TestTheSameSubjectsOpaqueTokenGoesOnAndSoDoesOneWithout(t *testing.T) {
	for name, whose := range map[string]map[string]string{
		"the same":        {"first": "alice", "second": "alice"},
		"never any":       {},
		"none afterwards": {"first": "alice"},
		"one afterwards":  {"second": "alice"},
	} {
		s := opaquePortal(t, whose)
		b := s.browser().logIn()
		s.skip(accessLife + time.Second)
		if status := b.status(); status != http.StatusOK {
			t.Errorf("%s: %d; log: %s", name, status, s.logged())
		}
	}
}

func TestAnotherSubjectsOpaqueTokenEndsTheGrantBehindAReferenceToken(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAsker(t, issuer, "", publicEndpoint)
	issuer.opaqueUsers(func(w http.ResponseWriter, _ *asked) {
		fmt.Fprint(w, `{"token_type":"Bearer","expires_in":300,"access_token":"first","refresh_token":"refresh-of-first"}`)
	}, "second", map[string]string{"first": "alice", "second": "mallory"})
	answer := g.answer(g.post("/auth", codeForm))
	if status, _ := g.get(answer.AccessToken); status != http.StatusOK {
		t.Fatalf("before the refresh: %d; log: %s", status, g.logged())
	}
	seen := len(g.saw)
	g.skip(accessLife + time.Second)
	for range 2 {
		if res := g.expects(answer.AccessToken, http.StatusUnauthorized); !strings.Contains(res.Header().Get("WWW-Authenticate"), "its grant has ended") {
			t.Errorf("refused with %v", res.Header())
		}
	}
	if len(g.saw) > seen {
		t.Error("the upstream saw the other user")
	}
	if !issuer.revoked("refresh-of-second") {
		t.Error("its tokens were not given back")
	}
}

// At the beginning of a grant a token of another issuer is refused. A refresh
// could bring one: the user of a bad issuer went on as the good issuer's user of
// the same name.
func TestATokenOfAnotherIssuerEndsTheGrantWhoseRefreshBringsIt(t *testing.T) {
	for form, headers := range beginnings {
		bad, good := newGrantor(t, nil), newGrantor(t, nil)
		g := rawGate(t, fmt.Sprintf(`oauth {
			issuer %s {
				audience api
				client gateway the-gateways-own-secret
			}
			issuer %s {
				audience api
			}
			%s
		}`, bad.URL, good.URL, publicEndpoint), &bad.clock)
		subject := "alice"
		if len(headers) > 0 {
			subject = "orders"
		}
		tok := g.answer(g.post("/auth", form, headers...)).AccessToken
		if status, _ := g.get(tok); status != http.StatusOK {
			t.Fatalf("%s: before the refresh: %d; log: %s", form, status, g.logged())
		}
		seen := len(g.saw)
		bad.reply(func(w http.ResponseWriter, q *asked) {
			if q.Path == "/token" {
				fmt.Fprintf(w, `{"token_type":"Bearer","access_token":%q,"refresh_token":"another"}`,
					good.access(subject, map[string]any{"exp": bad.clock.now().Add(accessLife).Unix()}))
			}
		})
		g.skip(accessLife + time.Second)
		for range 2 {
			if res := g.expects(tok, http.StatusUnauthorized); !strings.Contains(res.Header().Get("WWW-Authenticate"), "its grant has ended") {
				t.Errorf("%s: refused with %v", form, res.Header())
			}
		}
		if len(g.saw) > seen {
			t.Errorf("%s: the upstream saw the other issuer's user", form)
		}
	}
}
