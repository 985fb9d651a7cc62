package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
)

// retryHeader compares Retry-After: a number of seconds, or none at all.
func (g *gate) retryHeader(what string, res *httptest.ResponseRecorder, least, most int) {
	g.Helper()
	value := res.Header().Get("Retry-After")
	if most == 0 && value == "" {
		return
	}
	if n, err := strconv.Atoi(value); err != nil || n < least || n > most {
		g.Errorf("%s: Retry-After %q, want %d to %d", what, value, least, most)
	}
}

// What the issuer says of the caller is the caller's to know. What is wrong
// with the issuer is a failure: 503, and a time to come back.
func TestTheIssuersErrorIsPassedOnAndItsFailureIsNoVerdict(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	const jsonError = `{"error":"%s","error_description":"the words of the issuer","error_uri":"https://login.example/e#1"}`
	for _, row := range []struct {
		status        int
		body          string
		headers       []string
		want          string
		passed        bool
		retry, retry2 int
	}{
		{400, fmt.Sprintf(jsonError, "invalid_scope"), nil, "400 invalid_scope", true, 0, 0},
		{400, fmt.Sprintf(jsonError, "invalid_target"), nil, "400 invalid_target", true, 0, 0},
		{400, fmt.Sprintf(jsonError, "invalid_request"), nil, "400 invalid_request", true, 0, 0},
		{400, fmt.Sprintf(jsonError, "unauthorized_client"), nil, "400 unauthorized_client", true, 0, 0},
		{401, fmt.Sprintf(jsonError, "invalid_client"), []string{"WWW-Authenticate", "Basic realm=theirs"}, "401 invalid_client", true, 0, 0},
		{400, fmt.Sprintf(jsonError, "invalid_client"), nil, "401 invalid_client", true, 0, 0},
		{403, fmt.Sprintf(jsonError, "access_denied"), nil, "400 access_denied", true, 0, 0},
		{200, fmt.Sprintf(jsonError, "invalid_scope"), nil, "400 invalid_scope", true, 0, 0},
		{429, fmt.Sprintf(jsonError, "slow_down"), []string{"Retry-After", "7"}, "429 slow_down", true, 7, 7},
		{429, "", []string{"Retry-After", "7"}, "503 temporarily_unavailable", false, 7, 7},
		{500, fmt.Sprintf(jsonError, "server_error"), nil, "503 temporarily_unavailable", false, 1, 60},
		{503, fmt.Sprintf(jsonError, "invalid_client"), []string{"Retry-After", "9"}, "503 temporarily_unavailable", false, 9, 9},
		{502, "<html>the words of the issuer</html>", nil, "503 temporarily_unavailable", false, 1, 60},
		{400, "<html>the words of the issuer</html>", nil, "503 temporarily_unavailable", false, 1, 60},
		{401, "", nil, "503 temporarily_unavailable", false, 1, 60},
		{302, "", []string{"Location", "/elsewhere"}, "503 temporarily_unavailable", false, 1, 60},
		{200, "", nil, "503 temporarily_unavailable", false, 1, 60},
		{200, `{"token_type":"Bearer","expires_in":300}`, nil, "503 temporarily_unavailable", false, 1, 60},
		{200, `{"access_token":"half`, nil, "503 temporarily_unavailable", false, 1, 60},
		{200, `{"access_token":"a","token_type":"mac"}`, nil, "503 temporarily_unavailable", false, 1, 60},
		{204, "", nil, "503 temporarily_unavailable", false, 1, 60},
	} {
		g.address = nextAddress()
		what := fmt.Sprint(row.status, " ", row.body)
		issuer.says(row.status, row.body, row.headers...)
		res := g.post("/auth", "grant_type=client_credentials", basic("orders", "orders-secret")...)
		answer := g.refused(what, res, row.want)
		words := answer.Description == "the words of the issuer" && answer.URI == "https://login.example/e#1"
		if words != row.passed || !row.passed && strings.Contains(res.Body.String(), "issuer") {
			t.Errorf("%s: answered %s", what, res.Body)
		}
		g.retryHeader(what, res, row.retry, row.retry2)
		if asked := issuer.take(); len(asked) != 1 {
			t.Errorf("%s: the issuer was asked %d times", what, len(asked))
		}
		g.hides([]string{"orders-secret"}, g.logged())
	}
}

func TestWordsOfTheIssuerThatCannotStandInAnAnswerAreLeftOut(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	for _, description := range []string{`a \"quote\"`, `a\nline`, `ü`, strings.Repeat("a", 501), `a \\ b`} {
		issuer.says(400, `{"error":"invalid_scope","error_description":"`+description+`"}`)
		res := g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...)
		if answer := g.refused(description, res, "400 invalid_scope"); answer.Description != "" {
			t.Errorf("%s is passed on as %q", description, answer.Description)
		}
	}
}

func TestAnIssuerThatHangsUpOrCannotBeReachedIs503(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.Close()
		}
	})
	res := g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...)
	g.refused("hung up", res, "503 temporarily_unavailable")
	g.retryHeader("hung up", res, 1, 60)
	if n := len(issuer.take()); n != 1 {
		t.Errorf("asked %d times: what was sent once is not sent again", n)
	}
	issuer.Close()
	res = g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...)
	g.refused("gone", res, "503 temporarily_unavailable")
	g.retryHeader("gone", res, 1, 60)

	never := newGrantor(t, nil)
	never.Close()
	g = newGate(t, never, endpoint)
	res = g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...)
	g.refused("never there", res, "503 temporarily_unavailable")
	g.retryHeader("never there", res, 1, 60)
}

// The endpoint is missing from the metadata: no client's secret goes anywhere.
func TestAnIssuerWithoutATokenEndpointIs503(t *testing.T) {
	issuer := newGrantor(t, func(metadata map[string]any) { delete(metadata, "token_endpoint") })
	g := newGate(t, issuer, endpoint)
	g.refused("", g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...), "503 temporarily_unavailable")
}

// A client that is told 401 throws its credentials away; here they are not even
// the ones that the issuer refuses.
func TestTheIssuersRefusalOfTheGatewaysOwnCredentialsIsNeverTheCallersFault(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	for _, code := range []string{"invalid_client", "unauthorized_client"} {
		issuer.says(401, `{"error":"`+code+`","error_description":"the words of the issuer"}`)
		for path, form := range map[string]string{
			"/auth":   "grant_type=authorization_code&client_id=app&code=c&code_verifier=v",
			"/device": "client_id=tv&scope=a",
		} {
			res := g.post(path, form)
			g.refused(path+" "+code, res, "503 temporarily_unavailable")
			g.retryHeader(path, res, 60, 60)
			if strings.Contains(res.Body.String(), "words of the issuer") {
				t.Errorf("%s: %s", path, res.Body)
			}
		}
	}
	if n := g.logs.FilterMessage("token request refused").Len(); n != 4 {
		t.Errorf("%d log lines", n)
	}
	for range limits.MostFailures { // it does not count against the caller either
		g.post("/auth", "grant_type=authorization_code&client_id=app&code=c&code_verifier=v")
	}
	issuer.reply(nil)
	g.answer(g.post("/auth", "grant_type=authorization_code&client_id=app&code=c&code_verifier=v"))
}

func TestTenFailuresLockAClientOutAtItsAddressAndNoOtherClient(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Password == "right" {
			issuer.grant(w, q)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
	})
	try := func(id, secret string) *httptest.ResponseRecorder {
		return g.post("/auth", "grant_type=client_credentials", basic(id, secret)...)
	}
	for range 15 {
		g.answer(try("orders", "right")) // what goes well does not count
	}
	for range limits.MostFailures {
		g.refused("a wrong secret", try("orders", "wrong"), "401 invalid_client")
	}
	issuer.take()
	res := try("orders", "right")
	g.refused("after ten", res, "429 temporarily_unavailable")
	g.retryHeader("after ten", res, 1, 60)
	if n := issuer.count(); n != 0 {
		t.Errorf("the issuer was asked %d times for one that is locked out", n)
	}
	g.answer(try("billing", "right"))
	first := g.address
	g.address = nextAddress()
	g.answer(try("orders", "right"))
	g.address = first
	g.refused("still", try("orders", "right"), "429 temporarily_unavailable")
	g.refused("the revocation too", g.post("/revoke", "token=x", basic("orders", "right")...), "429 temporarily_unavailable")
}

// A client's id costs nothing to make up, and each had ten calls at the issuer,
// which may take the gateway for the one that guesses and shut it out.
func TestStrangersWhoMakeUpClientsCauseFewCallsAndLockOutNoClient(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Password == "right" {
			issuer.grant(w, q)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
	})
	try := func(id, secret string) *httptest.ResponseRecorder {
		return g.post("/auth", "grant_type=client_credentials", basic(id, secret)...)
	}
	g.answer(try("orders", "right"))
	issuer.take()
	for n := range limits.MostStrangers {
		g.refused("made up", try(fmt.Sprint("nobody-", n), "wrong"), "401 invalid_client")
	}
	res := try("nobody", "wrong")
	g.refused("one more", res, "429 temporarily_unavailable")
	g.retryHeader("one more", res, 1, 60)
	if n := issuer.count(); n != limits.MostStrangers {
		t.Errorf("the issuer was asked %d times", n)
	}
	g.answer(try("orders", "right")) // it has proved itself before
	g.address = nextAddress()
	g.answer(try("billing", "right"))
}

func TestAHostsIPv6AddressesCountAsOne(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	n := addresses.Add(1)
	for i := range limits.MostFailures {
		g.address = fmt.Sprintf("2001:db8:0:%x::%x", n, i+1)
		g.refused("wrong", g.post("/auth", "grant_type=refresh_token&refresh_token=x", basic("orders", "s")...), "400 invalid_grant")
	}
	g.address = fmt.Sprintf("2001:db8:0:%x:ffff::1", n)
	g.refused("the same network", g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...), "429 temporarily_unavailable")
	g.address = fmt.Sprintf("2001:db8:1:%x::1", n)
	g.answer(g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...))
}

// Guesses that are under way have not failed yet: those beyond wait, and are
// not made when the first have failed.
func TestParallelGuessesAreBounded(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	hold := make(chan struct{})
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		<-hold
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
	})
	const guesses = 2 * limits.CallsPerAddress
	answers := make(chan int, guesses)
	for range guesses {
		go func() {
			answers <- g.post("/auth", "grant_type=client_credentials", basic("orders", "guess")...).Code
		}()
	}
	await(t, "as many to be made as may be", func() bool { return issuer.count() == limits.CallsPerAddress })
	close(hold)
	codes := map[int]int{}
	for range guesses {
		codes[<-answers]++
	}
	if most := limits.CallsPerAddress + limits.MostFailures; codes[401] > most || codes[401]+codes[429] != guesses || issuer.count() > most {
		t.Errorf("answers: %v, %d calls", codes, issuer.count())
	}
}

// An issuer that is slow, or is kept busy by strangers, used to take the places
// of all issuers.
func TestRequestsThatWaitForOneIssuerStopNoneAtAnother(t *testing.T) {
	slow, quick := newGrantor(t, nil), newGrantor(t, nil)
	crowd, g := newGate(t, slow, endpoint), newGate(t, quick, endpoint)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	slow.reply(func(w http.ResponseWriter, q *asked) { <-hold; slow.grant(w, q) })
	var all sync.WaitGroup
	for range limits.CallsAtOnce / limits.CallsPerAddress {
		crowd.address = nextAddress()
		for range limits.CallsPerAddress {
			raw := httptest.NewRequest(http.MethodPost, "/auth", strings.NewReader("grant_type=client_credentials"))
			raw.Host, raw.RemoteAddr = "api.example", crowd.address+":4711"
			raw.Header.Set("Content-Type", formType)
			raw.SetBasicAuth("orders", "s")
			all.Go(func() { crowd.serve(raw) })
		}
	}
	await(t, "all places at the slow one to be taken", func() bool { return slow.count() == limits.CallsAtOnce })
	g.address = crowd.address
	began := time.Now()
	g.answer(g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...))
	if took := time.Since(began); took >= limits.PlaceWait {
		t.Errorf("it took %v", took)
	}
	release()
	all.Wait()
}

// A burst of good requests waits for its turn.
func TestAnHonestBurstIsServed(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	const burst = 4 * limits.CallsPerAddress
	answers := make(chan int, burst)
	for range burst {
		go func() {
			answers <- g.post("/auth", "grant_type=client_credentials", basic("orders", "s3cret")...).Code
		}()
	}
	for range burst {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("one of a burst got %d", code)
		}
	}
}
