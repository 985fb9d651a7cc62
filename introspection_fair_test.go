package caddyoauth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
)

// With a short cache the issuer's earlier yes is still in memory when it says
// no. It hid the no, and the issuer was asked about a revoked token each time.
func TestTheIssuersNoIsRememberedAfterItsYes(t *testing.T) {
	issuer := newGrantor(t, nil)
	revoked := false
	issuer.reply(func(w http.ResponseWriter, _ *asked) { fmt.Fprintf(w, `{"active":%t,"aud":"api"}`, !revoked) })
	for _, words := range []string{"cache 5s", "always\ncache 5s"} {
		g := newAsker(t, issuer, words, "")
		for _, tok := range []string{"opaque", issuer.access("alice")}[:1+strings.Count(words, "always")] {
			revoked = false
			g.expects(tok, http.StatusOK)
			revoked = true
			g.clock.ahead.Add(int64(6 * time.Second))
			issuer.take()
			for range 5 {
				g.expects(tok, http.StatusUnauthorized)
			}
			if n := issuer.count(); n > 1 {
				t.Errorf("%q: %d calls about one revoked token", words, n)
			}
		}
	}
}

// A token that the issuer can only answer oddly about is its sender's: it must
// not have everybody else left without answers.
func TestAnOddAnswerAboutOneTokenBreaksNoBreaker(t *testing.T) {
	for name, body := range map[string]string{
		"a claim of another type": `{"active":true,"aud":"api","sub":{}}`,
		"a name twice":            `{"active":true,"aud":"api","a":1,"a":2}`,
		"more than 64 KB":         `{"active":true,"aud":"api","x":"` + strings.Repeat("x", 70_000) + `"}`,
	} {
		issuer := newKnower(t)
		g := newAsker(t, issuer, "", "")
		issuer.says(http.StatusOK, body)
		for n := range 6 {
			g.expects(fmt.Sprint("odd-", n), http.StatusServiceUnavailable)
		}
		if left := g.validator.ForOpaque("")[0].Introspector.Paused(g.clock.now()); left > 0 {
			t.Errorf("%s: the endpoint is left alone", name)
		}
	}
}

// Calls that are under way when an endpoint dies fail together, and say no more
// than one of them does.
func TestABurstOfFailuresPausesAsShortAsFiveInARow(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", "")
	inside, open := make(chan struct{}, 100), make(chan struct{})
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		inside <- struct{}{}
		<-open
		w.WriteHeader(http.StatusInternalServerError)
	})
	const burst = 20
	done := make(chan struct{}, burst)
	for n := range burst {
		go func() {
			g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable)
			done <- struct{}{}
		}()
	}
	for range burst {
		<-inside
	}
	close(open)
	for range burst {
		<-done
	}
	if left := g.validator.ForOpaque("")[0].Introspector.Paused(g.clock.now()); left > time.Second {
		t.Errorf("left alone for %s after one burst", left)
	}
}

// While the issuer is not asked, requests take nothing from what may be asked then.
func TestWhatAPauseTurnsAwayCostsNothingOfTheRate(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "rate 20", "")
	issuer.says(http.StatusInternalServerError, "", "Retry-After", "20")
	g.expects("good-first", http.StatusServiceUnavailable)
	for n := range 40 {
		if res := g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable); res.Header().Get("Retry-After") == "1" {
			t.Fatalf("request %d is charged while nobody is asked", n)
		}
	}
}

// The issuer's own wait is passed on to the client whose token it was about.
func TestTheIssuersRetryAfterIsPassedOnWithinBounds(t *testing.T) {
	for said, want := range map[string]string{"7": "7", "86400": "30", "soon": retryAfter} {
		issuer := newKnower(t)
		issuer.says(http.StatusTooManyRequests, "", "Retry-After", said)
		res := newAsker(t, issuer, "", "").expects("good", http.StatusServiceUnavailable)
		if got := res.Header().Get("Retry-After"); got != want {
			t.Errorf("the issuer says %s, the client is told %s, want %s", said, got, want)
		}
	}
}

// Invented tokens cannot crowd out those that the issuer has called active
// before, however long they go on, from wherever they come.
func TestAFloodThatOutlivesTheCacheLeavesKnownTokensTheirCalls(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "rate 40\ncache 5s", "")
	home := g.address
	for n := range 4 {
		g.expects(fmt.Sprint("good-", n), http.StatusOK)
	}
	for range 3 {
		g.clock.ahead.Add(int64(6 * time.Second))
		for n := range 500 {
			g.address = fmt.Sprintf("198.51.100.%d", n%100)
			if n%10 == 0 {
				g.address = home // behind one proxy with them
			}
			g.send(http.MethodGet, "/orders", "", "Authorization", fmt.Sprintf("Bearer bad-%d", n))
		}
		g.address = home
		for n := range 4 {
			if res := g.send(http.MethodGet, "/orders", "", "Authorization", fmt.Sprint("Bearer good-", n)); res.Code != http.StatusOK {
				t.Errorf("good-%d: %d %s", n, res.Code, res.Body)
			}
		}
	}
}

// People who ask why a token is refused change nothing for requests.
func TestExplainingATokenIsNotRememberedAndCountsForNothing(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "rate 2", "")
	asking := g.validator.ForOpaque("")[0].Introspector
	explain := func(tok string) error {
		said, remembered, err := asking.Consult(t.Context(), introspection.Request{Token: tok, Digest: sha256.Sum256([]byte(tok)), Now: g.clock.now})
		if remembered || err == nil && (said.Refusal == nil) != (tok == "good") {
			t.Errorf("%s: %v, %t", tok, said, remembered)
		}
		return err
	}
	for range 5 {
		if err := errors.Join(explain("good"), explain("bad")); err != nil {
			t.Fatal(err)
		}
	}
	if n := issuer.count(); n != 10 {
		t.Errorf("%d calls for 10 questions", n)
	}
	g.expects("good", http.StatusOK)
	issuer.says(http.StatusInternalServerError, "")
	for range 6 {
		if explain("bad") == nil {
			t.Fatal("a failure is an answer")
		}
	}
	if left := asking.Paused(g.clock.now()); left > 0 {
		t.Error("the breaker is open")
	}
}

// A call belongs to no request, so it has an end of its own: after some seconds,
// or with the last configuration that asks so.
func TestACallToAnIssuerThatHangsEnds(t *testing.T) {
	for name, leave := range map[string]func(g *gate){
		"by itself": func(*gate) {},
		"with the configuration": func(g *gate) {
			_ = g.Gateway.Cleanup()
			if slices.Contains(introspection.All(), g.validator.ForOpaque("")[0].Introspector) {
				g.Error("what no configuration asks for any more is still held")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newKnower(t)
			g := newAsker(t, issuer, "", "")
			inside, open := make(chan struct{}), make(chan struct{})
			issuer.reply(func(http.ResponseWriter, *asked) {
				close(inside)
				<-open
			})
			defer close(open)
			t.Parallel() // gates are provisioned one after the other
			answered := make(chan int)
			go func() {
				answered <- g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer good").Code
			}()
			<-inside
			leave(g)
			select {
			case status := <-answered:
				if status != http.StatusServiceUnavailable {
					t.Errorf("status %d", status)
				}
			case <-time.After(time.Minute):
				t.Error("it has no end")
			}
		})
	}
}
