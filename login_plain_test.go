package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// github is a stand-in for GitHub, made from its published documents: OAuth apps
// (docs.github.com, "Authorizing OAuth apps"), and the REST API's user, e-mails,
// organizations and teams. It is not GitHub.
type github struct {
	*httptest.Server
	clock clock

	mu      sync.Mutex
	scope   string // that the user grants, with commas between
	revoked bool
	down    bool
	asked   map[string]int
	bob     bool
}

func newGitHub(tb testing.TB) *github {
	g := &github{scope: "read:user,user:email,read:org", asked: map[string]int{}}
	g.Server = newServer(g)
	tb.Cleanup(g.Close)
	return g
}

func (g *github) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

func (g *github) times(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[path]
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	path := r.URL.Path
	g.asked[path]++
	if path == "/login/oauth/access_token" {
		g.token(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-OAuth-Scopes", strings.ReplaceAll(g.scope, ",", ", "))
	has := func(word string) bool { return strings.Contains(","+g.scope+",", ","+word+",") }
	say := func(status int, body string) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
	switch {
	case g.down:
		say(http.StatusBadGateway, `{"message":"Server Error"}`)
	case r.Header.Get("User-Agent") == "":
		say(http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header")
	case g.revoked || r.Header.Get("Authorization") != "Bearer gho_the-token":
		say(http.StatusUnauthorized, `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest"}`)
	case path == "/user" && g.bob:
		say(http.StatusOK, `{"login":"octocat","id":7}`)
	case path == "/user":
		say(http.StatusOK, `{"login":"octocat","id":583231,"node_id":"MDQ6","type":"User","site_admin":false,"name":"The Octocat","email":"public@example.com"}`)
	case path == "/user/emails" && has("user:email"):
		say(http.StatusOK, `[{"email":"old@example.com","verified":false,"primary":false,"visibility":null},{"email":"octocat@example.com","verified":true,"primary":true,"visibility":"private"}]`)
	case path == "/user/orgs" && has("read:org") && r.URL.Query().Get("page") == "":
		w.Header().Set("Link", fmt.Sprintf(`<%s/user/orgs?per_page=100&page=2>; rel="next", <%[1]s/user/orgs?per_page=100&page=2>; rel="last"`, g.URL))
		say(http.StatusOK, `[{"login":"acme","id":1}]`)
	case path == "/user/orgs" && has("read:org"):
		w.Header().Set("Link", fmt.Sprintf(`<%s/user/orgs?per_page=100&page=1>; rel="prev"`, g.URL))
		say(http.StatusOK, `[{"login":"other","id":2}]`)
	case path == "/user/teams" && has("read:org"):
		say(http.StatusOK, `[{"id":1,"slug":"staff","name":"Staff","organization":{"login":"acme","id":1}}]`)
	case path == "/user/orgs":
		say(http.StatusForbidden, `{"message":"You need at least read:org scope or user scope to list your organizations."}`)
	default:
		say(http.StatusNotFound, `{"message":"Not Found"}`)
	}
}

// token answers with a form unless JSON is asked for, and with 200 also where the
// code is none.
func (g *github) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	answer := url.Values{"access_token": {"gho_the-token"}, "scope": {g.scope}, "token_type": {"bearer"}}
	switch {
	case r.PostForm.Get("client_id") != "the-app" || r.PostForm.Get("client_secret") != "the-secret":
		answer = url.Values{"error": {"incorrect_client_credentials"}, "error_description": {"The client_id and/or client_secret passed are incorrect."}}
	case r.PostForm.Get("code") != "the-code" || r.PostForm.Get("code_verifier") == "":
		answer = url.Values{"error": {"bad_verification_code"}, "error_description": {"The code passed is incorrect or expired."}}
	}
	if r.Header.Get("Accept") != "application/json" {
		_, _ = w.Write([]byte(answer.Encode()))
		return
	}
	var members []string
	for name := range answer {
		members = append(members, fmt.Sprintf("%q:%q", name, answer.Get(name)))
	}
	_, _ = w.Write([]byte("{" + strings.Join(members, ",") + "}"))
}

// site is a gateway where one logs in there. The words are those of the issuer's
// block, by hand.
func (g *github) site(tb testing.TB, more string) *portal {
	tb.Helper()
	words := strings.ReplaceAll(`oauth {
	issuer https://github.example {
		authorization_endpoint ISSUER/authorize?tenant=1
		token_endpoint ISSUER/login/oauth/access_token
		client the-app the-secret {
			auth client_secret_post
		}
		user ISSUER/user {
			take id>sub login>preferred_username name
			first ISSUER/user/emails {
				where primary verified
				take email verified>email_verified
			}
			each ISSUER/user/orgs?per_page=100 {
				needs read:org
				take login>orgs
			}
			each ISSUER/user/teams?per_page=100 {
				needs read:org
				take organization.login/slug>groups
			}
		}
	}
	login {
		identity userinfo
		scope read:user user:email read:org
	}
	copy_claims sub>X-User-Id email>X-User-Email preferred_username>X-User-Name orgs>X-Orgs
	list_claims orgs groups
	session {
		store memory
		idle 12h
	}
	`+more+"\n}", "ISSUER", g.URL)
	s := &portal{gate: rawGate(tb, words, &g.clock)}
	s.issuer = &grantor{Server: g.Server}
	return s
}

func TestABrowserLogsInWhereThereIsNoOpenIDConnect(t *testing.T) {
	g := newGitHub(t)
	s := g.site(t, "require /staff/* claim groups acme/staff\nrequire /root/* claim groups acme/root")
	b := s.browser()
	asked := b.begin("/staff/list")
	if asked.Get("scope") != "read:user user:email read:org" || asked.Has("nonce") || asked.Get("code_challenge") == "" {
		t.Errorf("asked for %v", asked)
	}
	if res := b.back(asked, "iss", ""); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	for range 3 {
		if code := b.do("GET", "/staff/list").Code; code != http.StatusOK {
			t.Fatal(code, s.logged())
		}
	}
	for name, want := range map[string]string{
		"X-User-Id": "583231", "X-User-Email": "octocat@example.com", "X-User-Name": "octocat", "X-Orgs": "acme,other", "Authorization": "",
	} {
		if got := s.last().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if n := g.times("/user"); n != 1 {
		t.Errorf("GitHub was asked %d times who it is", n)
	}
	if code := b.do("GET", "/root/list").Code; code != http.StatusForbidden {
		t.Errorf("%d for a team that the user is not in", code)
	}
	if code, _ := s.get("gho_the-token"); code != http.StatusUnauthorized {
		t.Errorf("a client gets %d with the access token", code)
	}
	// Without an end of its own the access token serves as long as the session, and
	// is shown again now and then.
	s.skip(61 * time.Minute)
	if code := b.do("GET", "/staff/list").Code; code != http.StatusOK || g.times("/user") != 2 {
		t.Errorf("%d, and GitHub was asked %d times; log: %s", code, g.times("/user"), s.logged())
	}
	g.set(func() { g.down = true })
	s.skip(61 * time.Minute)
	if code := b.status(); code != http.StatusServiceUnavailable {
		t.Errorf("%d in an outage", code)
	}
	g.set(func() { g.down = false })
	if code := b.status(); code != http.StatusOK {
		t.Errorf("%d after it", code)
	}
	g.set(func() { g.revoked = true })
	s.skip(61 * time.Minute)
	if code := b.status(); code != http.StatusUnauthorized {
		t.Errorf("%d for an access token that the user took back", code)
	}
}

func TestALogInWithoutOpenIDConnectFailsOnAnotherUsersAnswerAndAMadeUpCode(t *testing.T) {
	g := newGitHub(t)
	s := g.site(t, "")
	b := s.browser()
	asked := b.begin("/orders")
	b.want("a code that is none", b.back(asked, "iss", "", "code", "made-up"), http.StatusBadRequest, "")
	b = s.browser()
	if res := b.back(b.begin("/orders"), "iss", ""); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	g.set(func() { g.bob = true })
	s.skip(61 * time.Minute)
	if code := b.status(); code == http.StatusOK {
		t.Error("an access token that speaks for another user now lets in")
	}
}

func TestWhatALogInMayNotSeeIsNotAskedFor(t *testing.T) {
	g := newGitHub(t)
	g.scope = "read:user,user:email" // the user, or an organization, said no
	s := g.site(t, "require /staff/* claim groups acme/staff")
	b := s.browser()
	if res := b.back(b.begin("/orders"), "iss", ""); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code, s.logged())
	}
	if code := b.do("GET", "/staff/list").Code; code != http.StatusForbidden || g.times("/user/orgs") != 0 {
		t.Errorf("%d, orgs asked for %d times", code, g.times("/user/orgs"))
	}
	if code := b.status(); code != http.StatusOK || s.last().Get("X-User-Email") != "octocat@example.com" {
		t.Error(code, s.last())
	}
}
