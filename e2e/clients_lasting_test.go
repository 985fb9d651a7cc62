package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lastingLife is how long a token of these tests lives: x/oauth2 gets another one
// ten seconds before its end.
const lastingLife = 14

// lasting is a gateway, and an API behind it that remembers the first access token
// of each path.
type lasting struct {
	*gateway
	up    *upstream
	mu    sync.Mutex
	first map[string]string
}

func startLasting(t *testing.T, oauth string) *lasting {
	t.Helper()
	l := &lasting{up: &upstream{}, first: map[string]string{}}
	l.up.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.first[r.URL.Path] == "" {
			l.first[r.URL.Path] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
	}))
	t.Cleanup(l.up.server.Close)
	l.gateway = startGateway(t, l.up, oauth)
	return l
}

// until is an address that answers once now is true of how long it was asked, or fails.
func until(t *testing.T, now func(waited time.Duration) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for asked := time.Now(); !now(time.Since(asked)); time.Sleep(50 * time.Millisecond) {
			if time.Since(asked) > 100*time.Second {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// runOut answers when the access token that was first seen at a path has run out,
// also by the clock of a client to which it came late.
func (l *lasting) runOut(t *testing.T, path string) string {
	t.Helper()
	return until(t, func(waited time.Duration) bool {
		l.mu.Lock()
		token := l.first[path]
		l.mu.Unlock()
		a, err := try(plainClient, l.url("/"), token)
		return err == nil && a.status == http.StatusUnauthorized && waited > (lastingLife+1)*time.Second
	})
}

// lastingIssuer is an oidc-provider whose tokens live for lastingLife.
func lastingIssuer(t *testing.T) *realIssuer {
	t.Helper()
	port := freePort(t)
	return startRefreshing(t, fmt.Sprintf("PORT=%d", port), fmt.Sprintf("ISSUER=http://127.0.0.1:%d", port),
		fmt.Sprintf("TOKEN_SECONDS=%d", lastingLife), "GATEWAY_SECRET=secret", "ROBOT_SECRET=secret")
}

// forLastingClients runs a test for each.
func forLastingClients(t *testing.T, test func(t *testing.T, name string, run func(t *testing.T, j job) done, issuer *realIssuer)) {
	t.Helper()
	t.Parallel()
	issuer := lastingIssuer(t)
	for name, run := range lastingClients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, name, run, issuer)
		})
	}
}

// newJob is one of the client that acts for itself.
func newJob(issuer *realIssuer) job {
	return job{Issuer: issuer.url, Token: issuer.url + "/token", ID: "robot", Secret: "secret", Scope: "orders:read",
		More: map[string]string{"resource": audience}, Margin: 5}
}

// lastingSite keeps what the issuer granted, and gives references for it.
func lastingSite(issuer *realIssuer, client, endpoint string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			audience %s
			skew 1s
			%s
		}
		session {
			store memory
		}
		token_endpoint /token %s
	}`, issuer.url, audience, client, endpoint)
}

func TestClientsAsTheyAreGetATokenLetItRunOutAndGoOn(t *testing.T) {
	forLastingClients(t, func(t *testing.T, _ string, run func(t *testing.T, j job) done, issuer *realIssuer) {
		l := startLasting(t, lastingSite(issuer, "", ""))
		short := startLasting(t, strings.Replace(lastingSite(issuer, "", ""), "store memory",
			fmt.Sprintf("store memory\nidle %ds\nmax %ds", lastingLife, lastingLife), 1))
		for place, at := range map[string]struct {
			site   *lasting
			token  string
			tokens int
		}{
			"at the issuer":                          {l, issuer.url + "/token", 2},
			"at the gateway":                         {l, l.url("/token"), 1}, // whose tokens are good for hours
			"at the gateway, where they run out too": {short, short.url("/token"), 2},
		} {
			t.Run(place, func(t *testing.T) {
				t.Parallel()
				j, path := newJob(issuer), fmt.Sprintf("/orders/%d", at.tokens)
				j.Token, j.API, j.Until = at.token, at.site.url(path), at.site.runOut(t, path)
				run(t, j).want(t, at.tokens, 200, 200, 200)
			})
		}
	})
}

func TestClientsAsTheyAreRefreshWhatALogInGave(t *testing.T) {
	forLastingClients(t, func(t *testing.T, name string, run func(t *testing.T, j job) done, issuer *realIssuer) {
		if name == "curl" {
			return // it keeps nothing
		}
		l := startLasting(t, lastingSite(issuer, "client gateway secret", `{
			grant_types authorization_code refresh_token
			public_clients app
		}`))
		for place, tokens := range map[string]int{"at the issuer": 2, "at the gateway": 1} {
			t.Run(place, func(t *testing.T) {
				t.Parallel()
				j, path := newJob(issuer), fmt.Sprintf("/orders/%d", tokens)
				j.ID = "gateway"
				if place == "at the gateway" {
					j.Token, j.ID, j.Secret = l.url("/token"), "app", ""
				}
				j.API, j.Until = l.url(path), l.runOut(t, path)
				j.Given = loggedIn(t, j)
				run(t, j).want(t, tokens, 200, 200, 200)
			})
		}
	})
}

func TestClientsThatGoByTheirClockAloneGoOnSendingATokenThatHasEnded(t *testing.T) {
	forLastingClients(t, func(t *testing.T, name string, run func(t *testing.T, j job) done, issuer *realIssuer) {
		l, j := startLasting(t, lastingSite(issuer, "", "")), newJob(issuer)
		j.Token, j.API = l.url("/token"), l.url("/orders")
		j.Until = until(t, func(time.Duration) bool {
			req, err := http.NewRequest(http.MethodDelete, "http://"+l.admin+"/oauth/grants?"+
				url.Values{"issuer": {issuer.url}, "subject": {j.ID}}.Encode(), nil)
			if err != nil {
				return false
			}
			a, err := send(plainClient, req)
			return err == nil && a.status == http.StatusOK
		})
		got := run(t, j)
		switch name {
		case "curl": // the script asks again
			got.want(t, 2, 200, 200, 200)
		case "Spring Security": // it forgets a token that was refused
			got.want(t, 2, 200, 401, 200)
		default:
			got.want(t, 1, 200, 401, 401)
		}
	})
}

func TestSpringSecurityGetsATokenForEachCallWhereTokensLiveForLessThanItsMargin(t *testing.T) {
	t.Parallel()
	issuer := lastingIssuer(t)
	j := newJob(issuer)
	j.API = startLasting(t, identity(issuer.url, audience)).url("/orders")
	j.Margin = 60 // its own default
	j.Until = until(t, func(time.Duration) bool { return true })
	inJava(t, j).want(t, 3, 200, 200, 200)
}

func TestRequestsOAuthlibRaisesWhereLessScopeIsGrantedUnlessItIsToldToRelax(t *testing.T) {
	t.Parallel()
	issuer := lastingIssuer(t)
	if a, err := post(issuer.url+"/_test/scope?scope=orders:read", ""); err != nil || a.status != http.StatusOK {
		t.Fatalf("changing the scope: %d %v", a.status, err)
	}
	l := startLasting(t, lastingSite(issuer, "", ""))
	for place, endpoint := range map[string]string{"at the issuer": issuer.url + "/token", "at the gateway": l.url("/token")} {
		j := newJob(issuer)
		j.Token, j.Scope, j.API = endpoint, "orders:read orders:write", l.url("/orders")
		j.Until = until(t, func(time.Duration) bool { return true })
		_, stderr, code := runCommand(t, t.TempDir(), "", python, filepath.Join("clients", "lasting.py"), "requests-oauthlib", asJSON(t, j))
		if code == 0 || !strings.Contains(stderr, "Scope has changed from") {
			t.Errorf("%s it ends with %d:\n%s", place, code, tail(stderr, 5))
		}
		j.Relax = true
		inPython("requests-oauthlib")(t, j).want(t, 1, 200, 200, 200)
	}
}

func TestOpenIDClientSendsItsSecretInTheBodyUnlessItIsToldOtherwiseAndTheGatewayTakesIt(t *testing.T) {
	t.Parallel()
	issuer := lastingIssuer(t)
	l := startLasting(t, lastingSite(issuer, "", ""))
	to, err := url.Parse(l.url(""))
	if err != nil {
		t.Fatal(err)
	}
	proxy, basic := httputil.NewSingleHostReverseProxy(to), atomic.Int32{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			basic.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	j := newJob(issuer)
	j.Token, j.API, j.Until = front.URL+"/token", l.url("/orders"), until(t, func(time.Duration) bool { return true })
	for told, want := range []int32{0, 1} {
		j.Default = told == 0
		inNode("openid-client")(t, j).want(t, 1, 200, 200, 200)
		if n := basic.Load(); n != want {
			t.Errorf("told otherwise: %v; %d token requests had an Authorization, want %d", !j.Default, n, want)
		}
	}
}
