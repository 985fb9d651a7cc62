package e2e

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"
)

// The tests named TestAcceptNN are the acceptance list of refreshing, by its
// numbers: what a client, an operator and an authorization server may rely on.
// After each of them the invariants of invariants_test.go are checked. This
// file has what they share.

// patient is for tests that hold a renewal while many requests come: no request is
// to run out of time where the machine is slow.
var patient = settings{session: long("token_timeout 60s\n\t\t\tlease 120s\n\t\t\trefresh_wait 90s",
	"token_timeout 20s\n\t\t\tlease 40s\n\t\t\trefresh_wait 30s")}

// get is a request for the resource with a session.
func (r *rig) get(s session) answer {
	r.t.Helper()
	a, err := r.tryGet(s)
	if err != nil {
		r.t.Fatalf("GET with a session: %v", err)
	}
	return a
}

func (r *rig) tryGet(s session) (answer, error) { return r.tryGetAt("/orders", s) }

func (r *rig) tryGetAt(path string, s session) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, r.g.url(path), nil)
	if err != nil {
		return answer{}, err
	}
	s.present(req)
	return send(r.client, req)
}

// present puts the session onto a request, as its client would.
func (s session) present(req *http.Request) {
	if s.cookie != "" {
		req.AddCookie(&http.Cookie{Name: sessionCookie, Value: s.cookie})
		return
	}
	req.Header.Set("Authorization", "Bearer "+s.access)
}

// beginMany begins n sessions, several at a time.
func (r *rig) beginMany(k kind, n int) []session {
	r.t.Helper()
	all := make([]session, n)
	places := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			all[i] = k.begin(r)
		})
	}
	wg.Wait()
	if r.t.Failed() {
		r.t.FailNow() // it did not stop the goroutine that the test runs in
	}
	return all
}

// result is one of many requests.
type result struct {
	answer
	err  error
	took time.Duration
	end  time.Time
}

// batch is requests that run at the same time.
type batch struct {
	wg  sync.WaitGroup
	all []result
}

// begin starts n requests of each session.
func (r *rig) begin(ctx context.Context, n int, sessions ...session) *batch {
	b := &batch{all: make([]result, n*len(sessions))}
	for i := range b.all {
		b.wg.Go(func() {
			start := time.Now()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.g.url("/orders"), nil)
			if err != nil {
				b.all[i].err = err
				return
			}
			sessions[i%len(sessions)].present(req)
			b.all[i].answer, b.all[i].err = send(r.client, req)
			b.all[i].end = time.Now()
			b.all[i].took = b.all[i].end.Sub(start)
		})
	}
	return b
}

func (b *batch) wait() []result {
	b.wg.Wait()
	return b.all
}

// many makes n requests of one session at the same time.
func (r *rig) many(n int, s session) []result {
	r.t.Helper()
	return r.begin(r.t.Context(), n, s).wait()
}

// wantAll checks that all requests got this status.
func wantAll(t *testing.T, all []result, status int) {
	t.Helper()
	counts := map[int]int{}
	var last result
	for _, one := range all {
		if one.err != nil || one.status != status {
			last = one
		}
		counts[one.status]++
	}
	if counts[status] != len(all) {
		t.Errorf("of %d requests %d got %d: %v; one of the others: %v %s", len(all), counts[status], status, counts, last.err, last.body)
	}
}

// renewals counts the calls that renewed grants of this kind or began one.
func (r *rig) renewals(k kind) int { return len(r.tap.all().of(k.renewal)) }

// wantRenewals checks how many calls of a kind there were since before.
func (r *rig) wantRenewals(k kind, before, want int) {
	r.t.Helper()
	if got := r.renewals(k) - before; got != want {
		r.t.Errorf("%d renewals at the authorization server, want %d: %v", got, want, r.tap.all().of(k.renewal)[before:])
	}
}

// awaitDeath waits until an access token has run out.
func (r *rig) awaitDeath(token issued) {
	r.t.Helper()
	awaitClock(r.t, token.expiry)
}

// awaitClock waits for a moment.
func awaitClock(t *testing.T, moment time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(moment) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test ended meanwhile")
	}
}

// beginExpired begins a session and waits until its access token has run out.
// What is issued from then on lives for a minute, so that nothing else runs out.
func (r *rig) beginExpired(k kind) (s session, first issued, before int) {
	r.t.Helper()
	s = k.begin(r)
	first = r.tap.lastIssued(r.t)
	if token := r.get(s).tokenSeen(r.t); token != first.token {
		r.t.Error("the upstream did not see the access token of the grant")
	}
	r.life(60)
	r.awaitDeath(first)
	return s, first, r.renewals(k)
}

// beginAligned begins a session whose access token runs out, for server and
// gateway, in the same second: both cut off what is less.
func (r *rig) beginAligned(k kind) (session, issued) {
	r.t.Helper()
	for range 20 {
		s := k.begin(r)
		first := r.tap.lastIssued(r.t)
		all := r.tap.all().at("/token")
		asked := all[len(all)-1].Begin
		if asked.Unix()+int64(r.set.life) == first.expiry.Unix() && asked.Nanosecond() > int(100*time.Millisecond) {
			return s, first
		}
	}
	r.t.Fatal("no grant began well inside a second")
	return session{}, issued{}
}

// awaitDue waits until an access token is due: alive, and inside the window in
// which it is renewed in the background. That begins when between 20 and 15 of
// 100 parts of its life are left, and ends when 10 are left. No storm begins
// until the answer is called: what has to happen within the window is over then.
func (r *rig) awaitDue(token issued) (over func()) {
	r.t.Helper()
	due := token.expiry.Add(-time.Duration(r.set.life) * time.Second * 14 / 100)
	over = stayQuiet(due)
	r.t.Cleanup(over)
	awaitClock(r.t, due)
	return over
}

// awaitAnswered waits until the real server has answered n calls of a kind.
func (r *rig) awaitAnswered(k kind, n int) {
	r.t.Helper()
	r.tap.await(r.t, 20*time.Second, "the server to answer a renewal", func(all calls) bool { return len(all.of(k.renewal).answered()) >= n })
}

// awaitEnded waits until n calls of a kind have ended.
func (r *rig) awaitEnded(k kind, n int) {
	r.t.Helper()
	r.tap.await(r.t, 20*time.Second, "the end of a renewal", func(all calls) bool { return len(all.of(k.renewal).ended()) >= n })
}
