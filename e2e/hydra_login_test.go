package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// hydraSite is the recipe of docs/issuers/hydra.md with a client of its own.
type hydraSite struct {
	hydraClient
	g *gateway
}

// site serves the recipe for browsers as it stands there, but for the addresses
// and the client. Its access tokens live so long.
func (h *hydra) site(t *testing.T, life string, set map[string]any) *hydraSite {
	t.Helper()
	g := newGateway(t)
	all := map[string]any{
		"redirect_uris":                       []string{g.url("/_oauth/callback")},
		"post_logout_redirect_uris":           []string{g.url("/_oauth/logged_out")},
		"backchannel_logout_uri":              g.url("/_oauth/backchannel_logout"),
		"backchannel_logout_session_required": true,
	}
	for name, value := range set {
		all[name] = value
	}
	c := h.client(t, all)
	c.lives(t, life)
	text := change(t, recipeOf(t, "issuers/hydra.md", "caddyfile", "login {"),
		"app.example.com", g.url(""), "https://hydra.example.com", h.desk.url,
		"orders-app {$HYDRA_SECRET:change-me}", fmt.Sprintf("%s %q", c.id, c.secret),
		"orders:8080", startUpstream(t).address(), "reuse_grace 30s", graceLine(h.grace))
	g.serve(text)
	return &hydraSite{c, g}
}

func graceLine(grace string) string {
	if grace == "0s" {
		return ""
	}
	return "reuse_grace " + grace
}

func TestTheRecipeForHydraLogsInAndOut(t *testing.T) {
	t.Parallel()
	s := runHydra(t, graciousHydra).site(t, "1h", nil)
	v := newGuest(t, nil)
	at := v.logIn(s.g.url("/orders"))
	at.wantPass(t, "alice")
	seen := at.seen(t)
	if seen.Header.Get("X-User-Email") != "alice@example.com" {
		t.Errorf("the upstream saw the e-mail %q", seen.Header.Get("X-User-Email"))
	}
	_, claims := tokenParts(t, strings.TrimPrefix(seen.Header.Get("Authorization"), "Bearer "))
	if ext, _ := claims["ext"].(map[string]any); fmt.Sprint(ext["groups"]) != "[staff]" || claims["email"] != nil {
		t.Errorf("what the consent app said is elsewhere than in ext: %v", claims)
	}
	session := v.session(s.g)
	if !s.active(t, 0) {
		t.Error("Hydra does not know its access token")
	}
	out := v.submit(v.open(s.g.url("/_oauth/logout")))
	if out.url.String() != s.g.url("/_oauth/logged_out") || out.status != http.StatusOK {
		t.Errorf("the log-out ends with %d at %s", out.status, out.url)
	}
	wantEnded(t, s.g, session)
	await(t, 10*time.Second, "the tokens to be given back", func() bool { return !s.active(t, 0) })
}

// active is what Hydra says of the access or the refresh token that it gave to
// the client, the n-th of all.
func (c hydraClient) active(t *testing.T, n int) bool {
	t.Helper()
	var token string
	c.h.desk.look(c.id, func(known *customer) { token = known.tokens[n] })
	resp, err := plainClient.PostForm(c.h.admin+"/admin/oauth2/introspect", url.Values{"token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(resp)
	var said struct{ Active bool }
	if err != nil || json.Unmarshal([]byte(a.body), &said) != nil {
		t.Fatalf("introspection answers %d %s %v", a.status, a.body, err)
	}
	return said.Active
}

// present asks with a session, not as a navigation.
func present(t *testing.T, g *gateway, s session) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.url("/orders"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.present(req)
	a, err := send(plainClient, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantEnded checks that a session is none any more.
func wantEnded(t *testing.T, g *gateway, s session) {
	t.Helper()
	if a := present(t, g, s); a.status != http.StatusUnauthorized {
		t.Errorf("a session that has ended gets %d, want 401", a.status)
	}
}

// fifty requests of a session at a time, again and again until a new access
// token comes to the upstream. It checks that all of them pass.
func fifty(t *testing.T, g *gateway, s session) {
	t.Helper()
	client := newClient(time.Minute)
	tokens := map[string]bool{}
	await(t, time.Minute, "a refresh under load", func() bool {
		var all sync.WaitGroup
		began := time.Now()
		answers := make([]answer, 50)
		for i := range answers {
			all.Go(func() {
				req, err := http.NewRequest(http.MethodGet, g.url("/orders"), nil)
				if err == nil {
					s.present(req)
					answers[i], err = send(client, req)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, a := range answers {
			if a.status == http.StatusServiceUnavailable && time.Since(began) > 2*time.Second {
				continue // this machine is so busy that a token of some seconds ran out on its way here
			}
			tokens[a.seen(t).Header.Get("Authorization")] = true
		}
		return len(tokens) >= 3
	})
}

// wantOnce checks that a client presented no refresh token twice, and some.
func (d *desk) wantOnce(t *testing.T, id string) {
	t.Helper()
	d.look(id, func(c *customer) {
		if len(c.presented) < 2 || len(c.refused) != 0 {
			t.Errorf("%d refresh tokens presented, %q refused", len(c.presented), c.refused)
		}
		for _, times := range c.presented {
			if times != 1 {
				t.Errorf("a refresh token was presented %d times", times)
			}
		}
	})
}

// wantNoTokens checks that nothing that a client was given is in the log.
func (d *desk) wantNoTokens(t *testing.T, id string, g *gateway) {
	t.Helper()
	d.look(id, func(c *customer) {
		for _, token := range c.tokens {
			if strings.Contains(g.proc.out.String(), token) {
				t.Error("the gateway's log has a token")
			}
		}
	})
}

func TestFiftyRequestsAtATimeRefreshOnceAtHydraWithGraceAndWithout(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*hydra{"without grace": strictHydra, "with grace": graciousHydra} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := runHydra(t, h).site(t, "4s", nil)
			v := newGuest(t, nil)
			v.logIn(s.g.url("/orders")).wantPass(t, "alice")
			fifty(t, s.g, v.session(s.g))
			h.desk.wantOnce(t, s.id)
			if s.active(t, 0) {
				t.Error("the access token outlives the rotation, and the page says that it does not")
			}
			h.desk.wantNoTokens(t, s.id, s.g)
		})
	}
}

// An answer that gets lost has rotated the refresh token all the same.
func TestALostAnswerOfHydraIsMadeUpForWithGraceAndEndsTheSessionWithout(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*hydra{"without grace": strictHydra, "with grace": graciousHydra} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := runHydra(t, h).site(t, "4s", nil)
			v := newGuest(t, nil)
			v.logIn(s.g.url("/orders")).wantPass(t, "alice")
			session := v.session(s.g)
			h.desk.look(s.id, func(c *customer) { c.lose = 1 })
			if h.grace != "0s" {
				fifty(t, s.g, session)
				h.desk.look(s.id, func(c *customer) {
					if len(c.refused) != 0 {
						t.Errorf("within its grace Hydra refuses: %q", c.refused)
					}
				})
				return
			}
			await(t, 60*time.Second, "the session to end", func() bool {
				return present(t, s.g, session).status == http.StatusUnauthorized
			})
			h.desk.look(s.id, func(c *customer) {
				if strings.Join(c.refused, " ") != "invalid_grant" {
					t.Errorf("Hydra refused with %q, want invalid_grant once", c.refused)
				}
			})
			v.logIn(s.g.url("/orders")).wantPass(t, "alice")
		})
	}
}

func TestALogOutAtHydraLeavesItsTokensAlive(t *testing.T) {
	t.Parallel()
	h := runHydra(t, strictHydra)
	s := h.site(t, "1h", map[string]any{"backchannel_logout_uri": ""})
	v := newGuest(t, nil)
	v.logIn(s.g.url("/orders")).wantPass(t, "alice")
	v.open(h.desk.url + "/oauth2/sessions/logout") // the gateway is not told
	present(t, s.g, v.session(s.g)).wantPass(t, "alice")
	for n, what := range []string{"access", "refresh"} {
		if !s.active(t, n) {
			t.Errorf("the %s token ends with the log-out, and the page says that it does not", what)
		}
	}
}

func TestHydrasBackChannelLogOutEndsTheSession(t *testing.T) {
	t.Parallel()
	h := runHydra(t, strictHydra)
	s := h.site(t, "1h", nil)
	v := newGuest(t, nil)
	v.logIn(s.g.url("/orders")).wantPass(t, "alice")
	session := v.session(s.g)
	// Not the gateway's log-out, but Hydra's own, in the same browser.
	v.open(h.desk.url + "/oauth2/sessions/logout")
	await(t, 10*time.Second, "the session to end", func() bool {
		return present(t, s.g, session).status == http.StatusUnauthorized
	})
	if strings.Contains(s.g.proc.out.String(), "a back-channel log-out was not done") {
		t.Error("the gateway refused the log-out token")
	}
}
