package e2e

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestAccept18_AnOutageIsRiddenOutWithTheLiveTokenAndEndsWithoutALogin(t *testing.T) {
	forAllKinds(t, settings{life: 20, session: "refresh_wait 2s"}, func(r *rig, k kind) {
		s, first := r.beginAligned(k)
		awaitClock(r.t, first.expiry.Add(-10*time.Second))
		before := r.renewals(k)
		r.tap.always(treatment{instead: unavailable})
		began := time.Now()
		l := startLoad(4, 100*time.Millisecond, func(int) (answer, error) {
			a, err := r.tryGet(s)
			if err == nil && a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
				err = errors.New("503 without Retry-After")
			}
			return a, err
		})
		awaitClock(r.t, began.Add(long(30*time.Second, 16*time.Second))) // the token lives for ten of them
		r.tap.well()
		r.life(60)
		ended := time.Now()
		if calls := r.renewals(k) - before; calls < 2 || calls > 12 {
			r.t.Errorf("%d calls in the outage, want at most 12", calls)
		}
		await(r.t, 40*time.Second, "the end of the outage to be noticed", func() bool { return r.get(s).status == http.StatusOK })
		for _, one := range l.stop() {
			want := http.StatusServiceUnavailable
			switch {
			case one.end.Before(first.expiry.Add(-time.Second)):
				want = http.StatusOK
			case one.start.Before(first.expiry) || one.end.After(ended):
				continue
			}
			if one.err != nil || one.status != want {
				r.t.Fatalf("%v after the beginning: %d %v, want %d", one.start.Sub(began), one.status, one.err, want)
			}
		}
	})
}

func TestAccept18_TooManyRequestsIsAnOutageAndItsRetryAfterIsHonoured(t *testing.T) {
	forAllKinds(t, settings{session: "refresh_wait 1s"}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.tap.once(treatment{instead: tooMany}) // it says 2 seconds
		r.get(s).wantUnavailable(r.t)
		await(r.t, 15*time.Second, "a new token", func() bool { return r.get(s).status == http.StatusOK })
		r.wantRenewals(k, before, 2)
		if both := r.tap.all().of(k.renewal)[before:]; both[1].Begin.Sub(both[0].End) < 2*time.Second {
			r.t.Errorf("asked again after %v", both[1].Begin.Sub(both[0].End))
		}
	})
}

func TestAccept19_AWrongSecretOfTheGatewaysOwnEndsNoSession(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{session: "refresh_wait 1s"})
	sessions := []session{r.login(), r.loginAs("bob"), r.useDevice(), r.browse()}
	last := r.tap.lastIssued(t)
	r.gatewaySecret += "-rotated"
	r.secrets.add(kindClientSecret, r.gatewaySecret)
	r.control("secret", "client", "gateway", "secret", r.gatewaySecret)
	r.awaitDeath(last)
	for _, s := range sessions {
		r.get(s).wantUnavailable(t)
	}
	refused := r.tap.all().of("refresh_token")
	if len(refused) == 0 || refused[0].Error != "invalid_client" {
		t.Fatalf("the server did not refuse the gateway: %v", refused)
	}
	r.life(60)
	r.reload() // with the new secret
	for _, s := range sessions {
		await(t, 20*time.Second, "a session to go on", func() bool { return r.get(s).status == http.StatusOK })
	}
}

func TestAccept20_ARefusedRefreshTokenEndsTheSessionAndCostsOneCall(t *testing.T) {
	forRotating(t, settings{}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.control("forget")
		r.wantOver(s)
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept21_WhileTheServerHangsNoRequestWaitsForEverAndNothingLeaks(t *testing.T) {
	forAllKinds(t, settings{session: "refresh_wait 2s\n\t\t\ttoken_timeout 20s\n\t\t\tlease 40s"}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		goroutines := r.goroutines()
		hang := make(chan struct{})
		r.tap.always(treatment{hang: hang})
		for _, one := range r.many(200, s) {
			if one.err != nil {
				r.t.Fatal(one.err)
			}
			one.wantUnavailable(r.t)
			// Far less than token_timeout, and time enough for 200 on a slow machine.
			if one.took > 10*time.Second {
				r.t.Errorf("a request waited %v, refresh_wait is 2s", one.took)
			}
		}
		r.wantRenewals(k, before, 1)
		close(hang)
		await(r.t, 30*time.Second, "the goroutines to come back to what they were", func() bool {
			return r.goroutines() <= goroutines+3
		})
	})
}

func (r *rig) goroutines() int {
	r.t.Helper()
	r.client.CloseIdleConnections()
	r.tap.server.CloseClientConnections()
	return r.g.idleGoroutines(&r.api.upstream)
}
