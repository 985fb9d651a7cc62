package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheSpringServerOfTheTestsHasTheBeanOfThePage(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("issuers/spring/src/main/java/issuer/Main.java")
	if err != nil {
		t.Fatal(err)
	}
	bean := recipeOf(t, "issuers/spring.md", "java", "OAuth2TokenCustomizer")
	for line := range strings.Lines(bean) {
		if !strings.Contains(string(source), "\t"+line) {
			t.Errorf("Main.java has no line %q", line)
		}
	}
}

func TestSpringsTwoMetadataDocumentsDiffer(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	for document, has := range map[string]bool{"openid-configuration": true, "oauth-authorization-server": false} {
		var said map[string]any
		if err := json.Unmarshal([]byte(get(t, s.desk.url+"/.well-known/"+document, "").body), &said); err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{"end_session_endpoint", "userinfo_endpoint"} {
			if (said[member] != nil) != has {
				t.Errorf("%s in %s: %v", member, document, said[member])
			}
		}
	}
}

func TestSpringsScopeIsAListAndCounts(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	g := startGateway(t, startUpstream(t), bearerOf(s.desk.url, "audience "+audience, "require scope orders:read"))
	token := s.token(t, "robot", "orders:read")
	if header, claims := tokenParts(t, token); header["typ"] != nil || claims["sub"] != "robot" {
		t.Errorf("another token than the page says: %v %v", header, claims)
	} else if _, list := claims["scope"].([]any); !list {
		t.Errorf("scope is no list: %v", claims["scope"])
	}
	get(t, g.url("/"), token).wantPass(t, "robot")
	get(t, g.url("/"), s.token(t, "robot", "profile")).wantChallenge(t, http.StatusForbidden, "insufficient_scope")
}

func TestSpringIsAskedAboutItsTokens(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	g := newGateway(t)
	g.serve(change(t, recipeOf(t, "issuers/spring.md", "caddyfile", "introspect"), "api.example.com", g.url(""),
		"https://login.example.com", s.desk.url, "orders:8080", startUpstream(t).address(), "always\n", "always\ncache 1s\n",
		"api://orders orders-app", "api://orders opaque", "orders-app {$SPRING_SECRET:change-me}", "robot "+springSecret("robot")))
	for _, client := range []string{"robot", "opaque"} {
		token := s.token(t, client, "orders:read")
		if (strings.Count(token, ".") == 2) != (client == "robot") {
			t.Errorf("the token of %s is of another kind", client)
		}
		get(t, g.url("/"), token).wantPass(t, client)
		if a := s.form(t, "/oauth2/revoke", client, url.Values{"token": {token}}); a.status != http.StatusOK {
			t.Errorf("revoking: %d %s", a.status, a.body)
		}
		await(t, 10*time.Second, "the revocation to be seen", func() bool { return get(t, g.url("/"), token).status == http.StatusUnauthorized })
	}
	get(t, g.url("/"), "made-up").wantChallenge(t, http.StatusUnauthorized, "invalid_token")
}

func TestTheRecipeForSpringLogsInRefreshesAndLogsOut(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	site := s.site(t)
	v := s.user(t, "bob")
	at := v.logIn(site.g.url("/orders"))
	at.wantPass(t, "bob")
	if roles := at.seen(t).Header.Get("X-User-Roles"); !strings.Contains(roles, "ROLE_staff") {
		t.Errorf("the upstream saw the roles %q", roles)
	}
	session := v.session(site.g)
	fifty(t, site.g, session)
	s.desk.wantOnce(t, site.id)
	s.desk.wantNoTokens(t, site.id, site.g)
	// Where a refresh fell in between all the same, Spring's own session goes on, and
	// the next log-out ends it.
	out := s.logOut(t, site, v)
	for tries := 0; out.status == http.StatusBadRequest && tries < 4; tries++ {
		v.logIn(site.g.url("/orders")).wantPass(t, "bob")
		session = v.session(site.g)
		out = s.logOut(t, site, v)
	}
	if out.url.String() != site.g.url("/_oauth/logged_out") || out.status != http.StatusOK {
		t.Errorf("the log-out ends with %d at %s", out.status, out.url)
	}
	wantEnded(t, site.g, session)
	if next := v.open(site.g.url("/orders")); !strings.Contains(next.body, `name="password"`) {
		t.Errorf("after the log-out Spring does not ask for the password: %d at %s", next.status, next.url)
	}
}

// Whichever browser a log-in is for, Spring writes into its ID token the session in
// which the user typed the password last, and compares that with the session of the
// browser that logs out. So where another browser was the last, 400 is the end.
func TestSpringRefusesTheLogOutOfABrowserThatLoggedInAgainAfterAnother(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	site := s.site(t)
	older, latest := s.user(t, "carol"), s.user(t, "carol")
	older.logIn(site.g.url("/orders")).wantPass(t, "carol")
	latest.logIn(site.g.url("/orders")).wantPass(t, "carol")
	clear(older.cookies[strings.TrimPrefix(site.g.url(""), "http://")])
	older.logIn(site.g.url("/orders")).wantPass(t, "carol") // without a password
	if out := s.logOut(t, site, older); out.status != http.StatusBadRequest {
		t.Fatalf("the log-out ends with %d at %s", out.status, out.url)
	}
}

// logOut ends a session just after its access token came. Spring knows the ID token
// of the latest refresh alone, and answers 400 to any other.
func (s *spring) logOut(t *testing.T, site *springSite, v *guest) view {
	t.Helper()
	session := v.session(site.g)
	await(t, 30*time.Second, "an access token that came just now", func() bool {
		before := s.desk.count(site.id)
		token := strings.TrimPrefix(present(t, site.g, session).seen(t).Header.Get("Authorization"), "Bearer ")
		_, claims := tokenParts(t, token)
		issued, _ := claims["iat"].(float64)
		return time.Since(time.Unix(int64(issued), 0)) < 1500*time.Millisecond && s.desk.count(site.id) == before
	})
	return v.submit(v.open(site.g.url("/_oauth/logout")))
}

// Spring does not notice that a refresh token is used twice: it refuses the one
// that was used, and the one after it lives on, with whoever has it.
func TestSpringRefusesARefreshTokenThatWasUsedAndEndsNothingElse(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	site := s.site(t)
	v := s.user(t, "alice")
	v.logIn(site.g.url("/orders")).wantPass(t, "alice")
	s.desk.look(site.id, func(c *customer) { c.lose = 1 })
	await(t, 60*time.Second, "the session to end", func() bool {
		return present(t, site.g, v.session(site.g)).status == http.StatusUnauthorized
	})
	s.desk.look(site.id, func(c *customer) {
		if strings.Join(c.refused, " ") != "invalid_grant" {
			t.Errorf("refused with %q, want invalid_grant once", c.refused)
		}
	})
}

func TestSpringGivesTheSameRefreshTokenBackUnlessItIsToldToRotate(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	site := s.siteAt(t, springPlaces-1)
	v := s.user(t, "alice")
	v.logIn(site.g.url("/orders")).wantPass(t, "alice")
	fifty(t, site.g, v.session(site.g))
	s.desk.look(site.id, func(c *customer) {
		if len(c.presented) != 1 || len(c.refused) != 0 {
			t.Errorf("%d refresh tokens presented, want one; %q refused", len(c.presented), c.refused)
		}
	})
}

func TestADeviceLogsInAtSpringThroughTheGateway(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	g := startGateway(t, startUpstream(t), bearerOf(s.desk.url, "audience "+audience+"\nclient robot secret-of-robot", `token_endpoint /token {
			grant_types device_code refresh_token
			public_clients tv
			device_authorization_endpoint /device
		}`))
	tv := device{t, g}
	begun := tv.begin("orders:read")
	v := s.user(t, "alice")
	at := v.open(s.desk.url + "/oauth2/device_verification?user_code=" + url.QueryEscape(begun.UserCode))
	for range 3 {
		if !strings.Contains(at.body, "<form") {
			break
		}
		at = v.submit(at)
	}
	get(t, g.url("/"), tv.wait(begun)).wantPass(t, "alice")
}
