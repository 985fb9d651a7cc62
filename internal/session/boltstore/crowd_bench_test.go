package boltstore

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

var (
	crowdRows = flag.Int("rows", 10_000, "grants in the file of the benchmarks of a crowd")
	crowdDir  = flag.String("dir", "", "where that file stays, for the next run or another build")
)

func crowdRing(b *testing.B) *session.Keyring {
	b.Helper()
	ring, err := session.NewKeyring(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	return ring
}

// crowd opens a file with so many live grants, of a browser each and two for each
// user, and a vault over it.
func crowd(b *testing.B, n int) (*Store, *session.Vault) {
	b.Helper()
	dir := *crowdDir
	if dir == "" {
		dir = b.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprintf("crowd-%d.db", n))
	_, err := os.Stat(path)
	ring := crowdRing(b)
	s := open1(b, path, time.Now)
	if err != nil {
		began := time.Now()
		s.db.NoSync = true
		fill(b, s, ring, n)
		s.db.NoSync = false
		wantError(b, s.db.Sync(), nil)
		b.Logf("made %d grants in %s", n, time.Since(began).Round(time.Millisecond))
	}
	if f, ok := any(s).(interface {
		Indexed(context.Context) (bool, error)
	}); ok {
		began := time.Now()
		for whole := false; !whole; time.Sleep(10 * time.Millisecond) {
			if whole, err = f.Indexed(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.Logf("indexed after %s", time.Since(began).Round(time.Millisecond))
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("the file has %d MB", info.Size()>>20)
	v, err := session.New(s, ring, session.Options{
		Now: time.Now, Idle: 30 * 24 * time.Hour, Max: 60 * 24 * time.Hour,
		Renew: func(context.Context, session.Grant) session.Outcome { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	return s, v
}

func fill(b *testing.B, s *Store, ring *session.Keyring, n int) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 2 * mostWrites {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n && !b.Failed(); i = int(next.Add(1)) {
				user := fmt.Sprint("user-", i/2)
				row := newRow(time.Now().Add(60 * 24 * time.Hour))
				row.Created, row.LastUsed = time.Now(), time.Now()
				row.Subject, row.User = ring.Digest("subject", "iss", user), ring.Digest("user", "iss", "app", user)
				row.Session, row.Holder = ring.Digest("session", "iss", "app", fmt.Sprint(i)), ring.Digest("holder subject", "iss", user)
				if err := s.Create(b.Context(), row); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkCrowd is what costs a walk where there are no indexes, and what they
// cost where a row is written:
//
//	go test -run '^$' -bench Crowd -timeout 0 ./internal/session/boltstore -args -rows 1000000 -dir /tmp
func BenchmarkCrowd(b *testing.B) {
	s, v := crowd(b, *crowdRows)
	began := func(b *testing.B, user string) {
		b.Helper()
		life := time.Hour
		_, _, err := v.CreateFor(b.Context(), session.Browser{Client: "app", User: user, Session: user + "'s"},
			session.Grant{Issuer: "iss", Client: "app"},
			session.Granted{AccessToken: session.NewSecret(string(make([]byte, 1200))), Refresh: session.NewSecret("rt"), Subject: user, ExpiresIn: &life}, time.Now())
		if err != nil {
			b.Fatal(err)
		}
	}
	user := session.User{Issuer: "iss", Client: "app", Sub: "alice"}
	b.Run("end both of a subject", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			began(b, "alice")
			began(b, "alice")
			b.StartTimer()
			if n, err := v.EndSubject(b.Context(), "iss", "alice", session.EndedAdmin); n != 2 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("end a subject's that has none", func(b *testing.B) {
		for b.Loop() {
			if n, err := v.EndSubject(b.Context(), "iss", "nobody", session.EndedAdmin); n != 0 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("show a user's sessions", func(b *testing.B) {
		began(b, "alice")
		for b.Loop() {
			if all, err := v.Browsers(b.Context(), user); len(all) != 1 || err != nil {
				b.Fatal(len(all), err)
			}
		}
		if _, err := v.EndSubject(b.Context(), "iss", "alice", session.EndedAdmin); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("sweep with nothing due", func(b *testing.B) {
		for b.Loop() {
			if n, err := v.Sweep(b.Context()); n.Live < *crowdRows || n.Deleted > 0 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("begin and end by %d", writers), func(b *testing.B) {
			shared(b, writers, func(i int) error {
				row := newRow(time.Now().Add(time.Hour))
				row.Subject, row.User, row.Session, row.Holder = session.ID(row.Key[:16]), session.ID(row.Key[1:17]), session.ID(row.Key[2:18]), session.ID(row.Key[3:19])
				if err := s.Create(b.Context(), row); err != nil {
					return err
				}
				return s.Delete(b.Context(), row.Key)
			})
		})
		b.Run(fmt.Sprintf("refresh by %d", writers), func(b *testing.B) {
			rows := make([]session.Row, writers)
			for i := range rows {
				rows[i] = created(b, s, time.Now().Add(time.Hour))
			}
			shared(b, writers, func(i int) error {
				next := rows[i%writers]
				next.Generation++
				err := s.CompareAndSwap(b.Context(), rows[i%writers].Version(), next)
				rows[i%writers] = next
				return err
			})
			for _, row := range rows {
				wantError(b, s.Delete(b.Context(), row.Key), nil)
			}
		})
	}
}

// shared calls for each of the benchmark's turns, side by side.
func shared(b *testing.B, writers int, one func(i int) error) {
	b.Helper()
	var all sync.WaitGroup
	before := bytesWritten()
	b.ResetTimer()
	for w := range writers {
		all.Go(func() {
			for i := w; i < b.N && !b.Failed(); i += writers {
				if err := one(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(bytesWritten()-before)/float64(b.N), "written-B/op")
}

// bytesWritten is what this process has written so far, where the system tells.
func bytesWritten() (n int64) {
	text, _ := os.ReadFile("/proc/self/io")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return n
}
