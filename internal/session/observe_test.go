package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// waits is what the bench was told of waiting.
func (b *bench) waits() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Name == EventWait {
			all = append(all, fmt.Sprint(e.Detail, " ", e.Took, " ", e.Issuer))
		}
	}
	return all
}

// How long a request waited is told, and what for; of a request that did not
// wait nothing is.
func TestWaitingIsTold(t *testing.T) {
	for name, row := range map[string]struct {
		answer  Outcome
		patient time.Duration
		want    string
	}{
		"for a token":   {next(1), time.Hour, "[served 2s iss]"},
		"for a refusal": {Refused{errTest}, time.Hour, "[no_grant 2s iss]"},
		"for nothing":   {Unconsumed{Err: errTest, RetryAfter: time.Minute}, time.Hour, "[unavailable 2s iss]"},
		"not long":      {next(1), time.Second, "[left 1s iss]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil, func(context.Context, int, Grant) Outcome {
					time.Sleep(2 * time.Second)
					return row.answer
				})
				b.want("at1")
				time.Sleep(101 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), row.patient)
				defer cancel()
				_, _ = b.vault.Token(ctx, b.h)
				if got := fmt.Sprint(b.waits()); got != row.want {
					t.Errorf("got %s, want %s", got, row.want)
				}
			})
		})
	}
}

func TestARenewalTellsWhetherARefreshTokenWasPresented(t *testing.T) {
	for name, row := range map[string]struct {
		kind   Kind
		answer Outcome
		want   bool
	}{
		"a pair":    {ByRefreshToken, next(1), true},
		"lost":      {ByRefreshToken, Unknown{Err: errTest}, true},
		"not sent":  {ByRefreshToken, NotSent{errTest}, false},
		"run again": {ByRunningAgain, next(1), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil, func(context.Context, int, Grant) Outcome { return row.answer })
				g := Grant{Kind: row.kind, Credentials: NewSecret("id:secret")}
				h, _, err := b.vault.Create(t.Context(), g, Granted{AccessToken: NewSecret("at1"),
					Refresh: NewSecret("rt1"), ExpiresIn: seconds(100)}, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(90 * time.Second) // behind the request, which has a token
				_, _ = b.vault.Token(t.Context(), h)
				synctest.Wait()
				e := b.events[0]
				if e.Name != EventRenewal || e.Kind != row.kind || e.Presented() != row.want {
					t.Errorf("%+v, presented: %v", e, e.Presented())
				}
			})
		})
	}
}

func TestOpenBreakersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.BreakerAfter = 1 }, func(context.Context, int, Grant) Outcome {
			return Unconsumed{Err: errTest}
		})
		if open := b.vault.Breakers(); len(open) > 0 {
			t.Error(open)
		}
		time.Sleep(90 * time.Second)
		b.want("at1")
		synctest.Wait()
		if open := b.vault.Breakers(); !maps.Equal(open, map[string]time.Duration{"iss": 5 * time.Second}) {
			t.Error(open)
		}
		time.Sleep(6 * time.Second)
		if open := b.vault.Breakers(); len(open) > 0 {
			t.Error(open)
		}
	})
}

// Sweeping counts each grant once, and deletes what serves no request.
func TestSweepingDeletesWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Max = 3 * time.Hour }, func(ctx context.Context, _ int, _ Grant) Outcome {
			<-ctx.Done()
			return Unknown{Err: ctx.Err()}
		})
		sweep := func(want Counts) {
			t.Helper()
			if n, err := b.vault.Sweep(t.Context()); err != nil || n != want {
				t.Errorf("%+v (%v), want %+v", n, err, want)
			}
		}
		create := func() Handle {
			h, _, err := b.vault.Create(t.Context(), Grant{}, Granted{AccessToken: NewSecret("at"), ExpiresIn: seconds(24 * 3600)}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		used, ended := create(), create()
		if _, err := b.vault.StartFamily(t.Context(), used); err != nil {
			t.Fatal(err)
		}
		if err := b.vault.End(t.Context(), ended, EndedLogout); err != nil {
			t.Fatal(err)
		}
		sweep(Counts{Live: 2, Dead: 1})
		time.Sleep(90 * time.Second)
		b.want("at1")
		synctest.Wait()
		sweep(Counts{Live: 1, Renewing: 1, Dead: 1})
		time.Sleep(9 * time.Second)
		sweep(Counts{Live: 1, Uncertain: 1, Dead: 1})
		for range 4 {
			time.Sleep(16 * time.Minute)
			if _, err := b.vault.Token(t.Context(), used); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		sweep(Counts{Live: 1, Dead: 1, Deleted: 1})
		b.want("no grant")
		if last := b.events[len(b.events)-1]; last.Name != EventEnd || last.Detail != EndedIdle {
			t.Errorf("%+v", last)
		}
		sweep(Counts{Live: 1, Dead: 1})
		time.Sleep(2 * time.Hour)
		sweep(Counts{Deleted: 3})
		if len(b.store.rows) != 0 {
			t.Errorf("%d rows are left", len(b.store.rows))
		}
	})
}

// A store that shows what is past its end, as a file does.
type keepsAll struct {
	*Memory
	noIndex
}

func (k keepsAll) Each(_ context.Context, visit func(Row) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	rows := maps.Clone(k.rows)
	for _, row := range rows {
		if !visit(row) {
			return nil
		}
	}
	return nil
}

func TestSweepingDeletesWhatTheStoreHides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		b.vault.store = keepsAll{Memory: b.store}
		time.Sleep(13 * time.Hour)
		if n, err := b.vault.Sweep(t.Context()); err != nil || n != (Counts{Deleted: 1}) || len(b.store.rows) > 0 {
			t.Errorf("%+v, %v, %d rows", n, err, len(b.store.rows))
		}
	})
}

// What the sweep has seen idle may be in use when its turn comes.
type usedMeanwhile struct {
	*Memory
	once sync.Once
	use  func()
}

func (u *usedMeanwhile) Each(ctx context.Context, visit func(Row) bool) error {
	err := u.Memory.Each(ctx, visit)
	u.once.Do(u.use)
	return err
}

func (u *usedMeanwhile) Due(ctx context.Context, used, now time.Time, over func(*Row) bool, most int) ([]Key, bool, error) {
	keys, more, err := u.Memory.Due(ctx, used, now, over, most)
	u.once.Do(u.use)
	return keys, more, err
}

func TestSweepingSparesWhatIsUsedMeanwhile(t *testing.T) {
	t.Run("found by an index", func(t *testing.T) { sparesWhatIsUsed(t, func(u *usedMeanwhile) Store { return u }) })
	t.Run("found by a walk", func(t *testing.T) {
		sparesWhatIsUsed(t, func(u *usedMeanwhile) Store {
			return struct {
				*usedMeanwhile
				noIndex
			}{usedMeanwhile: u}
		})
	})
}

func sparesWhatIsUsed(t *testing.T, as func(*usedMeanwhile) Store) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		b.vault.store = as(&usedMeanwhile{Memory: b.store, use: func() {
			row, err := b.store.Load(t.Context(), b.h.Key())
			row.LastUsed = time.Now()
			if err := errors.Join(err, b.store.CompareAndSwap(t.Context(), row.Version(), row)); err != nil {
				t.Error(err)
			}
		}})
		time.Sleep(62 * time.Minute)
		if n, err := b.vault.Sweep(t.Context()); err != nil || n != (Counts{Live: 1}) {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

// An intent that stayed open may get its outcome still, however old it is.
func TestSweepingSparesAnOpenIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		row, err := b.store.Load(t.Context(), b.h.Key())
		if err != nil {
			t.Fatal(err)
		}
		old := row.Version()
		row.Intent = Intent{ID: NewID(), Open: true, Since: time.Now(), Lease: time.Now().Add(20 * time.Second)}
		if err := b.store.CompareAndSwap(t.Context(), old, row); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if n, err := b.vault.Sweep(t.Context()); err != nil || n != (Counts{Uncertain: 1}) {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

// Two servers may go by one name, of which one fails.
func TestAServerThatFailsIsNoMatterOfAnotherOneOfTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := func(g *Grant) bool { return g.App.Reveal() == "bad" }
		b := newBench(t, func(o *Options) {
			o.BreakerAfter = 1
			o.Authority = func(g *Grant) string { return g.App.Reveal() }
		}, func(_ context.Context, call int, g Grant) Outcome {
			if bad(&g) {
				return Unconsumed{Err: errTest}
			}
			return next(call)
		})
		broken, _, err := b.vault.Create(t.Context(), Grant{Kind: ByRefreshToken, Issuer: "iss", App: NewSecret("bad")},
			Granted{AccessToken: NewSecret("x"), Refresh: NewSecret("y"), ExpiresIn: seconds(100)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(101 * time.Second)
		if _, err := b.vault.Token(t.Context(), broken); err == nil || len(b.vault.Breakers()) != 1 {
			t.Errorf("the bad one: %v, %v", err, b.vault.Breakers())
		}
		if access, err := b.vault.Token(t.Context(), b.h); err != nil {
			t.Errorf("the good one: %v, %v", access, err)
		}
	})
}
