package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// job is what a client has to do: to call an API, to ask when it may go on, and to
// call it twice more.
type job struct {
	Issuer  string            `json:"issuer"`
	Token   string            `json:"token"` // the token endpoint
	ID      string            `json:"id"`
	Secret  string            `json:"secret"`
	Scope   string            `json:"scope"`
	More    map[string]string `json:"more"` // of the token request
	API     string            `json:"api"`
	Until   string            `json:"until"`           // answers when it is time to go on
	Margin  int               `json:"margin"`          // seconds that a token has to have left, where the client can be told
	Relax   bool              `json:"relax"`           // take less scope than was asked for, where a client has to be told
	Default bool              `json:"byDefault"`       // authenticate as the client does where it is not told
	Given   *given            `json:"given,omitempty"` // what the client has already: it refreshes
}

// given is what a client keeps of a log-in.
type given struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresAt    int64  `json:"expires_at"`
}

// done is what became of it.
type done struct {
	Statuses []int `json:"statuses"`
	Tokens   int   `json:"tokens"` // how many it held
}

// lastingClients are clients that people have, each with its own way to go on.
var lastingClients = map[string]func(t *testing.T, j job) done{
	"curl": func(t *testing.T, j job) done {
		return runLasting(t, "sh", filepath.Join("clients", "lasting.sh"), j.Token, j.ID, j.Secret, j.API, j.Until,
			"-d", "resource="+j.More["resource"], "--data-urlencode", "scope="+j.Scope)
	},
	"requests-oauthlib": inPython("requests-oauthlib"),
	"Authlib":           inPython("authlib"),
	"openid-client":     inNode("openid-client"),
	"oauth4webapi":      inNode("oauth4webapi"),
	"x/oauth2":          withGo,
	"Spring Security":   inJava,
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

func inJava(t *testing.T, j job) done {
	t.Helper()
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	return runLasting(t, java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-jar", springClient(t), asJSON(t, j))
}

// springClient is where clients/setup.sh put it. In CI it must be there.
func springClient(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("E2E_SERVERS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "caddyoauth-e2e")
	}
	jar := filepath.Join(dir, "spring-client.jar")
	if _, err := os.Stat(jar); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%v; see what clients/setup.sh says", err)
		}
		t.Skipf("%v: clients/setup.sh builds it, or says why not", err)
	}
	return jar
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
		app := oauth2.Config{ClientID: j.ID, ClientSecret: j.Secret, Endpoint: oauth2.Endpoint{TokenURL: j.Token}}
		source = app.TokenSource(ctx, &oauth2.Token{AccessToken: j.Given.AccessToken, RefreshToken: j.Given.RefreshToken,
			TokenType: j.Given.TokenType, Expiry: time.Unix(j.Given.ExpiresAt, 0)})
	}
	client := oauth2.NewClient(ctx, source)
	held := map[string]bool{}
	for i := range 3 {
		if i == 1 {
			if _, err := try(newClient(2*time.Minute), j.Until, ""); err != nil {
				t.Fatal(err)
			}
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

// want checks what a client tells of its three calls.
func (d done) want(t *testing.T, tokens int, statuses ...int) {
	t.Helper()
	if !slices.Equal(d.Statuses, statuses) || d.Tokens != tokens {
		t.Errorf("it got %v with %d tokens, want %v with %d", d.Statuses, d.Tokens, statuses, tokens)
	}
}

// loggedIn is what the token endpoint of a job gives for a log-in at the issuer.
func loggedIn(t *testing.T, j job) *given {
	t.Helper()
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	back := followTo(t, plainClient.Transport, j.Issuer+"/auth?"+url.Values{
		"client_id": {"gateway"}, "response_type": {"code"}, "redirect_uri": {callback}, "prompt": {"consent"}, "resource": {audience},
		"scope": {"openid offline_access orders:read"}, "code_challenge": {b64.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), callback)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "code_verifier": {verifier}, "redirect_uri": {callback}}
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
	asked := time.Now().Unix()
	a, err := send(plainClient, req)
	said := a.reply(t)
	var life int64
	if err != nil || said.RefreshToken == "" || json.Unmarshal(said.ExpiresIn, &life) != nil {
		t.Fatalf("%s answers %d %s %v", j.Token, a.status, a.body, err)
	}
	return &given{said.AccessToken, said.RefreshToken, said.TokenType, asked + life}
}
