package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// measured reads all metrics as a configuration's registry has them, by name
// and the values of the labels.
func measured(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := telemetry.Metrics.Register(registry, stateMetrics...); err != nil {
		t.Fatal(err)
	}
	res := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/", nil))
	values := map[string]float64{}
	for _, line := range metricLine.FindAllStringSubmatch(res.Body.String(), -1) {
		name := line[1]
		for _, label := range labelValue.FindAllStringSubmatch(line[2], -1) {
			name += " " + label[1]
		}
		values[name], _ = strconv.ParseFloat(line[3], 64)
	}
	if len(values) == 0 {
		t.Fatal("no metrics: ", res.Body)
	}
	return values
}

var (
	metricLine = regexp.MustCompile(`(?m)^(caddy_oauth_\w+)(\{.*\})? (\S+)$`)
	labelValue = regexp.MustCompile(`="([^"]*)"`)
)

func TestTheMetricsTellTheStory(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	before := measured(t)
	was := func(want map[string]float64) {
		t.Helper()
		now := measured(t)
		for name, n := range want {
			if got := now[name] - before[name]; got != n {
				t.Errorf("%s: %v, want %v", name, got, n)
			}
		}
		before = now
	}
	at := func(name, rest string) string { return "caddy_oauth_" + name + " " + rest }
	of := func(labels string) string { return fmt.Sprintf(labels, issuer.URL) }

	orders, app := g.token("orders"), g.answer(g.post("/auth", codeForm))
	tv := g.answer(g.post("/auth", deviceForm))
	g.post("/auth", "grant_type=password")
	g.post("/auth", "grant_type=client_credentials")
	g.answer(g.post("/auth", "grant_type=refresh_token&client_id=app&refresh_token="+app.RefreshToken))
	g.post("/device", "client_id=tv")
	g.post("/revoke", "client_id=tv&token="+tv.RefreshToken)
	was(map[string]float64{
		at("token_requests_total", of("client_credentials %s granted")):        1,
		at("token_requests_total", of("authorization_code %s granted")):        1,
		at("token_requests_total", of("device_code %s granted")):               1,
		at("token_requests_total", of("refresh_token %s granted")):             1,
		at("token_requests_total", of("device_authorization %s granted")):      1,
		at("token_requests_total", of("revocation %s granted")):                1,
		at("token_requests_total", of(" %s unsupported_grant_type")):           1,
		at("token_requests_total", of("client_credentials %s invalid_client")): 1,
		at("grants_ended_total", "logout"):                                     1,
		at("renewals_total", of("%s granted")):                                 0,
	})

	g.skip(accessLife)
	g.wants(map[string]int{orders.AccessToken: 200, app.AccessToken: 200})
	was(map[string]float64{
		at("renewals_total", of("%s granted")):                 2,
		at("presentations_total", issuer.URL):                  1, // running client_credentials again presents nothing
		at("renewal_duration_seconds_count", issuer.URL):       2,
		at("renewal_wait_seconds_count", of("%s served")):      2,
		at("renewal_wait_seconds_count", of("%s unavailable")): 0,
		at("grants_ended_total", "refused"):                    0,
		at("verdicts_total", of("%s accepted")):                2,
		at("store_errors_total", "compare_and_swap"):           0,
	})

	issuer.says(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	g.skip(accessLife)
	g.wants(map[string]int{app.AccessToken: 401})
	was(map[string]float64{
		at("renewals_total", of("%s refused")):              1,
		at("presentations_total", issuer.URL):               1,
		at("renewal_wait_seconds_count", of("%s no_grant")): 1,
		at("grants_ended_total", "refused"):                 1,
	})
	counts, err := sweep(t, g)
	if err != nil || counts.Live != 1 || counts.Dead != 2 || counts.Renewing+counts.Uncertain > 0 {
		t.Errorf("%+v, %v", counts, err)
	}
	now := measured(t)
	for _, state := range []string{"live", "ended", "renewing", "uncertain"} {
		if _, there := now[at("grants", state)]; !there {
			t.Errorf("%s grants are not told", state)
		}
	}
}

// sweep removes what has run out, and counts what is left.
func sweep(tb testing.TB, g *gate) (session.Counts, error) {
	tb.Helper()
	s, err := g.keeper.Open(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return s.Sweep(tb.Context())
}

func TestTheBreakerIsToldWhileItIsOpen(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, "token_endpoint /auth")
	var tokens []tokenAnswer
	for n := range 5 {
		tokens = append(tokens, g.token(fmt.Sprint("client-", n)))
	}
	name := "caddy_oauth_breaker_open_seconds " + issuer.URL
	if _, open := measured(t)[name]; open {
		t.Error("it is open before anything failed")
	}
	issuer.says(http.StatusInternalServerError, "")
	g.skip(accessLife)
	told := make(chan struct{})
	var clients sync.WaitGroup
	for _, tok := range tokens { // at once: each waits for its own back-off as well
		clients.Go(func() {
			for { // it is open for seconds, and a look takes that long where others are busy
				if status := g.send(http.MethodGet, "/", "", "Authorization", "Bearer "+tok.AccessToken).Code; status != 503 {
					t.Errorf("%d while the issuer is down", status)
				}
				select {
				case <-told:
					return
				default:
				}
			}
		})
	}
	await(t, "the breaker to open", func() bool { return measured(t)[name] > 0 })
	close(told)
	clients.Wait()
}

// Each value of a label is a series that stays for as long as the process runs.
func TestWhatAnIssuerOrAStrangerInventsIsNoLabel(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	for n := range 3 {
		issuer.says(http.StatusBadRequest, fmt.Sprintf(`{"error":"invented_%d"}`, n))
		g.refused("a code of the issuer's own", g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...), fmt.Sprintf("400 invented_%d", n))
		g.post("/auth", fmt.Sprintf("grant_type=invented_%d&client_id=invented_%[1]d", n), "X-Invented", "1")
		g.send(fmt.Sprintf("INVENTED_%d", n), fmt.Sprintf("/invented_%d", n), "", "Authorization", "Bearer invented")
	}
	now := measured(t)
	if got := now["caddy_oauth_token_requests_total client_credentials "+issuer.URL+" other"]; got != 3 {
		t.Errorf("%v are counted as other, want 3", got)
	}
	for name := range now {
		if strings.Contains(strings.ToLower(name), "invented") {
			t.Errorf("the label of a stranger: %s", name)
		}
	}
}
