package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// unreadable is a store with a record that cannot be read: a walk shows all the
// others, and then it is an error.
type unreadable struct {
	*Memory
	noIndex
}

// noIndex stands beside a Memory, and hides its indexes.
type noIndex struct{}

// Indexed is false, or of two of one name none of the store.
func (noIndex) Indexed(context.Context) (bool, error) { return false, nil }

func (s unreadable) Each(ctx context.Context, visit func(Row) bool) error {
	return errors.Join(s.Memory.Each(ctx, visit), errTest)
}

// What is found ends, and the failure is told: some may be left.
func TestARecordThatCannotBeReadKeepsNoOtherFromEnding(t *testing.T) {
	b := newBench(t, nil, always)
	b.vault.store = unreadable{Memory: b.store}
	ended, err := b.vault.EndSubject(t.Context(), "iss", "sub", EndedLogout)
	if wantUnavailable(t, err); ended != 1 {
		t.Errorf("%d have ended", ended)
	}
	b.want("no grant")
}

func TestARecordThatCannotBeReadKeepsNoOtherFromBeingSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		b.vault.store = unreadable{Memory: b.store}
		time.Sleep(2 * time.Hour)
		n, err := b.vault.Sweep(t.Context())
		if wantUnavailable(t, err); n.Deleted != 1 || len(b.store.rows) > 0 {
			t.Errorf("%+v, %d rows are left", n, len(b.store.rows))
		}
	})
}
