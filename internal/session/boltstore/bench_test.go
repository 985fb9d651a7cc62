package boltstore

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// large makes a file of n rows in a few commits.
func large(b *testing.B, n int) (path string, keys []session.Key) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "grants.db")
	s, err := Open(path, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	for len(keys) < n {
		wantError(b, s.write(b.Context(), func(t *table) (bool, error) {
			for range min(10_000, n-len(keys)) {
				row := newRow(time.Now().Add(time.Hour))
				keys = append(keys, row.Key)
				if err := t.put(nil, &row, marshalled(b, row)); err != nil {
					return false, err
				}
			}
			return true, nil
		}), nil)
	}
	closed(b, s)
	return path, keys
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		path, keys := large(b, n)
		s := open1(b, path, time.Now)
		b.Run(fmt.Sprintf("of %d rows", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.Load(b.Context(), keys[i%len(keys)]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("of %d rows in parallel", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := s.Load(b.Context(), keys[i%len(keys)]); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkCompareAndSwap(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			path, keys := large(b, 10_000)
			s := open1(b, path, time.Now)
			b.ReportAllocs()
			var all sync.WaitGroup
			b.ResetTimer()
			for w := range writers {
				all.Go(func() {
					row, err := s.Load(b.Context(), keys[w])
					for i := w; i < b.N && err == nil; i += writers {
						next := row
						next.Generation++
						err = s.CompareAndSwap(b.Context(), row.Version(), next)
						row = next
					}
					if err != nil {
						b.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		path, _ := large(b, n)
		b.Run(fmt.Sprintf("%d rows", n), func(b *testing.B) {
			for b.Loop() {
				s, err := Open(path, time.Now)
				if err != nil {
					b.Fatal(err)
				}
				closed(b, s)
			}
			before := heap()
			s := open1(b, path, time.Now)
			b.ReportMetric(float64(heap())-float64(before), "heap-B")
			runtime.KeepAlive(s)
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
