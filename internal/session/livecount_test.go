package session

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// crowd is a vault that few grants fit in.
func crowd(t *testing.T, store Store, ring *Keyring) *Vault {
	t.Helper()
	v, err := New(store, ring, Options{
		Now: time.Now, GrantsPerClient: 3, GrantsPerSubject: 2,
		Renew: func(context.Context, Grant) Outcome { return NotSent{errTest} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close(context.Background()) })
	return v
}

// begin begins a grant of a client by itself, or of a user.
func begin(t *testing.T, v *Vault, client, user string) (Handle, error) {
	t.Helper()
	g := Grant{Kind: ByRunningAgain, Issuer: "iss", Client: client, Credentials: NewSecret("c")}
	answer := Granted{AccessToken: NewSecret("at"), ExpiresIn: seconds(300), Subject: client}
	if user != "" {
		g.Kind, g.Credentials = ByRefreshToken, Secret{}
		answer.Refresh, answer.Subject = NewSecret("rt"), user
	}
	h, _, err := v.Create(t.Context(), g, answer, time.Now())
	return h, err
}

// wantFull fails unless a grant is refused since there are too many.
func wantFull(t *testing.T, what string, err error, subject bool) {
	t.Helper()
	if full, ok := errors.AsType[*Full](err); !ok || full.Subject != subject {
		t.Errorf("%s: %v, want too many", what, err)
	}
}

func TestTheLiveGrantsOfOneClientAndOfOneUserAreBounded(t *testing.T) {
	v := crowd(t, NewMemory(time.Now), testRing(t, 1))
	var machines, people []Handle
	for range 3 {
		h, err := begin(t, v, "machine", "")
		if err != nil {
			t.Fatal(err)
		}
		machines = append(machines, h)
	}
	_, err := begin(t, v, "machine", "")
	wantFull(t, "a fourth of the client", err, false)
	for range 2 {
		h, err := begin(t, v, "app", "alice")
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, h)
	}
	_, err = begin(t, v, "app", "alice")
	wantFull(t, "a third of the user", err, true)
	_, err = begin(t, v, "another app", "alice")
	wantFull(t, "a third of the user, by another client", err, true)
	// No grant is ended for it, and no other holder is kept out.
	for _, h := range append(machines, people...) {
		if _, err := v.Token(t.Context(), h); err != nil {
			t.Errorf("one of before: %v", err)
		}
	}
	for _, user := range []string{"bob", "carol", "dave", "erin"} { // more than one client may have by itself
		if _, err := begin(t, v, "app", user); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	if err := v.End(t.Context(), machines[0], EndedLogout); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(t, v, "machine", ""); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	_, err = begin(t, v, "machine", "")
	wantFull(t, "one more again", err, false)
}

func TestGrantsAreCountedOverARestartOnOtherNodesAndUnderAnotherKey(t *testing.T) {
	store, ring := NewMemory(time.Now), testRing(t, 1)
	one, two := crowd(t, store, ring), crowd(t, store, ring)
	var all []Handle
	for _, v := range []*Vault{one, two, one} {
		h, err := begin(t, v, "machine", "")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	after := crowd(t, store, testRing(t, 2, fillKey(1)))
	for name, v := range map[string]*Vault{"a node": one, "another": two, "a new one": after} {
		if _, err := v.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := begin(t, v, "machine", "")
		wantFull(t, name, err, false)
	}
	if err := two.End(t.Context(), all[0], EndedLogout); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(t, one, "machine", ""); err != nil {
		t.Errorf("after one has ended elsewhere: %v", err)
	}
}

// A store that fails must not lock a user out.
func TestAGrantThatWasNotStoredIsNotCounted(t *testing.T) {
	store := &unborn{NewMemory(time.Now)}
	v := crowd(t, store, testRing(t, 1))
	for range 5 {
		_, err := begin(t, v, "machine", "")
		if _, failed := errors.AsType[*Unavailable](err); !failed {
			t.Fatalf("%v, want a failure", err)
		}
	}
}

type unborn struct{ *Memory }

func (unborn) Create(context.Context, Row) error { return errTest }

func TestWhatChangesDuringASweepIsCounted(t *testing.T) {
	n, a, b := newLiveCount(), []ID{{1}}, []ID{{2}}
	n.take(a, 9)
	n.begin(time.Now())
	n.take(a, 9) // not seen by the sweep any more
	n.take(b, 9)
	n.gone(b[0])
	n.finish(map[ID]int{a[0]: 1}, true, time.Now(), time.Hour)
	if n.live[a[0]] != 2 || len(n.live) != 1 {
		t.Errorf("counted %v", n.live)
	}
	n.begin(time.Now())
	n.take(a, 9)
	n.finish(map[ID]int{}, false, time.Now(), time.Hour) // it broke off
	if n.live[a[0]] != 3 {
		t.Errorf("after a sweep that broke off: %v", n.live)
	}
	if n.take(a, 3) || !n.take(a, 4) {
		t.Error("the limit is not kept to")
	}
}

// A store that lets itself not be walked hides which grants have run out, and
// those that are over locked their client out until a restart.
func TestAStoreThatCannotBeWalkedLocksNoUserOutForLong(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	store := &trackless{Memory: NewMemory(now)}
	v, err := New(store, testRing(t, 1), Options{
		Now: now, GrantsPerClient: 1, Idle: time.Hour, Renew: func(context.Context, Grant) Outcome { return NotSent{errTest} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close(context.Background()) })
	for _, fails := range []bool{false, true} {
		store.fails = fails
		if _, err := v.Sweep(t.Context()); (err != nil) != fails {
			t.Fatal(err)
		}
	}
	if _, err := begin(t, v, "machine", ""); err != nil {
		t.Fatal(err)
	}
	_, _ = v.Sweep(t.Context())
	_, err = begin(t, v, "machine", "")
	wantFull(t, "while the first may be live", err, false)
	ahead.Add(int64(time.Hour + 2*sweepGrace))
	_, _ = v.Sweep(t.Context())
	if _, err := begin(t, v, "machine", ""); err != nil {
		t.Errorf("when nobody has used the first for longer than idle: %v", err)
	}
	_, err = begin(t, v, "machine", "")
	wantFull(t, "one more", err, false)
}

// One damaged record is an error of each walk, and the others were counted.
func TestARecordThatCannotBeReadStopsNoCountAndNoPageOfSessions(t *testing.T) {
	store, ring := &damaged{Memory: NewMemory(time.Now)}, testRing(t, 1)
	v, other := crowd(t, store, ring), crowd(t, store, ring)
	var first Handle
	for range 3 {
		h, err := begin(t, v, "machine", "")
		if err != nil {
			t.Fatal(err)
		}
		first = h
	}
	if err := other.End(t.Context(), first, EndedLogout); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Sweep(t.Context()); !unread(err) {
		t.Errorf("the sweep tells nothing of it: %v", err)
	}
	if _, err := begin(t, v, "machine", ""); err != nil {
		t.Errorf("after one has ended elsewhere: %v", err)
	}
	g := Grant{Kind: ByRefreshToken, Issuer: "iss", Client: "app"}
	answer := Granted{AccessToken: NewSecret("at"), Refresh: NewSecret("rt"), ExpiresIn: seconds(300)}
	if _, _, err := v.CreateFor(t.Context(), Browser{Client: "app", User: "alice"}, g, answer, time.Now()); err != nil {
		t.Fatal(err)
	}
	if all, err := v.Browsers(t.Context(), User{Issuer: "iss", Client: "app", Sub: "alice"}); len(all) != 1 || err != nil {
		t.Errorf("%d sessions, %v", len(all), err)
	}
}

type damaged struct {
	*Memory
	noIndex
}

func (s *damaged) Each(ctx context.Context, visit func(Row) bool) error {
	if err := s.Memory.Each(ctx, visit); err != nil {
		return err
	}
	return &Unread{1, errTest}
}

type trackless struct {
	*Memory
	noIndex
	fails bool
}

func (s *trackless) Each(ctx context.Context, visit func(Row) bool) error {
	if s.fails {
		return errTest
	}
	return s.Memory.Each(ctx, visit)
}

// Counted twice, it would keep its owner out for a minute.
func TestAGrantThatBeginsDuringASweepIsCountedOnce(t *testing.T) {
	store := &late{Memory: NewMemory(time.Now)}
	v := crowd(t, store, testRing(t, 1))
	store.before = func() {
		if _, err := begin(t, v, "app", "alice"); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(t, v, "app", "alice"); err != nil {
		t.Errorf("the second of two: %v", err)
	}
	_, err := begin(t, v, "app", "alice")
	wantFull(t, "a third", err, true)
}

// late is a store in which something happens when a walk has begun.
type late struct {
	*Memory
	noIndex
	before func()
}

func (s *late) Each(ctx context.Context, visit func(Row) bool) error {
	s.before()
	return s.Memory.Each(ctx, visit)
}
