package e2e

import (
	"fmt"
	"net/http"
	"testing"
)

// saying is an answer with an error code and nothing else.
func saying(status int, code string) *fixed {
	return &fixed{status: status, kind: "application/json", body: fmt.Sprintf(`{"error":%q}`, code)}
}

// Each of these was an outage once: the user who clicked waited for ten seconds and
// got 503, for as long as the grant would have lived.
func TestAccept20_ADefiniteNoEndsTheSessionAtOnceAndCostsOneCall(t *testing.T) {
	t.Parallel()
	for n, code := range []string{"interaction_required", "login_required", "consent_required", "account_selection_required",
		"access_denied", "invalid_scope", "unauthorized_client", "invalid_target", "unsupported_grant_type"} {
		t.Run(code, func(t *testing.T) {
			forKinds(t, settings{}, inTurn(n, withRT, browser), func(r *rig, k kind) {
				s, _, before := r.beginExpired(k)
				r.tap.always(treatment{instead: saying(http.StatusBadRequest, code)})
				r.wantOver(s)
				r.wantRenewals(k, before, 1)
			})
		})
	}
}

func TestAccept20_ADefiniteNoEndsAGrantThatIsRunAgainToo(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	s, _, before := r.beginExpired(rerun)
	r.tap.always(treatment{instead: saying(http.StatusBadRequest, "invalid_scope")})
	r.wantOver(s)
	r.wantRenewals(rerun, before, 1)
}

func TestAccept18_WhatIsNoDefiniteNoIsAnOutage(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*fixed{
		"temporarily_unavailable": saying(http.StatusBadRequest, "temporarily_unavailable"),
		"server_error":            saying(http.StatusBadRequest, "server_error"),
		"slow_down":               saying(http.StatusBadRequest, "slow_down"),
		"login_required with 500": saying(http.StatusInternalServerError, "login_required"),
		"access_denied with 429":  saying(http.StatusTooManyRequests, "access_denied"),
		"nobody knows the code":   saying(http.StatusBadRequest, "not_today"),
		"a firewall's page":       {status: http.StatusForbidden, kind: "text/html", body: "<html>access_denied</html>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{session: "refresh_wait 1s"})
			s, _, _ := r.beginExpired(withRT)
			r.tap.setTreatment(func(call) treatment { return treatment{instead: answer} })
			r.get(s).wantUnavailable(t)
			r.tap.well()
			r.awaitServed(s)
		})
	}
}
