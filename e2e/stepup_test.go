package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// stepUpClient does what RFC 9470 §4 has a client do: it sends the user to the
// issuer with what the challenge asks for, and comes back with another token.
type stepUpClient struct {
	t      *testing.T
	g      *gateway
	config oauth2.Config
	alice  *person
	token  string
}

func newStepUpClient(t *testing.T, g *gateway, issuer string) *stepUpClient {
	t.Helper()
	return &stepUpClient{t: t, g: g, alice: newPerson(), config: oauth2.Config{
		ClientID: "app", RedirectURL: callback, Scopes: []string{"openid", "orders:read"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/auth", TokenURL: issuer + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}}
}

// logIn gets a token by the authorization code, with more parameters.
func (c *stepUpClient) logIn(params map[string]string) {
	c.t.Helper()
	verifier := oauth2.GenerateVerifier()
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
	for name, value := range params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	back, err := c.alice.authorize(c.t.Context(), c.config.AuthCodeURL("state", options...))
	if err != nil {
		c.t.Fatal(err)
	}
	token, err := c.config.Exchange(c.t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		c.t.Fatalf("the code of %v: %v", back, err)
	}
	c.token = token.AccessToken
}

var stepUpParam = regexp.MustCompile(`\b(acr_values|max_age)="([^"]*)"`)

// call asks for a path, and answers the status and what the challenge asks of
// the next log-in.
func (c *stepUpClient) call(path string) (status int, asks map[string]string) {
	c.t.Helper()
	a := get(c.t, c.g.url(path), c.token)
	challenge := a.header.Get("Www-Authenticate")
	if a.status == http.StatusUnauthorized && !strings.HasPrefix(challenge, `Bearer error="insufficient_user_authentication"`) {
		c.t.Errorf("%s: the challenge is %s", path, challenge)
	}
	asks = map[string]string{}
	for _, m := range stepUpParam.FindAllStringSubmatch(challenge, -1) {
		asks[m[1]] = m[2]
	}
	return a.status, asks
}

func TestAClientStepsUpAsTheChallengeAsks(t *testing.T) {
	t.Parallel()
	issuer := startNode(t, "step-up.mjs")
	g := startGateway(t, startUpstream(t), fmt.Sprintf(`
	oauth %s %s {
		require acr pwd otp passkey
		require /pay/* acr passkey otp
		require /admin/* acr passkey
		require /admin/* max_age 5m
	}`, issuer.url, audience))
	for _, row := range []struct {
		path string
		asks map[string]string // none: it passes at once
	}{
		{"/orders", nil},
		{"/pay/1", map[string]string{"acr_values": "passkey otp"}},
		{"/admin/1", map[string]string{"acr_values": "passkey", "max_age": "300"}},
	} {
		t.Run(strings.Trim(row.path, "/1"), func(t *testing.T) {
			c := newStepUpClient(t, g, issuer.url)
			c.logIn(nil)
			if _, claims := tokenParts(t, c.token); claims["acr"] != "pwd" {
				t.Fatalf("the first token says %v", claims)
			}
			status, asks := c.call(row.path)
			if want := map[bool]int{true: 200, false: 401}[row.asks == nil]; status != want || fmt.Sprint(asks) != fmt.Sprint(row.asks) {
				t.Errorf("first %d, which asks for %v; want %v", status, asks, row.asks)
			}
			if row.asks == nil {
				return
			}
			c.logIn(asks)
			if status, asks = c.call(row.path); status != http.StatusOK {
				_, claims := tokenParts(t, c.token)
				t.Errorf("after the step up: %d, which asks for %v; the token says %v", status, asks, claims)
			}
		})
	}
}

// The right way is not enough where it was long ago, nor is now in a weak way.
func TestAnOldOrWeakLogInIsAskedForBothOfThem(t *testing.T) {
	t.Parallel()
	issuer := startNode(t, "step-up.mjs")
	g := startGateway(t, startUpstream(t), fmt.Sprintf(`
	oauth %s %s {
		require acr passkey
		require max_age 5m
	}`, issuer.url, audience))
	for name, params := range map[string]map[string]string{
		"old":  {"acr_values": "passkey"},
		"weak": {"max_age": "60"},
	} {
		c := newStepUpClient(t, g, issuer.url)
		c.logIn(params)
		status, asks := c.call("/orders")
		if status != http.StatusUnauthorized || asks["acr_values"] != "passkey" || asks["max_age"] != "300" {
			t.Errorf("%s: %d, which asks for %v", name, status, asks)
		}
		c.logIn(asks)
		if status, _ := c.call("/orders"); status != http.StatusOK {
			t.Errorf("%s: %d after the step up", name, status)
		}
	}
	reasons := map[string]bool{}
	for _, line := range g.logLines(func(line map[string]any) bool { return line["msg"] == "refused" }) {
		reasons[fmt.Sprint(line["reason"])] = true
	}
	if !reasons["acr_insufficient"] || !reasons["login_too_old"] {
		t.Errorf("the log has the reasons %v", reasons)
	}
}

// A client that asks for itself logs no user in.
func TestATokenWithoutAUserDoesNotStepUp(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "ES256")
	g := startGateway(t, startUpstream(t), fmt.Sprintf(`
	oauth %s %s {
		require /pay/* max_age 5m
		copy_claims sub>X-User-Id
	}`, issuer.url, audience))
	token := issuer.token(t, "ES256", "orders:read")
	get(t, g.url("/orders"), token).wantPass(t, "service-ES256")
	if a := get(t, g.url("/pay/1"), token); a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("Www-Authenticate"), `max_age="300"`) {
		t.Errorf("%d %v", a.status, a.header)
	}
}
