package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stumbles makes an issuer fail over tokens that begin with evil, and know those
// that begin with good.
func (i *grantor) stumbles(fail http.HandlerFunc) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		if strings.HasPrefix(q.Form.Get("token"), "evil") {
			fail(w, nil)
			return
		}
		i.knows(w, q)
	})
}

// An issuer that stumbles over some tokens was left alone for everybody, as soon
// as a stranger had sent it five of them, and for up to 30 seconds with one more
// at each end of a pause.
func TestTokensThatTheIssuerStumblesOverLeaveTheOthersTheirAnswers(t *testing.T) {
	say := func(status int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for n := 0; n < len(headers); n += 2 {
				w.Header().Set(headers[n], headers[n+1])
			}
			w.WriteHeader(status)
		}
	}
	for name, fail := range map[string]http.HandlerFunc{
		"500":                    say(http.StatusInternalServerError),
		"502 of a proxy":         say(http.StatusBadGateway),
		"503 with a wait":        say(http.StatusServiceUnavailable, "Retry-After", "30"),
		"403 of a filter":        say(http.StatusForbidden),
		"200 and HTML":           func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"a connection that ends": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "90")
			fmt.Fprint(w, `{"active":`)
		},
		"a redirect to somewhere": say(http.StatusFound, "Location", "/elsewhere"),
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, nil)
			issuer.stumbles(fail)
			g := newAsker(t, issuer, "", "")
			for round := range 4 {
				for n := range 12 {
					g.expects(fmt.Sprintf("evil-%d-%d", round, n), http.StatusServiceUnavailable)
				}
				g.expects(fmt.Sprintf("good-%d", round), http.StatusOK)
				g.clock.ahead.Add(int64(2 * time.Second)) // past a pause, and past what a probe counts
			}
			if calls := issuer.count(); calls > 4*(12+12+1) {
				t.Errorf("%d calls for 52 tokens", calls)
			}
		})
	}
}

// What fails for every token is an outage, whichever client asks: the endpoint
// is left alone, and after a pause one call goes first.
func TestAnOutageStillOpensTheBreakerAndItsEndClosesIt(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAsker(t, issuer, "", "")
	issuer.says(http.StatusInternalServerError, "")
	for n := range 5 {
		g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable)
	}
	if left := g.validator.ForOpaque("")[0].Introspector.Paused(g.clock.now()); left <= 0 {
		t.Fatal("the endpoint is not left alone")
	}
	issuer.take()
	for n := range 20 {
		g.expects(fmt.Sprint("more-", n), http.StatusServiceUnavailable)
	}
	if n := issuer.count(); n > 0 {
		t.Errorf("%d calls during the pause", n)
	}
	g.clock.ahead.Add(int64(2 * time.Second))
	g.expects("good-first", http.StatusServiceUnavailable)
	if left := g.validator.ForOpaque("")[0].Introspector.Paused(g.clock.now()); left <= time.Second {
		t.Errorf("left alone for %s after the call that went first failed too, want longer", left)
	}
	issuer.reply(issuer.knows)
	g.clock.ahead.Add(int64(10 * time.Second))
	g.expects("good-again", http.StatusOK)
	g.expects("good-and-again", http.StatusOK)
}

// An issuer that says it is asked too often is believed, and not asked whether
// it means it.
func TestTooManyRequestsAreNotProbed(t *testing.T) {
	issuer := newGrantor(t, nil)
	issuer.says(http.StatusTooManyRequests, "", "Retry-After", "20")
	g := newAsker(t, issuer, "", "")
	g.expects("good", http.StatusServiceUnavailable)
	g.expects("good-too", http.StatusServiceUnavailable)
	if n := issuer.count(); n != 1 {
		t.Errorf("%d calls", n)
	}
}
