package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAccept01_AnExpiredTokenIsRenewedOnceAndTheRequestPasses(t *testing.T) {
	forAllKinds(t, settings{}, func(r *rig, k kind) {
		s, first, before := r.beginExpired(k)
		if token := r.get(s).tokenSeen(r.t); token == first.token || token != r.tap.lastIssued(r.t).token {
			r.t.Error("the upstream did not see the new access token")
		}
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept02_ALiveTokenIsNotRenewed(t *testing.T) {
	forAllKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s := k.begin(r)
		before := r.renewals(k)
		wantAll(r.t, r.many(100, s), http.StatusOK)
		r.wantRenewals(k, before, 0)
	})
}

func TestAccept03_InsideTheWindowRequestsPassAtOnceAndOneRenewalRunsBehindThem(t *testing.T) {
	forAllKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s, first := r.beginAligned(k)
		before := r.renewals(k)
		quietOver := r.awaitDue(first)
		release := make(chan struct{})
		r.tap.always(treatment{delay: 3 * time.Second, hold: release})
		for _, one := range r.many(20, s) {
			if one.err != nil || one.tokenSeen(r.t) != first.token {
				r.t.Errorf("a request did not pass with the live token: %v", one.err)
			}
		}
		quietOver()
		close(release) // no request waited for this, nor for the 3 seconds
		r.awaitEnded(k, before+1)
		if took := r.tap.all().of(k.renewal)[before]; took.End.Sub(took.Begin) < 3*time.Second {
			r.t.Errorf("the tap did not delay the renewal: %v", took)
		}
		await(r.t, 5*time.Second, "the new token to be in use", func() bool { return r.get(s).tokenSeen(r.t) != first.token })
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept07_FiveHundredRequestsOfOneExpiredSessionMakeOneRenewal(t *testing.T) {
	forAllKinds(t, patient, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.tap.always(treatment{delay: 300 * time.Millisecond})
		defer storm(r.t)()
		wantAll(r.t, r.many(500, s), http.StatusOK)
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept08_TwoHundredExpiredSessionsMakeTwoHundredRenewals(t *testing.T) {
	set := patient
	set.alone = true // other tests are not to wait behind these
	forAllKinds(t, set, func(r *rig, k kind) {
		sessions := r.beginMany(k, 200)
		r.life(60)
		r.awaitDeath(r.tap.lastIssued(r.t))
		before := r.renewals(k)
		defer storm(r.t)()
		wantAll(r.t, r.begin(r.t.Context(), 20, sessions...).wait(), http.StatusOK)
		r.wantRenewals(k, before, 200)
	})
}

func TestAccept09_RequestsThatComeJustAfterARenewalMakeNoOther(t *testing.T) {
	forAllKinds(t, settings{}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.get(s)
		renewed := r.tap.all().of(k.renewal)[before].End
		for _, later := range []time.Duration{time.Millisecond, 40 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second} {
			awaitClock(r.t, renewed.Add(later))
			if token := r.get(s).tokenSeen(r.t); token != r.tap.lastIssued(r.t).token {
				r.t.Errorf("%v after the renewal the upstream saw another token", later)
			}
		}
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept10_AClientThatDisconnectsTakesNoOtherAlong(t *testing.T) {
	forAllKinds(t, patient, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		release := make(chan struct{})
		r.tap.always(treatment{hold: release})
		ctx, leave := context.WithCancel(r.t.Context())
		defer storm(r.t)()
		first := r.begin(ctx, 1, s)
		r.awaitAnswered(k, before+1)
		others := r.begin(r.t.Context(), 499, s)
		r.awaitInFlight(500)
		leave()
		if one := first.wait()[0]; one.err == nil {
			r.t.Errorf("the first client did not leave: %d", one.status)
		}
		close(release)
		wantAll(r.t, others.wait(), http.StatusOK)
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept10_WhenAllDisconnectTheNewTokensAreStoredAllTheSame(t *testing.T) {
	forAllKinds(t, patient, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		release := make(chan struct{})
		r.tap.always(treatment{hold: release})
		ctx, leave := context.WithCancel(r.t.Context())
		all := r.begin(ctx, 20, s)
		r.awaitAnswered(k, before+1)
		r.awaitInFlight(20)
		leave()
		all.wait()
		r.awaitInFlight(0)
		close(release)
		r.awaitEnded(k, before+1)
		r.tap.well()
		if token := r.get(s).tokenSeen(r.t); token != r.tap.lastIssued(r.t).token {
			r.t.Error("the upstream did not see the token that nobody waited for")
		}
		r.g.kill() // memory is not a store
		r.start()
		if token := r.get(s).tokenSeen(r.t); token != r.tap.lastIssued(r.t).token {
			r.t.Error("after a crash the upstream did not see the token that nobody waited for")
		}
		r.wantRenewals(k, before, 1)
	})
}

// awaitInFlight waits until the gateway handles this many requests, or none.
func (r *rig) awaitInFlight(n int) {
	r.t.Helper()
	await(r.t, 20*time.Second, fmt.Sprintf("%d requests in flight", n), func() bool {
		now := r.inFlight()
		return now >= n && n > 0 || now == n
	})
}

func TestAccept11_AReloadInTheMiddleMakesNoSecondRenewalAndFailsNoRequest(t *testing.T) {
	forAllKinds(t, patient, func(r *rig, k kind) {
		client, h := newHandover(40 * time.Second)
		r.client = client
		s, _, before := r.beginExpired(k)
		release := make(chan struct{})
		r.tap.always(treatment{hold: release})
		defer storm(r.t)()
		early := r.begin(r.t.Context(), 250, s)
		r.awaitAnswered(k, before+1)
		r.awaitInFlight(250)
		r.set.oauth = "realm second"
		r.write()
		// The old configuration ends when its requests have: the command waits.
		reloaded := make(chan string, 1)
		go func() {
			stderr, code := r.g.tryReload()
			reloaded <- fmt.Sprint(code, " ", stderr)
		}()
		await(r.t, 10*time.Second, "the new configuration", func() bool {
			a, err := try(r.client, r.g.url("/"), "")
			return err == nil && strings.Contains(a.header.Get("Www-Authenticate"), "second")
		})
		late := r.begin(r.t.Context(), 250, s)
		r.awaitInFlight(250)
		close(release)
		wantAll(r.t, early.wait(), http.StatusOK)
		wantAll(r.t, late.wait(), http.StatusOK)
		r.wantRenewals(k, before, 1)
		if said := <-reloaded; !strings.HasPrefix(said, "0 ") {
			r.t.Errorf("the reload failed: %s", said)
		}
		h.wantUnseen(r.t, r.g)
	})
}
