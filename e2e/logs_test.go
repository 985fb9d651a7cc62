package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// isCounter tells samples that only grow: counters and the parts of histograms.
func isCounter(sample string) bool {
	return regexp.MustCompile(`^[a-z_]+_(total|count|sum|bucket)(\{|$)`).MatchString(sample)
}

func TestMetricsSurviveAReload(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := startGateway(t, up, identity(f.url, audience))
	for range 5 {
		get(t, g.url("/"), f.token(nil)).wantPass(t, "alice")
		get(t, g.url("/"), "").wantChallenge(t, http.StatusUnauthorized, "")
		get(t, g.url("/"), f.badSignature(newSignKey(t))).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	}
	before := g.metrics()
	g.write(g.site(g.port, "header X-Generation 2\n\t"+identity(f.url, audience), up))
	g.reload()
	wantGrown(t, before, g.metrics())
	get(t, g.url("/"), "").wantChallenge(t, http.StatusUnauthorized, "")
	if now := counterSum(g.metrics()); now <= counterSum(before) {
		t.Errorf("a refusal after the reload is not counted: %v, before %v", now, counterSum(before))
	}
	if text := g.adminGet("/metrics"); strings.Contains(text, "eyJ") || strings.Contains(text, "alice") {
		t.Error("the metrics name tokens or people")
	}
}

func counterSum(samples map[string]float64) (sum float64) {
	for name, value := range samples {
		if isCounter(name) && strings.Contains(name, "_total") {
			sum += value
		}
	}
	return sum
}

func TestEachRefusalIsOneInfoLineWithItsReasonAndNoTokenIsEverLogged(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := newGateway(t)
	query, header := freePort(t), freePort(t)
	options := func(more string) string {
		return fmt.Sprintf("oauth %s %s {\n\t\tcopy_claims sub>X-User-Id\n\t\trequire scope orders:read\n\t\t%s\n\t}", f.url, audience, more)
	}
	g.serve(g.site(g.port, options(""), up) +
		g.site(query, options("credentials query access_token"), up) +
		g.site(header, options("credentials header X-Api-Token"), up))

	var secrets []string
	remember := func(token string) string {
		secrets = append(secrets, token)
		return token
	}
	get(t, g.url("/"), remember(f.token(nil))).wantPass(t, "alice")
	refused := []string{
		remember(f.badSignature(newSignKey(t))),
		remember(f.token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})),
		remember(f.token(map[string]any{"aud": "api://bills"})),
		remember(f.token(map[string]any{"scope": "none"})),
		remember(f.token(nil)) + ".more",
	}
	for _, token := range refused {
		if a := get(t, g.url("/"), token); a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
			t.Errorf("a bad token gets %d", a.status)
		}
	}
	atQuery := func(token string) string {
		return fmt.Sprintf("http://127.0.0.1:%d/?access_token=%s", query, token)
	}
	if a := get(t, atQuery(remember(f.token(nil))), ""); a.status != http.StatusOK {
		t.Errorf("a good token in the query gets %d", a.status)
	}
	get(t, atQuery(remember(f.badSignature(newSignKey(t)))), "").wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	inHeader := func(token string) answer {
		req, err := http.NewRequest(http.MethodGet, at(header)+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Api-Token", token)
		a, err := send(plainClient, req)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := inHeader(remember(f.token(nil))); a.status != http.StatusOK {
		t.Errorf("a good token in a header of its own gets %d", a.status)
	}
	inHeader(remember(f.badSignature(newSignKey(t)))).wantChallenge(t, http.StatusUnauthorized, "invalid_token")

	wantRefusalLines(t, g, len(refused)+2)
	g.stop()
	wantNoSecret(t, g.proc.out.String(), secrets)
}

// wantRefusalLines checks that there are exactly n lines with a reason, all at Info.
func wantRefusalLines(t *testing.T, g *gateway, n int) {
	t.Helper()
	reasons := func(entry map[string]any) bool {
		_, has := entry["reason"]
		return has
	}
	await(t, 5*time.Second, "a log line for each refusal", func() bool { return len(g.logLines(reasons)) >= n })
	lines := g.logLines(reasons)
	if len(lines) != n {
		t.Errorf("%d lines with a reason for %d refusals", len(lines), n)
	}
	code := regexp.MustCompile(`^[a-z][a-z_]*$`)
	for _, line := range lines {
		if reason, _ := line["reason"].(string); line["level"] != "info" || !code.MatchString(reason) {
			t.Errorf("refusal line %v: want level info and a reason code", line)
		}
	}
}

// wantNoSecret checks that neither a token nor its signature was written anywhere.
func wantNoSecret(t *testing.T, written string, tokens []string) {
	t.Helper()
	if !strings.Contains(written, "handled request") {
		t.Error("there are no access logs: the test cannot fail")
	}
	for _, token := range tokens {
		parts := strings.Split(token, ".")
		if strings.Contains(written, parts[1]) || strings.Contains(written, parts[2]) {
			t.Errorf("a token was logged:\n%s", lineWith(written, parts[1], parts[2]))
		}
	}
}

func lineWith(text string, words ...string) string {
	for line := range strings.Lines(text) {
		for _, word := range words {
			if strings.Contains(line, word) {
				return line
			}
		}
	}
	return ""
}

func TestABadTokenIsNotEchoedToTheClient(t *testing.T) {
	t.Parallel()
	g := startGateway(t, startUpstream(t), identity(startFakeIssuer(t).url, audience))
	if a := get(t, g.url("/"), "top-secret-words"); a.status != http.StatusUnauthorized || strings.Contains(a.body+fmt.Sprint(a.header), "top-secret-words") {
		t.Errorf("a bad token is echoed: %d %v %s", a.status, a.header, a.body)
	}
}
