package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestBehindAProxyThatAsksTheUpstreamSeesWhoCallsAndNothingThatTheClientSaid(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		saw := a.do(http.MethodGet, "/orders/1?a=b", a.reading,
			"X-User-Id", "mallory", "x-user-id", "mallory", "X_User_Id", "mallory", "X-User-Email", "mallory@example.com",
			"X_User-Email", "mallory@example.com", "X-Other", "kept").seen(a.T)
		if saw.Method != http.MethodGet || saw.Path != "/orders/1" || saw.Header.Get("X-Other") != "kept" {
			a.Errorf("the upstream saw %+v", saw)
		}
		if got := saw.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+a.reading {
			a.Errorf("the upstream saw Authorization %q", got)
		}
		for name, values := range saw.Header {
			folded := strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
			if folded == "x-user-email" || folded == "x-user-id" && (name != "X-User-Id" || len(values) != 1 || values[0] != "alice") {
				a.Errorf("the upstream saw %s %q", name, values)
			}
		}
		// A large token, which travels in the answer as well.
		large := a.issuer.token(map[string]any{"pad": strings.Repeat("a", 4500)})
		if got := a.do(http.MethodGet, "/", large).seen(a.T).Header.Get("Authorization"); got != "Bearer "+large {
			a.Errorf("the upstream saw an Authorization of %d bytes, want %d", len(got), 7+len(large))
		}
		// With a body, which only the upstream reads.
		if saw := a.do(http.MethodPost, "/orders", a.writing).seen(a.T); saw.Method != http.MethodPost || saw.Header.Get("X-User-Id") != "alice" {
			a.Errorf("the upstream saw %+v", saw)
		}
	})
}

func TestBehindAProxyThatAsksARefusalHasItsExactChallenge(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		a.refused("no token", a.do(http.MethodGet, "/", ""), http.StatusUnauthorized, "Bearer")
		a.refused("a forged token", a.do(http.MethodGet, "/", a.issuer.badSignature(newSignKey(a.T))), http.StatusUnauthorized, badToken)
		a.refused("no scope", a.do(http.MethodGet, "/", a.issuer.token(map[string]any{"scope": "x"})), http.StatusForbidden, fmt.Sprintf(noScope, "orders:read"))
		a.refused("half a credential", a.do(http.MethodGet, "/", a.reading+" other"), a.malformed(), malformed)
		a.refused("no token in a HEAD", a.do(http.MethodHead, "/", ""), http.StatusUnauthorized, "Bearer")

		// These depend on the method and the path of the client's own request.
		want := fmt.Sprintf(noScope, "orders:read orders:write")
		a.refused("writing", a.do(http.MethodPost, "/orders", a.reading), http.StatusForbidden, want)
		a.refused("deleting", a.do(http.MethodDelete, "/orders/1", a.reading), http.StatusForbidden, want)
		a.refused("an admin's page", a.do(http.MethodGet, "/admin/x?y", a.reading), http.StatusForbidden, fmt.Sprintf(noScope, "orders:admin orders:read"))
		for _, path := range []string{"/public/../admin/x", "/public/%2e%2e/admin/x", "/public/..%2fadmin/x", "//admin/x", "/public/..;/admin/x"} {
			a.refused(path, a.do(http.MethodGet, path, a.reading), a.malformed(), oddPath)
		}
		if n := a.up.requests.Load(); n != 0 {
			a.Errorf("%d refused requests reached the upstream", n)
		}
	})
}

func TestBehindAProxyThatAsksAClientCannotChooseWhatIsJudged(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		for _, headers := range [][]string{
			{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/"},
			{"x-forwarded-method", "GET", "x-forwarded-uri", "/"},
			{"X_Forwarded_Method", "GET", "X_Forwarded_Uri", "/"},
			{"X-Forwarded-Method", "GET", "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/", "X-Forwarded-Uri", "/"},
		} {
			a.refused(fmt.Sprint(headers), a.do(http.MethodPost, "/orders", a.reading, headers...),
				http.StatusForbidden, fmt.Sprintf(noScope, "orders:read orders:write"))
			// And the other way: they do no harm.
			if got := a.do(http.MethodPost, "/orders", a.writing, headers...); got.status != http.StatusOK {
				a.Errorf("%v: %d %s", headers, got.status, got.body)
			}
		}
		// Naming our headers in Connection takes no identity away.
		for _, names := range []string{"X-User-Id", "x-user-id, close", "X-User-Id, Authorization", "X-Forwarded-Uri, X-Forwarded-Method"} {
			got := a.do(http.MethodGet, "/", a.reading, "Connection", names)
			if got.status == http.StatusOK && got.seen(a.T).Header.Get("X-User-Id") != "alice" || got.status >= http.StatusInternalServerError {
				a.Errorf("with Connection %s: %d %s", names, got.status, got.body)
			}
		}
	})
}

// nginx hands a fragment on, which some upstreams drop.
func TestBehindAProxyThatAsksNoOddRequestLineHidesAPath(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		own := strings.TrimPrefix(a.url, "http://")
		for _, target := range []string{"/admin/x", "/admin/x?y", "/%61dmin/x", "/public/../admin/x", "http://" + own + "/admin/x", "/public/./../admin/x", "*"} {
			if got := a.raw("GET "+target, own); got < 400 || got >= 500 {
				a.Errorf("%s: %d", target, got)
			}
		}
		for _, method := range []string{"delete", "Delete", "post"} {
			if got := a.raw(method+" /orders/1", own); got < 400 || got >= 500 {
				a.Errorf("%s: %d", method, got)
			}
		}
		if n := a.up.requests.Load(); n != 0 {
			a.Errorf("%d requests reached the upstream", n)
		}
		// Caddy escapes the #, so that it is no fragment any more.
		if got := a.raw("GET /admin/x#y", own); a.up.requests.Load() != 0 || got < 400 {
			a.Errorf("with a fragment: %d", got)
		}
	})
}

// The gateway answers for every Host: Caddy says 200 to those that no site has,
// and a proxy hands the client's on.
func TestBehindAProxyThatAsksAnotherHostOpensNothing(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		for _, host := range []string{"evil.example", "127.0.0.1", "localhost:1", "[::1]"} {
			if got := a.raw("DELETE /orders/1", host); a.up.requests.Load() != 0 || got != http.StatusForbidden && a.name != "caddy" {
				a.Fatalf("Host %s: %d, and %d requests reached the upstream", host, got, a.up.requests.Load())
			}
		}
	})
}

// Whatever came to stand in the gateway's place: to a request that no handler
// takes Caddy answers 200 with nothing in it.
func TestBehindAProxyThatAsksA200ThatIsNotTheGatewaysOpensNothing(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		stranger := newGateway(a.T)
		stranger.serve(fmt.Sprintf("http://elsewhere.example:%d {\n}\n", stranger.port))
		url := a.start(a.T, strings.TrimPrefix(stranger.url(""), "http://"), a.up.address())
		for _, headers := range [][]string{{}, {"X-Oauth-Verdict", "pass"}, {"X_Oauth_Verdict", "pass", "X-User-Id", "mallory"}} {
			b := *a
			b.url = url
			if got := b.do(http.MethodGet, "/orders/1", a.reading, headers...); got.status != http.StatusServiceUnavailable || a.up.requests.Load() != 0 {
				a.Errorf("%v: %d, and %d requests reached the upstream", headers, got.status, a.up.requests.Load())
			}
		}
	})
}

func TestBehindAProxyThatAsksAnOutageIsNoRefusal(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		got := a.do(http.MethodGet, "/", a.down.token(nil))
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || len(got.header.Values("Www-Authenticate")) > 0 {
			a.Errorf("with the issuer down: %d %v", got.status, got.header)
		}
		a.judge.stop()
		got = a.do(http.MethodGet, "/", a.reading)
		if got.status != a.gone || len(got.header.Values("Www-Authenticate")) > 0 {
			a.Errorf("without a judge: %d %v, want %d", got.status, got.header, a.gone)
		}
		if n := a.up.requests.Load(); n != 0 {
			a.Errorf("%d requests reached the upstream", n)
		}
	})
}

func TestAQuestionWithoutItsHeadersIsRefusedAndNoneIsLogged(t *testing.T) {
	t.Parallel()
	f, down := startFakeIssuer(t), newFakeIssuer(t)
	g := startJudge(t, false, f, down)
	a := &asker{T: t, url: g.url("")}
	token := f.token(nil)
	const m, u, secret = "X-Forwarded-Method", "X-Forwarded-Uri", "/orders?access_token=a-secret-in-the-query"
	for _, headers := range [][]string{
		{}, {m, "GET"}, {u, secret}, {m, "GET", u, secret, u, secret}, {m, "GET", m, "GET", u, secret}, {m, "GET", u, "orders" + secret}, {m, "GET", u, secret + "#x"},
	} {
		a.refused(fmt.Sprint(headers), a.do(http.MethodGet, "/", token, headers...), http.StatusBadRequest, noQuestion)
	}
	good := a.do(http.MethodGet, "/", token, m, "GET", u, secret)
	if good.status != http.StatusOK || good.body != "" || good.header.Get("X-User-Id") != "alice" || good.header.Get("Authorization") != "Bearer "+token || good.header.Get("X-Oauth-Verdict") != "pass" {
		t.Errorf("a good question: %d %v", good.status, good.header)
	}
	// HEAD is asked about with GET, and the refusal has its body.
	a.do(http.MethodGet, "/", "", m, "HEAD", u, "/").wantChallenge(t, http.StatusUnauthorized, "")
	g.stop()
	if strings.Contains(g.proc.out.String(), "a-secret-in-the-query") {
		t.Error("a secret of a question's target is in the log")
	}
	lines := g.logLines(func(entry map[string]any) bool { return entry["msg"] == "handled request" })
	if len(lines) != 9 || lines[7]["path"] != "/orders" || lines[7]["user_id"] != "alice" {
		t.Errorf("%d lines for 9 questions: %v", len(lines), lines)
	}
}

func TestAJudgeOnASiteWithAnAddressDoesNotStart(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	g := newGateway(t)
	judge := fmt.Sprintf(" {\n\toauth %s %s {\n\t\tforward_auth {\n\t\t\tfrom 127.0.0.1\n\t\t}\n\t}\n}\n", f.url, audience)
	good, bad := fmt.Sprintf(":%d", g.port)+judge, at(g.port)+judge
	want := fmt.Sprintf("http://:%d", g.port)
	refuses := func(args ...string) {
		t.Helper()
		if stdout, stderr, code := g.with(args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, no %s in\n%s%s", args[0], code, want, stdout, stderr)
		}
	}
	g.write(bad)
	refuses("validate")
	refuses("run")
	if stdout, _, code := g.with("oauth", "doctor"); code != 1 || !strings.Contains(stdout, "forward_auth stands behind a matcher") {
		t.Errorf("doctor: %d\n%s", code, stdout)
	}
	g.serve(good)
	g.write(bad)
	refuses("reload", "--address", g.admin)
	a := &asker{T: t, url: g.url("")}
	if got := a.do(http.MethodGet, "/", f.token(nil), "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/"); got.status != http.StatusOK || got.header.Get("X-Oauth-Verdict") != "pass" {
		t.Errorf("after a reload that failed: %d %v", got.status, got.header)
	}
}
