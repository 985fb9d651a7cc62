package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The access token runs out after six seconds, by its own word. For a gateway
// that took the issuer's word for longer, 401 was the answer until that was
// over.
func TestAccept22_WhateverExpiresInSaysATokenIsRefreshedAtItsOwnEnd(t *testing.T) {
	t.Parallel()
	for n, test := range []struct {
		name        string
		change      func(map[string]any)
		least, most int // renewals in 18 s
	}{
		{"missing", without("expires_in"), 2, 5},
		{"a text", with("expires_in", "300"), 2, 5},
		{"longer", with("expires_in", 300), 2, 5},
		{"shorter", with("expires_in", 3), 4, 10},
		{"zero", with("expires_in", 0), 2, 5},
		{"negative", with("expires_in", -5), 2, 5},
		{"no number", with("expires_in", "soon"), 2, 5},
		{"beyond all time", with("expires_in", 1e300), 2, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			forKinds(t, patient, inTurn(n, withRT, rerun, browser), func(r *rig, k kind) {
				r.tap.always(treatment{change: test.change})
				s := k.begin(r)
				before := r.renewals(k)
				l := startLoad(2, 100*time.Millisecond, func(int) (answer, error) { return r.tryGet(s) })
				awaitClock(r.t, time.Now().Add(18*time.Second))
				samples, n := l.stop(), r.renewals(k)-before
				wantAnswers(r.t, samples, http.StatusOK)
				if n < test.least || n > test.most {
					r.t.Errorf("%d renewals, want %d to %d", n, test.least, test.most)
				}
			})
		})
	}
}

func TestAccept22_AnIssuerWhoseClockIsBehindIsRefreshedEarlierAndNoClientNotices(t *testing.T) {
	forKinds(t, settings{life: 25, session: patient.session}, inTurn(0, withRT, rerun, browser), func(r *rig, k kind) {
		s := k.begin(r)
		r.control("clock", "seconds", "-15")
		r.awaitDeath(r.tap.lastIssued(r.t))
		before := r.renewals(k)
		l := startLoad(2, 100*time.Millisecond, func(int) (answer, error) { return r.tryGet(s) })
		awaitClock(r.t, time.Now().Add(30*time.Second))
		samples, n := l.stop(), r.renewals(k)-before
		wantAnswers(r.t, samples, http.StatusOK)
		if n < 2 || n > 6 { // ten seconds are left of each
			r.t.Errorf("%d renewals in 30 s", n)
		}
	})
}

func TestAccept22_WhereClocksDifferAFreshTokenIsNeverTheClientsFault(t *testing.T) {
	t.Parallel()
	for n, test := range []struct{ name, seconds, words string }{
		{"behind", "-120", "its clock is behind"},
		{"ahead", "120", "its clock is ahead"},
	} {
		t.Run(test.name, func(t *testing.T) {
			forKinds(t, settings{session: "refresh_wait 1s"}, long([]kind{withRT, rerun, browser}, []kind{rerun, browser}[n:n+1]), func(r *rig, k kind) {
				s, _, before := r.beginExpired(k)
				r.control("clock", "seconds", test.seconds)
				began := time.Now()
				for time.Since(began) < 8*time.Second {
					r.get(s).wantUnavailable(r.t)
					pause(r.t.Context(), 50*time.Millisecond)
				}
				if n := r.renewals(k) - before; n < 1 || n > 6 {
					r.t.Errorf("%d renewals in 8 s", n)
				}
				line := lineWith(r.g.proc.out.String(), "clocks differ")
				if !strings.Contains(line, test.words) || !strings.Contains(line, `"level":"error"`) || !strings.Contains(line, r.tap.url) {
					r.t.Errorf("the log says %q", line)
				}
				r.control("clock", "seconds", "0")
				r.awaitServed(s)
			})
		})
	}
}

func TestAccept22_WhereClocksDifferNoGrantBegins(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.control("clock", "seconds", "-120")
	a := r.post("/token", session{basic: []string{"robot", r.robotSecret}}, map[string][]string{"grant_type": {"client_credentials"}})
	a.wantTokenError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	r.control("clock", "seconds", "0")
	r.get(r.runCredentials()).wantPass(t, "robot")
}
