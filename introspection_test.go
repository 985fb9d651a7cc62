package caddyoauth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// newAsker provisions a gateway that asks the grantor about tokens. words
// stand in introspect, block in oauth.
func newAsker(tb testing.TB, issuer *grantor, words, block string) *gate {
	tb.Helper()
	return rawGate(tb, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
			introspect {
				%s
			}
			client gateway the-gateways-own-secret
		}
		%s
	}`, issuer.URL, words, block), &issuer.clock)
}

// knows answers that tokens that begin with good are active, for 300 seconds.
func (i *grantor) knows(w http.ResponseWriter, q *asked) {
	if q.Path != "/introspect" {
		i.grant(w, q)
		return
	}
	if !strings.HasPrefix(q.Form.Get("token"), "good") {
		_, _ = io.WriteString(w, `{"active":false}`)
		return
	}
	fmt.Fprintf(w, `{"active":true,"aud":"api","sub":"alice","exp":%d}`, i.clock.now().Add(accessLife).Unix())
}

func newKnower(tb testing.TB) *grantor {
	tb.Helper()
	issuer := newGrantor(tb, nil)
	issuer.reply(issuer.knows)
	return issuer
}

// expects fails if a token is not answered so.
func (g *gate) expects(tok string, status int) *httptest.ResponseRecorder {
	g.Helper()
	res := g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok)
	if res.Code != status {
		g.Errorf("%s: %d %s, want %d; log: %s", tok, res.Code, res.Body, status, g.logged())
	}
	return res
}

func TestEqualTokensAtOneTimeAreOneCall(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", "")
	inside, open := make(chan struct{}, 1000), make(chan struct{})
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		inside <- struct{}{}
		<-open
		issuer.knows(w, q)
	})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { g.expects("good", http.StatusOK) })
	}
	<-inside
	misses := prometheus.NewRegistry() // of one metric: all take too long to gather while a call goes on
	misses.MustRegister(telemetry.Metrics.ForIssuer(issuer.URL).Misses)
	await(t, "all to want an answer", func() bool {
		now, err := misses.Gather()
		return err == nil && now[0].GetMetric()[0].GetCounter().GetValue() == 100
	})
	close(open)
	all.Wait()
	if n := issuer.count(); n != 1 {
		t.Errorf("%d calls for 100 requests with one token", n)
	}
}

func TestTheFirstToAskMayLeaveAndTheOthersGetTheAnswer(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", "")
	inside, open := make(chan struct{}), make(chan struct{})
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		close(inside)
		<-open
		issuer.knows(w, q)
	})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan int)
	go func() {
		raw := httptest.NewRequest(http.MethodGet, "/orders", nil).WithContext(ctx)
		raw.Header.Set("Authorization", "Bearer good")
		left <- g.serve(raw).Code
	}()
	<-inside
	leave()
	if status := <-left; status != verdict.StatusClientGone {
		t.Errorf("who left got %d", status)
	}
	close(open)
	g.expects("good", http.StatusOK)
	if n := issuer.count(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestFailuresAreNotRememberedAndSayNothingOfAToken(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", "")
	for _, status := range []int{500, 401, 302} {
		issuer.says(status, `{"active":true,"aud":"api"}`)
		if res := g.expects("good", http.StatusServiceUnavailable); res.Header().Get("Retry-After") != retryAfter || res.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%d: %v", status, res.Header())
		}
	}
	issuer.reply(issuer.knows)
	g.expects("good", http.StatusOK)
	if n := issuer.count(); n != 4 {
		t.Errorf("%d calls", n)
	}
	g.hides([]string{"the-gateways-own-secret", "good"})
}

func TestAnIssuerThatDiesWhileItIsAskedIsAFailure(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", "")
	g.expects("good", http.StatusOK)
	issuer.CloseClientConnections()
	issuer.Server.Close()
	g.expects("good-two", http.StatusServiceUnavailable)
	g.expects("good", http.StatusOK) // which is remembered
	for range 6 {
		g.expects("good-two", http.StatusServiceUnavailable)
	}
	if left := g.validator.ForOpaque("")[0].Introspector.Paused(g.clock.now()); left <= 0 {
		t.Error("the breaker is closed")
	}
}

// What stood in a grant's answer is asked about as if its client had sent it.
func TestAnOpaqueTokenBehindAReferenceTokenIsAskedAbout(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "", endpoint)
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.Path == "/token" {
			_, _ = io.WriteString(w, `{"access_token":"good-behind","token_type":"Bearer","expires_in":300}`)
			return
		}
		issuer.knows(w, q)
	})
	tok := g.token("orders").AccessToken // judged before it is handed out
	for range 3 {
		if status, upstream := g.get(tok); status != http.StatusOK || upstream != "Bearer good-behind" {
			t.Errorf("%d, the upstream got %q; log: %s", status, upstream, g.logged())
		}
	}
	all := slices.DeleteFunc(issuer.take(), func(q asked) bool { return q.Path != "/introspect" })
	if len(all) != 1 || all[0].Form.Get("token") != "good-behind" || all[0].client() != "gateway" {
		t.Errorf("asked %+v", all)
	}
}

// newOpaqueGate is a gate with a reference whose issuer gives an opaque token at
// the refresh, beside another issuer that is asked about such.
func newOpaqueGate(t *testing.T) (g *gate, reference string, asking *grantor) {
	t.Helper()
	granting := newGrantor(t, nil)
	asking = newKnower(t)
	g = rawGate(t, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
		}
		issuer %s {
			audience api
			introspect
			client gateway the-gateways-own-secret
		}
		%s
	}`, granting.URL, asking.URL, endpoint), &granting.clock)
	reference = g.token("orders").AccessToken
	granting.reply(func(w http.ResponseWriter, q *asked) {
		_, _ = io.WriteString(w, `{"access_token":"good-behind","token_type":"Bearer","expires_in":300}`)
	})
	asking.clock.ahead.Add(int64(accessLife + time.Second))
	g.skip(accessLife + time.Second)
	return g, reference, asking
}

// An opaque token behind a reference token is shown to its own issuer alone.
func TestAnOpaqueTokenBehindAReferenceTokenOfAnotherIssuerIsShownToNoIssuer(t *testing.T) {
	g, reference, asking := newOpaqueGate(t)
	if status, _ := g.get(reference); status != http.StatusUnauthorized {
		t.Errorf("status %d; log: %s", status, g.logged())
	}
	if all := asking.take(); len(all) > 0 {
		t.Errorf("the other issuer was asked %+v", all)
	}
}

// An access token behind a grant of one issuer counts for nothing at another,
// also when that one has called the very same text active before.
func TestWhatOneIssuerSaidOfATokenCountsForNoGrantOfAnother(t *testing.T) {
	g, reference, _ := newOpaqueGate(t)
	g.expects("good-behind", http.StatusOK)
	if status, _ := g.get(reference); status != http.StatusUnauthorized {
		t.Errorf("status %d; log: %s", status, g.logged())
	}
}

func TestWithAlwaysARevocationIsSeenWhenTheCacheLetsGo(t *testing.T) {
	issuer := newGrantor(t, nil)
	revoked := false
	issuer.reply(func(w http.ResponseWriter, _ *asked) { fmt.Fprintf(w, `{"active":%t}`, !revoked) })
	g := newAsker(t, issuer, "always\ncache 20s", "")
	tok := issuer.access("alice")
	g.expects(tok, http.StatusOK)
	revoked = true
	g.clock.ahead.Add(int64(19 * time.Second))
	g.expects(tok, http.StatusOK)
	g.clock.ahead.Add(int64(2 * time.Second))
	g.expects(tok, http.StatusUnauthorized)
	if n := issuer.count(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestAReloadKeepsWhatTheIssuerSaidUnlessItMeansSomethingElse(t *testing.T) {
	issuer := newKnower(t)
	first := newAsker(t, issuer, "", "")
	first.expects("good", http.StatusOK)
	newAsker(t, issuer, "", "realm other").expects("good", http.StatusOK)
	if n := issuer.count(); n != 1 {
		t.Fatalf("%d calls over a reload that changes nothing", n)
	}
	newAsker(t, issuer, "always", "").expects("good", http.StatusOK)
	if n := issuer.count(); n != 2 {
		t.Errorf("%d calls with another configuration", n)
	}
	before := len(introspection.All())
	_ = first.Gateway.Cleanup()
	if after := len(introspection.All()); after != before {
		t.Errorf("%d of %d introspectors are left while another gateway needs them", after, before)
	}
}

func TestTheMetricsTellOfIntrospection(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "rate 12", "")
	g.expects("good", http.StatusOK)
	g.expects("good", http.StatusOK)
	g.expects("bad", http.StatusUnauthorized)
	g.expects("bad", http.StatusUnauthorized)
	issuer.says(http.StatusInternalServerError, "")
	for n := range 3 {
		g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable)
	}
	g.expects("good-limited", http.StatusServiceUnavailable)
	g.address = nextAddress()
	for n := range 3 {
		g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable)
	}
	now := measured(t)
	for name, want := range map[string]float64{
		"introspections_total %s active": 1, "introspections_total %s inactive": 1, "introspections_total %s error": 5,
		"introspections_total %s limited": 1, "introspections_total %s breaker_open": 1, "introspection_duration_seconds_count %s": 7,
		"cache_lookups_total %s hit": 1, "cache_lookups_total %s inactive": 1, "cache_lookups_total %s miss": 9,
		"verdicts_total %s accepted": 2, "verdicts_total %s token_inactive": 2,
		"verdicts_total %s introspection_unavailable": 6, "verdicts_total %s introspection_limited": 1,
	} {
		if got := now["caddy_oauth_"+fmt.Sprintf(name, issuer.URL)]; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if left := now["caddy_oauth_introspection_breaker_open_seconds "+issuer.URL]; left <= 0 {
		t.Error("no breaker is open")
	}
}
