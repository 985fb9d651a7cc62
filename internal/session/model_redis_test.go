package session_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/redisstore"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

var redisFor = flag.Duration("redis-for", 10*time.Second, "how long the model runs on a real Redis")

// offstage is a store in real time, for a run in a time of its own: its calls
// are made by a goroutine outside, and the run's time stands still meanwhile. The
// ends of rows are moved, or the server would forget rows that are to come.
type offstage struct {
	store *redisstore.Store
	calls chan func()
	done  chan struct{}
	ahead time.Duration
}

func newOffstage(t *testing.T) *offstage {
	server := redistest.Start(t)
	store, err := redisstore.Open(t.Context(), redisstore.Options{
		Address: []string{server.Address()}, Prefix: "model", Timeout: 10 * time.Second, Connections: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Indexed(t, store)
	o := &offstage{store: store, calls: make(chan func()), done: make(chan struct{})}
	go func() {
		for call := range o.calls {
			call()
			o.done <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		close(o.calls)
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	// In a run it is midnight of 2000-01-01 at first.
	o.ahead = time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	return o
}

func (o *offstage) do(call func(ctx context.Context)) {
	o.calls <- func() { call(context.Background()) }
	<-o.done
}

func (o *offstage) Load(_ context.Context, key session.Key) (row session.Row, err error) {
	o.do(func(ctx context.Context) { row, err = o.store.Load(ctx, key) })
	row.Until = row.Until.Add(-o.ahead)
	return row, err
}

func (o *offstage) Create(_ context.Context, row session.Row) (err error) {
	row.Until = row.Until.Add(o.ahead)
	o.do(func(ctx context.Context) { err = o.store.Create(ctx, row) })
	return err
}

func (o *offstage) CompareAndSwap(_ context.Context, old session.Version, next session.Row) (err error) {
	next.Until = next.Until.Add(o.ahead)
	o.do(func(ctx context.Context) { err = o.store.CompareAndSwap(ctx, old, next) })
	return err
}

func (o *offstage) Indexed(context.Context) (whole bool, err error) {
	o.do(func(ctx context.Context) { whole, err = o.store.Indexed(ctx) })
	return whole, err
}

func (o *offstage) Find(_ context.Context, by session.Index, id session.ID, visit func(session.Row) bool) (err error) {
	o.do(func(ctx context.Context) {
		err = o.store.Find(ctx, by, id, func(row session.Row) bool {
			row.Until = row.Until.Add(-o.ahead)
			return visit(row)
		})
	})
	return err
}

func (o *offstage) Number(_ context.Context, by session.Index, id session.ID) (n int, err error) {
	o.do(func(ctx context.Context) { n, err = o.store.Number(ctx, by, id) })
	return n, err
}

// Due and Counts are of the rows of all runs: what is due of them is not, by the time
// of this one, and there are none that it could tell.
func (o *offstage) Due(context.Context, time.Time, time.Time, func(*session.Row) bool, int) ([]session.Key, bool, error) {
	return nil, false, nil
}

func (o *offstage) Counts(context.Context, time.Time) (session.Counts, error) {
	return session.Counts{}, nil
}

// The model uses none of these of its store.

func (o *offstage) Keys(context.Context, func(session.Key) bool) error { panic("unused") }
func (o *offstage) Delete(context.Context, session.Key) error          { panic("unused") }
func (o *offstage) Each(context.Context, func(session.Row) bool) error { panic("unused") }
func (o *offstage) Now(context.Context) (time.Time, error)             { panic("unused") }

// What holds of the coordinator on a store in memory holds on a real Redis.
func TestModelOnRedis(t *testing.T) {
	store := newOffstage(t)
	runs, end := 0, time.Now().Add(*redisFor)
	for seed := uint64(1); time.Now().Before(end) && !t.Failed(); seed++ {
		session.RunModel(t, seed, store)
		runs++
	}
	if t.Logf("%d runs", runs); runs < 10 {
		t.Errorf("%d runs show little", runs)
	}
}
