package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"

	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// job is what a client has to do: to call an API, to wait until the issuer's
// token has run out, and to call it twice more.
type job struct {
	Issuer string            `json:"issuer"`
	Token  string            `json:"token"` // the token endpoint
	ID     string            `json:"id"`
	Secret string            `json:"secret"`
	Scope  string            `json:"scope"`
	More   map[string]string `json:"more"` // of the token request
	API    string            `json:"api"`
	Wait   int               `json:"wait"`
	Given  *reply            `json:"given,omitempty"` // what the client has already: it refreshes
}

// done is what became of it.
type done struct {
	Statuses []int `json:"statuses"`
	Tokens   int   `json:"tokens"` // how many it held
}

// lastingClients are clients that people have, each with its own way to go on.
var lastingClients = map[string]func(t *testing.T, j job) done{
	"curl": func(t *testing.T, j job) done {
		return runLasting(t, "sh", filepath.Join("clients", "lasting.sh"), j.Token, j.ID, j.Secret, j.API, fmt.Sprint(j.Wait),
			"-d", "audience="+j.More["audience"], "--data-urlencode", "scope="+j.Scope)
	},
	"requests-oauthlib": inPython("requests-oauthlib"),
	"Authlib":           inPython("authlib"),
	"openid-client":     inNode("openid-client"),
	"oauth4webapi":      inNode("oauth4webapi"),
	"x/oauth2":          withGo,
}

func inPython(library string) func(t *testing.T, j job) done {
	return func(t *testing.T, j job) done {
		t.Helper()
		return runLasting(t, python, filepath.Join("clients", "lasting.py"), library, asJSON(t, j))
	}
}

func inNode(library string) func(t *testing.T, j job) done {
	return func(t *testing.T, j job) done {
		t.Helper()
		return runLasting(t, "node", filepath.Join("clients", "lasting.mjs"), library, asJSON(t, j))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func runLasting(t *testing.T, program string, args ...string) (d done) {
	t.Helper()
	out, stderr, code := runCommand(t, t.TempDir(), "", program, args...)
	if code != 0 || json.Unmarshal([]byte(out), &d) != nil {
		t.Fatalf("the client ended with %d: %s\n%s", code, out, tail(stderr, 20))
	}
	return d
}

// withGo is what a Go program does: its client knows when to get another token.
func withGo(t *testing.T, j job) (d done) {
	t.Helper()
	more := url.Values{}
	for name, value := range j.More {
		more.Set(name, value)
	}
	config := clientcredentials.Config{ClientID: j.ID, ClientSecret: j.Secret, TokenURL: j.Token, Scopes: []string{j.Scope}, EndpointParams: more}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, plainClient)
	source := config.TokenSource(ctx)
	if j.Given != nil {
		var life int
		_ = json.Unmarshal(j.Given.ExpiresIn, &life) // a number, or no token would have come
		app := oauth2.Config{ClientID: j.ID, ClientSecret: j.Secret, Endpoint: oauth2.Endpoint{TokenURL: j.Token}}
		source = app.TokenSource(ctx, &oauth2.Token{AccessToken: j.Given.AccessToken, RefreshToken: j.Given.RefreshToken,
			TokenType: j.Given.TokenType, Expiry: time.Now().Add(time.Duration(life) * time.Second)})
	}
	client := oauth2.NewClient(ctx, source)
	held := map[string]bool{}
	for i := range 3 {
		if i == 1 {
			time.Sleep(time.Duration(j.Wait) * time.Second)
		}
		a, err := try(client, j.API, "")
		if err != nil {
			t.Fatal(err)
		}
		token, err := source.Token()
		if err != nil {
			t.Fatal(err)
		}
		held[token.AccessToken] = true
		d.Statuses = append(d.Statuses, a.status)
	}
	d.Tokens = len(held)
	return d
}

// lastingLife is how long a token of these tests lives: x/oauth2 gets another one
// ten seconds before its end.
const lastingLife = 14

func TestClientsAsTheyAreGetATokenLetItRunOutAndGoOn(t *testing.T) {
	t.Parallel()
	for name, run := range lastingClients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := runHydra(t, strictHydra)
			g := startGateway(t, startUpstream(t), bearerOf(h.desk.url, "audience "+audience+"\nskew 1s", "token_endpoint /token"))
			for place, address := range map[string]string{"at Hydra": h.desk.url + "/oauth2/token", "at the gateway": g.url("/token")} {
				t.Run(place, func(t *testing.T) {
					t.Parallel()
					c := h.client(t, nil)
					c.lives(t, fmt.Sprintf("%ds", lastingLife))
					got := run(t, job{
						Issuer: h.desk.url, Token: address, ID: c.id, Secret: c.secret, Scope: "orders:read",
						More: map[string]string{"audience": audience}, API: g.url("/orders"), Wait: lastingLife + 2,
					})
					want := done{[]int{200, 200, 200}, 2}
					if place == "at the gateway" { // the gateway goes on, and the client's token is good for hours
						want.Tokens = 1
					}
					if !slices.Equal(got.Statuses, want.Statuses) || got.Tokens != want.Tokens {
						t.Errorf("it got %v with %d tokens, want %v with %d", got.Statuses, got.Tokens, want.Statuses, want.Tokens)
					}
				})
			}
		})
	}
}

func TestClientsAsTheyAreRefreshWhatALogInGave(t *testing.T) {
	t.Parallel()
	for name, run := range lastingClients {
		if name == "curl" {
			continue // it keeps nothing
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := runHydra(t, strictHydra)
			for _, place := range []string{"at Hydra", "at the gateway"} {
				t.Run(place, func(t *testing.T) {
					t.Parallel()
					c := h.client(t, nil)
					c.lives(t, fmt.Sprintf("%ds", lastingLife))
					g := startGateway(t, startUpstream(t), bearerOf(h.desk.url, fmt.Sprintf("audience %s\nskew 1s\nclient %s %s", audience, c.id, c.secret), `token_endpoint /token {
						grant_types authorization_code refresh_token
						public_clients app
					}`))
					j := job{Issuer: h.desk.url, Token: h.desk.url + "/oauth2/token", ID: c.id, Secret: c.secret, Scope: "orders:read", API: g.url("/orders"), Wait: lastingLife + 2}
					want := done{[]int{200, 200, 200}, 2}
					if place == "at the gateway" {
						j.Token, j.ID, j.Secret = g.url("/token"), "app", ""
						want.Tokens = 1
					}
					j.Given = c.loggedIn(t, j)
					if got := run(t, j); !slices.Equal(got.Statuses, want.Statuses) || got.Tokens != want.Tokens {
						t.Errorf("it got %v with %d tokens, want %v with %d", got.Statuses, got.Tokens, want.Statuses, want.Tokens)
					}
				})
			}
		})
	}
}

// loggedIn is what the token endpoint of a job gives for a log-in at Hydra.
func (c hydraClient) loggedIn(t *testing.T, j job) *reply {
	t.Helper()
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	v := newGuest(t, nil)
	v.stop = callback
	back := v.open(c.h.desk.url + "/oauth2/auth?" + url.Values{
		"client_id": {c.id}, "response_type": {"code"}, "redirect_uri": {callback}, "state": {rand.Text()}, "audience": {audience},
		"scope": {"openid offline_access orders:read"}, "code_challenge": {b64.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.url.Query().Get("code")}, "code_verifier": {verifier}, "redirect_uri": {callback}}
	if j.Secret == "" {
		form.Set("client_id", j.ID)
	}
	req, err := http.NewRequest(http.MethodPost, j.Token, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if j.Secret != "" {
		req.SetBasicAuth(j.ID, j.Secret)
	}
	a, err := send(plainClient, req)
	given := a.reply(t)
	if err != nil || given.AccessToken == "" || given.RefreshToken == "" {
		t.Fatalf("%s answers %d %s %v", j.Token, a.status, a.body, err)
	}
	return &given
}
