package storetest

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// someID is one of a few, so that rows share them; sometimes none.
func someID(rnd *rand.Rand) (id session.ID) {
	if n := rnd.IntN(5); n > 0 {
		id[0], id[15] = byte(n), 1
	}
	return id
}

// Scramble makes, changes and deletes rows at random, some of which are there
// already, and answers those there are.
func Scramble(t testing.TB, s session.Store, rnd *rand.Rand, rows []session.Row, steps int) []session.Row {
	t.Helper()
	rows, err := ScrambleIn(t.Context(), s, rnd, rows, steps)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// ScrambleIn is Scramble outside of a test.
func ScrambleIn(ctx context.Context, s session.Store, rnd *rand.Rand, rows []session.Row, steps int) ([]session.Row, error) {
	now, err := s.Now(ctx)
	for range steps {
		if err != nil {
			return nil, err
		}
		switch at := rnd.IntN(len(rows) + 1); {
		case at == len(rows) || rnd.IntN(4) == 0:
			rows = append(rows, session.Row{
				Key: session.NewHandle().Key(), Generation: 1, Intent: session.Intent{ID: session.NewID()},
				Created: now, LastUsed: now.Add(-time.Duration(rnd.IntN(180)) * time.Minute), Until: now.Add(time.Hour),
				Subject: someID(rnd), User: someID(rnd), Session: someID(rnd), Holder: someID(rnd),
				Purpose: session.Purpose(max(0, rnd.IntN(6)-3)), Sealed: make([]byte, rnd.IntN(2000)),
			})
			err = s.Create(ctx, rows[len(rows)-1])
		case rnd.IntN(8) == 0:
			err = s.Delete(ctx, rows[at].Key)
			rows = slices.Delete(rows, at, at+1)
		default:
			old := rows[at]
			rows[at] = changed(rnd, old, now)
			err = s.CompareAndSwap(ctx, old.Version(), rows[at])
		}
	}
	return rows, err
}

// changed is a change as a vault makes it.
func changed(rnd *rand.Rand, row session.Row, now time.Time) session.Row {
	row.Generation++
	row.Intent = session.Intent{ID: session.NewID()}
	if row.Purpose != session.ForGrant || row.Dead {
		return row
	}
	switch rnd.IntN(6) {
	case 0:
		row.Intent.Open, row.Intent.Lease = true, now.Add(time.Hour)
	case 1:
		row.Intent.Open, row.Intent.Lease = true, now.Add(-time.Hour)
	case 2:
		row.Doubts = uint8(rnd.IntN(2))
	case 3:
		row.Dead, row.Sealed, row.Reason = true, nil, session.EndedLogout
	case 4:
		row.LastUsed = now
	}
	return row
}
