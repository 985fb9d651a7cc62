package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// client keeps connections of its own and follows nothing.
func newClient(limit time.Duration) *http.Client {
	return &http.Client{
		Timeout:   limit,
		Transport: &http.Transport{MaxIdleConnsPerHost: 128, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

var plainClient = newClient(30 * time.Second)

// try asks with a bearer token ("" for none) and gives the error back.
func try(client *http.Client, url, token string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return send(client, req)
}

func send(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(resp)
}

func readAnswer(resp *http.Response) (answer, error) {
	defer closeAll(resp.Body)
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func get(t *testing.T, url, token string) answer {
	t.Helper()
	a, err := try(plainClient, url, token)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return a
}

// seen is what the upstream saw of a request that passed.
func (a answer) seen(t *testing.T) seen {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("the request did not pass: %d %q %s", a.status, a.header.Values("Www-Authenticate"), a.body)
	}
	var s seen
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		t.Fatalf("the upstream's answer %q: %v", a.body, err)
	}
	return s
}

// wantPass checks that the upstream saw the request and who is calling.
func (a answer) wantPass(t *testing.T, subject string) {
	t.Helper()
	if got := a.seen(t).Header.Values("X-User-Id"); len(got) != 1 || got[0] != subject {
		t.Errorf("the upstream saw X-User-Id %q, want %q", got, subject)
	}
}

// wantChallenge checks status, the one challenge and the error code in it
// ("" for none). It returns the challenge.
func (a answer) wantChallenge(t *testing.T, status int, code string) string {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d; challenge %q, body %q", a.status, status, a.header.Values("Www-Authenticate"), a.body)
	}
	challenges := a.header.Values("Www-Authenticate")
	if len(challenges) != 1 {
		t.Fatalf("challenges %q, want exactly one", challenges)
	}
	challenge := challenges[0]
	if challenge != "Bearer" && !strings.HasPrefix(challenge, "Bearer ") {
		t.Errorf("challenge %q is not of scheme Bearer", challenge)
	}
	if code == "" && strings.Contains(challenge, "error") {
		t.Errorf("challenge %q has an error, want none", challenge)
	}
	if code != "" && !strings.Contains(challenge, `error="`+code+`"`) {
		t.Errorf("challenge %q, want the error %s", challenge, code)
	}
	a.wantJSON(t)
	return challenge
}

// wantUnavailable checks the answer of a gateway that has nothing to judge by.
func (a answer) wantUnavailable(t *testing.T) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503; challenge %q, body %q", a.status, a.header.Values("Www-Authenticate"), a.body)
	}
	if challenge := a.header.Values("Www-Authenticate"); len(challenge) != 0 {
		t.Errorf("a 503 carries the challenge %q: the client would throw a good token away", challenge)
	}
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
		t.Errorf("Retry-After %q, want seconds", a.header.Get("Retry-After"))
	}
	a.wantJSON(t)
}

// wantJSON checks the small body of a server without error routes.
func (a answer) wantJSON(t *testing.T) {
	t.Helper()
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Errorf("Content-Type %q, want JSON", kind)
	}
	if !json.Valid([]byte(a.body)) {
		t.Errorf("body %q is not JSON", a.body)
	}
}
