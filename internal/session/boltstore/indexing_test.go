package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
)

// older writes to a file as a build does that knows of no indexes.
func older(t testing.TB, path string, write func(rows *bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, db.Update(func(tx *bbolt.Tx) error { return write(tx.Bucket(bucket)) }), nil)
	wantError(t, db.Close(), nil)
}

func TestAFileOfABuildWithoutIndexesIsIndexed(t *testing.T) {
	round, commit := roundEntries, indexEntries
	t.Cleanup(func() { roundEntries, indexEntries = round, commit })
	roundEntries, indexEntries = 3000, 700
	path := filepath.Join(t.TempDir(), "grants.db")
	closed(t, open1(t, path, time.Now))
	var rows []session.Row
	older(t, path, func(b *bbolt.Bucket) error {
		for _, name := range [][]byte{indexBucket, stateBucket} {
			wantError(t, b.Tx().DeleteBucket(name), nil)
		}
		memory := session.NewMemory(time.Now)
		rows = storetest.Scramble(t, memory, rand.New(rand.NewPCG(1, 1)), nil, 2*indexRows)
		for _, row := range rows {
			wantError(t, b.Put(row.Key[:], marshalled(t, row)), nil)
		}
		return nil
	})
	s := open1(t, path, time.Now)
	// Meanwhile it goes on, before the place where the indexing is and behind.
	rows = storetest.Scramble(t, s, rand.New(rand.NewPCG(2, 1)), rows, 50)
	storetest.Indexed(t, s)
	storetest.WantFound(t, s)
	closed(t, s)
	s = open1(t, path, time.Now)
	if ok, err := s.Indexed(t.Context()); !ok || err != nil {
		t.Errorf("after a restart it is not indexed any more: %v", err)
	}
	storetest.Scramble(t, s, rand.New(rand.NewPCG(3, 1)), rows, 50)
	storetest.WantFound(t, s)
}

// Whoever goes back to a build without indexes and comes again finds everything.
func TestWhatAnOlderBuildWroteInBetweenIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	s := open1(t, path, time.Now)
	rows := storetest.Scramble(t, s, rand.New(rand.NewPCG(1, 2)), nil, 200)
	closed(t, s)
	older(t, path, func(b *bbolt.Bucket) error {
		for _, row := range rows[:len(rows)/2] {
			wantError(t, b.Delete(row.Key[:]), nil)
		}
		for _, row := range storetest.Scramble(t, session.NewMemory(time.Now), rand.New(rand.NewPCG(2, 2)), nil, 100) {
			wantError(t, b.Put(row.Key[:], marshalled(t, row)), nil)
		}
		return nil
	})
	s = open1(t, path, time.Now)
	storetest.Indexed(t, s)
	storetest.WantFound(t, s)
	left := 0
	wantError(t, s.read(func(b *bbolt.Bucket) error {
		return b.Tx().Bucket(indexBucket).ForEach(func(entry, _ []byte) error {
			if b.Get(entry[len(entry)-keySize:]) == nil {
				left++
			}
			return nil
		})
	}), nil)
	if left > 0 {
		t.Errorf("%d entries lead to rows that are gone", left)
	}
}

// As a crash would leave it, at any step.
func TestIndexingGoesOnWhereItWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	s := open1(t, path, time.Now)
	rows := storetest.Scramble(t, s, rand.New(rand.NewPCG(1, 3)), nil, 300)
	closed(t, s)
	for cut := range 7 {
		older(t, path, func(b *bbolt.Bucket) error {
			tab := &table{rows: b, index: b.Tx().Bucket(indexBucket)}
			wantError(t, tab.empty(b.Tx()), nil)
			all := round{}
			wantError(t, b.ForEach(func(_, value []byte) error {
				var row session.Row
				wantError(t, row.UnmarshalBinary(value), nil)
				all.see(&row)
				return nil
			}), nil)
			all.trim()
			if cut < 4 { // while entries come to be
				_, err := tab.enter(nil, all.some[:len(all.some)*cut/4], false)
				wantError(t, err, nil)
				return tab.close(b.Tx())
			}
			_, err := tab.enter(nil, all.some, true) // while rows are counted
			wantError(t, err, nil)
			n := 0
			wantError(t, b.ForEach(func(key, value []byte) error {
				var row session.Row
				wantError(t, row.UnmarshalBinary(value), nil)
				if n++; n < 30*(cut-4) {
					tab.state.stand[row.Standing()]++
					tab.state.cursor = bytes.Clone(key)
				}
				return nil
			}), nil)
			return tab.close(b.Tx())
		})
		s := open1(t, path, time.Now)
		rows = storetest.Scramble(t, s, rand.New(rand.NewPCG(uint64(cut), 4)), rows, 20)
		storetest.Indexed(t, s)
		if storetest.WantFound(t, s); t.Failed() {
			t.Fatalf("cut at %d", cut)
		}
		closed(t, s)
	}
}

// What is not known of a record that cannot be read must not stay in the indexes.
func TestDeletingARecordThatCannotBeReadIndexesAnew(t *testing.T) {
	s := open1(t, filepath.Join(t.TempDir(), "grants.db"), time.Now)
	rows := storetest.Scramble(t, s, rand.New(rand.NewPCG(1, 5)), nil, 100)
	for _, row := range rows[:3] {
		put(t, s, row.Key[:], []byte("x"))
		wantError(t, s.Delete(t.Context(), row.Key), nil)
	}
	storetest.Indexed(t, s)
	storetest.WantFound(t, s)
}

// A crash may leave the file at any commit: the indexes are as the rows are.
func TestAfterAKillTheIndexesAreAsTheRowsAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	for round := range 3 {
		cmd, _, out := process(t, "scramble", path)
		for n := 0; out.Scan(); n++ {
			if n == 3+4*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the child was not killed")
		}
		s := open1(t, path, time.Now)
		if ok, err := s.Indexed(t.Context()); !ok || err != nil {
			t.Errorf("not indexed: %v", err)
		}
		storetest.WantFound(t, s)
		closed(t, s)
	}
}

// scramble is what the child does until it is killed.
func scramble(s *Store) (err error) {
	var rows []session.Row
	for seed := uint64(0); err == nil; seed++ {
		rows, err = storetest.ScrambleIn(context.Background(), s, rand.New(rand.NewPCG(seed, 9)), rows, 20)
		fmt.Println("scrambled")
	}
	return err
}
