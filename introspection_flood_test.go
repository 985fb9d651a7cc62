package caddyoauth

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// A flood of invented tokens costs the issuer what rate allows and no more, and
// evicts nothing.
func TestAFloodCostsTheRateAndEvictsNoGoodToken(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "rate 28", "cache 50")
	for n := range 10 {
		g.expects(fmt.Sprintf("good-%d", n), http.StatusOK)
	}
	issuer.take()
	began := time.Now()
	limited := 0
	for n := range 3000 {
		g.address = fmt.Sprintf("198.51.100.%d", n%250) // a share of its own for each
		res := g.send(http.MethodGet, "/orders", "", "Authorization", fmt.Sprintf("Bearer bad-%d", n))
		switch res.Code {
		case http.StatusUnauthorized:
		case http.StatusServiceUnavailable:
			limited++
			if res.Header().Get("Retry-After") != "1" {
				t.Fatalf("Retry-After %q", res.Header().Get("Retry-After"))
			}
		default:
			t.Fatal(res.Code, res.Body)
		}
	}
	calls, most := issuer.count(), 28+int(28*time.Since(began).Seconds())+1
	if calls > most || calls+limited != 3000 {
		t.Errorf("%d calls, at most %d were allowed, and %d limited", calls, most, limited)
	}
	for n := range 10 {
		g.expects(fmt.Sprintf("good-%d", n), http.StatusOK)
	}
	if now := issuer.count(); now != calls {
		t.Errorf("%d good tokens were asked for again", now-calls)
	}
}
