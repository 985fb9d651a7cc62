package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quick makes others give up on a node that crashed before the old token's end. The
// store gets half of what the lease has above token_timeout for each write.
const quick = "token_timeout 2s\n\t\t\tlease 8s"

// crash kills the gateway between the server's answer to a renewal and the
// gateway's getting it, while the old token lives, and starts it again. It
// answers what was presented.
func (r *rig) crash(k kind) (s session, first issued, presented call) {
	r.t.Helper()
	s, first = r.beginAligned(k)
	before := r.renewals(k)
	quietOver := r.awaitDue(first)
	r.tap.once(treatment{hold: make(chan struct{})})
	if token := r.get(s).tokenSeen(r.t); token != first.token {
		r.t.Error("the old token did not serve during the renewal")
	}
	r.awaitAnswered(k, before+1)
	quietOver()
	r.g.kill()
	r.awaitEnded(k, before+1)
	r.start()
	return s, first, r.tap.all().of(k.renewal)[before]
}

// presentations counts how often a refresh token was presented.
func (r *rig) presentations(rt string) int {
	return len(r.tap.all().of("refresh_token").keep(func(c call) bool { return c.RT == rt }))
}

// wantOldToken asks until the old token has run out. It has to serve until
// then, and nothing may be presented meanwhile. The gateway may take the last
// second for over: the server cuts off what is less than one.
func (r *rig) wantOldToken(s session, first issued, rt string) {
	r.t.Helper()
	for time.Now().Before(first.expiry.Add(-3 * time.Second)) {
		a := r.get(s)
		if time.Now().After(first.expiry.Add(-time.Second)) {
			break // too slow to say anything
		}
		if token := a.tokenSeen(r.t); token != first.token {
			r.t.Fatal("another token than the old one serves after the crash")
		}
		if n := r.presentations(rt); n != 1 {
			r.t.Fatalf("the refresh token was presented %d times while the old access token lives", n)
		}
		pause(r.t.Context(), 20*time.Millisecond)
	}
	r.awaitDeath(first)
}

// wantOver checks that a session is over, and that asking on costs nothing.
func (r *rig) wantOver(s session) {
	r.t.Helper()
	r.get(s).wantOut(r.t, s)
	calls := len(r.tap.all())
	wantAll(r.t, r.many(100, s), http.StatusUnauthorized)
	if s.cookie != "" {
		a := r.navigate("/orders", s)
		a.wantLogin(r.t, r)
		a.wantCleared(r.t)
	}
	if more := len(r.tap.all()) - calls; more != 0 {
		r.t.Errorf("100 requests of a dead session made %d calls", more)
	}
}

func TestAccept15_AfterACrashTheOldTokenServesAndAtItsEndOneRetryDecides(t *testing.T) {
	forRotating(t, settings{life: 60, session: quick}, func(r *rig, k kind) {
		s, first, presented := r.crash(k)
		r.wantOldToken(s, first, presented.RT)
		r.wantOver(s)
		if n := r.presentations(presented.RT); n != 2 {
			r.t.Errorf("the refresh token was presented %d times, want exactly one retry", n)
		}
	})
}

func TestAccept15_WithReauthNothingIsPresentedAgain(t *testing.T) {
	forRotating(t, settings{life: 60, session: quick + "\n\t\t\ton_uncertain reauth"}, func(r *rig, k kind) {
		s, first, presented := r.crash(k)
		r.wantOldToken(s, first, presented.RT)
		r.wantOver(s)
		if n := r.presentations(presented.RT); n != 1 {
			r.t.Errorf("the refresh token was presented %d times, want once", n)
		}
	})
}

func TestAccept15_WithAReuseGraceTheSessionSurvivesTheCrash(t *testing.T) {
	forRotating(t, settings{life: 60, session: quick + "\n\t\t\treuse_grace 110s", env: "REUSE_GRACE=120"}, func(r *rig, k kind) {
		s, first, presented := r.crash(k)
		r.awaitDeath(first)
		if token := r.get(s).tokenSeen(r.t); token == first.token {
			r.t.Error("the upstream did not see a new token")
		}
		if n := r.presentations(presented.RT); n != 2 {
			r.t.Errorf("the refresh token was presented %d times, want 2", n)
		}
	})
}

func TestAccept15_AGrantThatIsRunAgainSurvivesTheCrash(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{life: 60, session: quick})
	s, first, _ := r.crash(rerun)
	before := r.renewals(rerun)
	r.awaitDeath(first)
	if token := r.get(s).tokenSeen(t); token == first.token {
		t.Error("the upstream did not see a new token")
	}
	r.wantRenewals(rerun, before, 1)
}

func TestAccept16_BeforeItEndsTheGatewayStoresWhatItAskedFor(t *testing.T) {
	forAllKinds(t, patient, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		release := make(chan struct{})
		r.tap.once(treatment{hold: release})
		waiting := r.begin(r.t.Context(), 5, s)
		r.awaitAnswered(k, before+1)
		r.awaitInFlight(5)
		if err := r.g.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			r.t.Fatal(err)
		}
		await(r.t, 10*time.Second, "the gateway to begin its end", func() bool {
			return strings.Contains(r.g.proc.out.String(), "shutting down")
		})
		close(release)
		wantAll(r.t, waiting.wait(), http.StatusOK)
		select {
		case <-r.g.proc.done:
		case <-time.After(20 * time.Second):
			r.t.Fatal("the gateway does not end")
		}
		r.start()
		if token := r.get(s).tokenSeen(r.t); token != r.tap.lastIssued(r.t).token {
			r.t.Error("after the restart the upstream saw another token than the stored one")
		}
		r.wantRenewals(k, before, 1)
	})
}

func TestAccept17_WhenAnAnswerIsLostWhileTheTokenLivesItServesAndOneRetryFollows(t *testing.T) {
	forAllKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s, first := r.beginAligned(k)
		before := r.renewals(k)
		quietOver := r.awaitDue(first)
		r.tap.once(treatment{drop: true})
		for _, one := range r.many(20, s) {
			if one.err != nil || one.tokenSeen(r.t) != first.token {
				r.t.Fatalf("a request did not pass with the live token: %v", one.err)
			}
		}
		quietOver()
		r.awaitEnded(k, before+1)
		if rt := r.tap.all().of(k.renewal)[before].RT; rt != "" {
			r.wantOldToken(s, first, rt)
			r.wantOver(s) // this server forgives nothing
			r.wantRenewals(k, before, 2)
			return
		}
		r.awaitDeath(first)
		r.get(s).seen(r.t)
		r.wantRenewals(k, before, 2)
	})
}

func TestAccept17_WhenAnAnswerIsLostAfterTheTokensEndAtMostOneRetryFollows(t *testing.T) {
	forAllKinds(t, settings{}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.tap.once(treatment{drop: true})
		all := r.many(50, s)
		presented := r.tap.all().of(k.renewal)[before:]
		for _, one := range all {
			switch {
			case one.err != nil:
				r.t.Error(one.err)
			case one.status == http.StatusServiceUnavailable:
				one.wantUnavailable(r.t)
			case one.status == http.StatusUnauthorized && k.presents() && len(presented) == 2 && one.end.After(presented[1].End):
				one.wantOut(r.t, s) // the server has refused the retry
			case one.status != http.StatusOK:
				r.t.Errorf("%d %s", one.status, one.body)
			}
		}
		// Now everything is decided: the strict server has ended the one kind, the other works.
		await(r.t, 10*time.Second, "the retry", func() bool { return r.get(s).status != http.StatusServiceUnavailable })
		if k.presents() {
			r.wantOver(s)
		} else {
			r.get(s).seen(r.t)
		}
		r.wantRenewals(k, before, 2)
	})
}

func TestAccept17_OfATruncatedAnswerTheRefreshTokenIsSalvaged(t *testing.T) {
	forRotating(t, settings{}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.tap.once(treatment{cutAt: `"scope"`}) // it stands behind the refresh token
		await(r.t, 10*time.Second, "a new token", func() bool { return r.get(s).status == http.StatusOK })
		r.wantRenewals(k, before, 2)
		if all := r.tap.all().of("refresh_token"); all[1].RT != all[0].NewRT {
			r.t.Error("the second call did not present what the first answer had")
		}
	})
}
