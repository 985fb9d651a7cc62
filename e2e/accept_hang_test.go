package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// brief makes a hanging server cost seconds.
const brief = "refresh_wait 1s\n\t\t\ttoken_timeout 1s\n\t\t\tlease 4s"

// forHanging runs a test for servers that hang through two attempts; in "make
// soak" through three too, and for one kind through ten: that takes minutes,
// since pauses grow.
func forHanging(t *testing.T, set settings, kinds []kind, test func(r *rig, k kind, attempts int)) {
	t.Parallel()
	for _, attempts := range long([]int{2, 3, 10}, []int{2}) {
		t.Run(fmt.Sprint(attempts), func(t *testing.T) {
			some := kinds
			if attempts > 3 {
				some = kinds[:1]
			}
			forKinds(t, set, some, func(r *rig, k kind) { test(r, k, attempts) })
		})
	}
}

// hangThrough lets the server hang until so many more renewals have failed, and
// has it back then. Meanwhile every client gets 503.
func (r *rig) hangThrough(k kind, s session, attempts int) {
	r.t.Helper()
	hang, before := make(chan struct{}), r.renewals(k)
	r.tap.always(treatment{hang: hang})
	for end := time.Now().Add(10 * time.Minute); len(r.tap.all().of(k.renewal)[before:].ended()) < attempts; {
		r.get(s).wantUnavailable(r.t)
		pause(r.t.Context(), 100*time.Millisecond)
		if time.Now().After(end) {
			r.t.Fatalf("only %d attempts", r.renewals(k)-before)
		}
	}
	r.tap.well()
	close(hang)
}

// awaitServed asks until the session works again.
func (r *rig) awaitServed(s session) {
	r.t.Helper()
	await(r.t, 90*time.Second, "the session to go on", func() bool {
		a := r.get(s)
		if a.status != http.StatusServiceUnavailable && a.status != http.StatusOK {
			r.t.Fatalf("the session is over: %d", a.status)
		}
		return a.status == http.StatusOK
	})
}

func TestAccept21_AServerThatHangsForAWhileEndsNoSession(t *testing.T) {
	forHanging(t, settings{session: brief}, []kind{withRT, rerun, browser}, func(r *rig, k kind, attempts int) {
		s, _, before := r.beginExpired(k)
		r.hangThrough(k, s, attempts)
		r.awaitServed(s)
		r.wantRenewals(k, before, attempts+1)
	})
}

func TestAccept17_AfterALostAnswerAndAServerThatHangsTheServerDecides(t *testing.T) {
	forHanging(t, settings{session: brief}, []kind{withRT, rerun, browser}, func(r *rig, k kind, attempts int) {
		s, _, before := r.beginExpired(k)
		r.tap.once(treatment{drop: true})
		r.get(s).wantUnavailable(r.t)
		r.awaitEnded(k, before+1)
		r.hangThrough(k, s, attempts)
		if !k.presents() {
			r.awaitServed(s)
			r.wantRenewals(k, before, attempts+2)
			return
		}
		// This server has seen the token before, and forgives nothing.
		await(r.t, 90*time.Second, "the server's answer", func() bool { return r.get(s).status != http.StatusServiceUnavailable })
		r.wantOver(s)
		r.wantRenewals(k, before, attempts+2)
	})
}

func TestAccept15_AfterACrashAndAServerThatHangsTheServerDecides(t *testing.T) {
	forHanging(t, settings{life: 60, session: quick + "\n\t\t\trefresh_wait 1s"}, []kind{withRT, browser}, func(r *rig, k kind, attempts int) {
		s, first, presented := r.crash(k)
		r.wantOldToken(s, first, presented.RT)
		r.hangThrough(k, s, attempts)
		await(r.t, 90*time.Second, "the server's answer", func() bool { return r.get(s).status != http.StatusServiceUnavailable })
		r.wantOver(s)
		if n := r.presentations(presented.RT); n != attempts+2 {
			r.t.Errorf("the refresh token was presented %d times, want %d", n, attempts+2)
		}
	})
}
