package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// knowingIssuer calls tokens that begin with good active, and counts what it is
// asked.
type knowingIssuer struct {
	*httptest.Server
	asked atomic.Int64
}

func startKnowingIssuer(t *testing.T) *knowingIssuer {
	t.Helper()
	i := &knowingIssuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/oauth-authorization-server":
			fmt.Fprintf(w, `{"issuer":%q,"introspection_endpoint":%q}`, i.URL, i.URL+"/introspect")
		case "/introspect":
			i.asked.Add(1)
			good := strings.HasPrefix(r.PostFormValue("token"), "good")
			fmt.Fprintf(w, `{"active":%t,"aud":%q,"client_id":"service"}`, good, audience)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// Invented tokens, 5,000 a second for ten seconds (or as many as this machine
// makes), cost the issuer what rate allows, and delay no token that is known.
func TestAFloodOfInventedTokensCostsTheRateAndDelaysNoKnownToken(t *testing.T) {
	const rate, perSecond, workers, lasts = 20, 5000, 64, 10 * time.Second
	issuer := startKnowingIssuer(t)
	up := startUpstream(t)
	g := newGateway(t)
	site := g.site(g.port, asking(issuer.URL, audience, "gateway secret", fmt.Sprintf("rate %d", rate)), up)
	g.serve(strings.Replace(site, "\tlog\n", "", 1) + g.site(g.open, "", up))
	const known = 8
	for n := range known {
		get(t, g.url("/"), fmt.Sprint("good-", n)).wantPass(t, "service")
	}
	asked := issuer.asked.Load()
	good := func(n int) string { return fmt.Sprint("good-", n%known) }

	calm := goodLoad(g.url("/"), good)
	awaitMore(t, 400, calm)
	quiet := goodOnly(t, calm.stop())

	began := time.Now()
	client := newClient(10 * time.Second)
	invented := startLoad(workers, workers*time.Second/perSecond, func(n int) (answer, error) {
		return try(client, g.url("/"), fmt.Sprintf("bad-%d-%d", began.UnixNano(), n))
	})
	stressed, bare := goodLoad(g.url("/"), good), goodLoad(g.openURL(), good)
	await(t, 6*lasts, "the flood to last", func() bool { return time.Since(began) > lasts })
	flooded, control := goodOnly(t, stressed.stop()), goodOnly(t, bare.stop())
	took := time.Since(began)
	all := invented.stop()
	calls := issuer.asked.Load() - asked

	wantRefused(t, "invented tokens", all, http.StatusUnauthorized, http.StatusServiceUnavailable)
	// One second's worth may come at once. The flood has one address, and so
	// half of the rate.
	if most := int64(rate * (time.Since(began).Seconds() + 1)); calls > most || calls < 1 {
		t.Errorf("%d calls in %v, at most %d were allowed", calls, took, most)
	}
	if most := int64(rate/2*(time.Since(began).Seconds()+1)) + 1; calls > most {
		t.Errorf("%d calls for one address in %v, at most %d were allowed", calls, took, most)
	}
	refused := statuses(all)[http.StatusUnauthorized]
	if refused > int(calls) {
		t.Errorf("%d tokens were refused by %d answers", refused, calls)
	}
	before, after, open := p99(quiet, goodPace), p99(flooded, goodPace), p99(control, goodPace)
	t.Logf("%d invented tokens in %v, %.0f a second: %d calls; medians %v calm, %v in the flood; p99 %v and %v, an open site has %v",
		len(all), took, float64(len(all))/took.Seconds(), calls, median(quiet), median(flooded), before, after, open)
	wantUndelayed(t, before, after, open)
}

func median(samples []sample) time.Duration {
	took := make([]time.Duration, len(samples))
	for i, s := range samples {
		took[i] = s.end.Sub(s.start)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
