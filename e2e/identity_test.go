package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCaddysOwnMatchersAndAccessLogSeeWhoCalls(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	g := startGateway(t, startUpstream(t), fmt.Sprintf(`oauth %s %s {
		copy_claims sub>X-User-Id address.country>X-Country groups>X-Groups
		strip_token
	}
	@admin expression `+"`"+`"admin" in {http.auth.user.groups}`+"`"+`
	request_header @admin X-Is-Admin yes`, f.url, audience))
	admin := f.token(map[string]any{
		"sub": "root", "groups": []string{"staff", "admin"}, "address": map[string]any{"country": "CH"},
	})
	for range 2 { // verified, then from the cache
		header := get(t, g.url("/"), admin).seen(t).Header
		for field, want := range map[string]string{"X-User-Id": "root", "X-Country": "CH", "X-Is-Admin": "yes", "Authorization": ""} {
			if got := header.Get(field); got != want {
				t.Errorf("the upstream saw %s %q, want %q", field, got, want)
			}
		}
		if groups := header.Get("X-Groups"); !strings.Contains(groups, "staff") || !strings.Contains(groups, "admin") {
			t.Errorf("the upstream saw X-Groups %q", groups)
		}
		// A token without groups is no admin, and no error either.
		if got := get(t, g.url("/"), f.token(nil)).seen(t).Header.Get("X-Is-Admin"); got != "" {
			t.Errorf("without groups the upstream saw X-Is-Admin %q", got)
		}
	}
	await(t, 5*time.Second, "an access log line with the user's id", func() bool {
		return len(g.logLines(func(entry map[string]any) bool {
			return entry["msg"] == "handled request" && entry["user_id"] == "root"
		})) == 2
	})
}

func TestErrorRoutesRenderTheRefusalAndTheChallengeStays(t *testing.T) {
	t.Parallel()
	f, down := startFakeIssuer(t), newFakeIssuer(t)
	g := startGateway(t, startUpstream(t), fmt.Sprintf(`oauth {
		issuer %s %s {
			audience %s
		}
	}
	handle_errors {
		respond "sorry: {err.status_code} {http.auth.oauth.reason}"
	}`, f.url, down.url, audience))
	for name, test := range map[string]struct {
		token     string
		status    int
		challenge bool
	}{
		"no token":      {"", http.StatusUnauthorized, true},
		"a bad token":   {f.badSignature(newSignKey(t)), http.StatusUnauthorized, true},
		"nothing known": {down.token(nil), http.StatusServiceUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := get(t, g.url("/"), test.token)
			if a.status != test.status || !strings.HasPrefix(a.body, fmt.Sprintf("sorry: %d ", test.status)) || strings.HasSuffix(a.body, " ") {
				t.Errorf("%d %q, want the site's own page for %d with the reason", a.status, a.body, test.status)
			}
			if got := len(a.header.Values("Www-Authenticate")) == 1; got != test.challenge {
				t.Errorf("challenges %q", a.header.Values("Www-Authenticate"))
			}
			if got := a.header.Get("Retry-After") != ""; got == test.challenge {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
		})
	}
}
