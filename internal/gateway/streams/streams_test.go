package streams

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

func frame(head byte, masked bool, size int) []byte {
	b := []byte{head}
	switch {
	case size < 126:
		b = append(b, byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(size))
	}
	if masked {
		b[1] |= 0x80
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, make([]byte, size)...)
}

// However the frames are cut into pieces, the last word stands between two of them.
func FuzzTheLastWordTearsNoFrame(f *testing.F) {
	f.Add(0, 5, uint16(7), false)
	f.Add(126, 1, uint16(3), true)
	f.Add(70_000, 1000, uint16(70_000&0xffff), false)
	f.Fuzz(func(t *testing.T, size, piece int, when uint16, masked bool) {
		size, piece = min(max(size, 0), 100_000), min(max(piece, 1), 10_000)
		whole := bytes.Repeat(frame(0x82, masked, size), 3)
		one := len(whole) / 3
		last := closeFrame(1008, &verdict.Rejection{})
		var out bytes.Buffer
		w := &framed{wake: func() {}}
		w.write = func(p []byte) error { _, err := out.Write(p); return err }
		ended := false
		for at := 0; at < len(whole); at += piece {
			if !ended && at >= int(when) {
				ended = true
				w.end(last)
			}
			if _, err := w.pass(whole[at:min(at+piece, len(whole))], &out); err != nil {
				break
			}
		}
		body, said := bytes.CutSuffix(out.Bytes(), last)
		if said != w.told() || ended != said && len(body) < len(whole) || len(body)%one != 0 || !bytes.HasPrefix(whole, body) {
			t.Errorf("%d bytes in frames of %d, told: %v", len(body), one, said)
		}
	})
}

func TestAWebSocketThatHasBeenClosedIsNotClosedTwice(t *testing.T) {
	var out bytes.Buffer
	woken := false
	w := &framed{wake: func() { woken = true }}
	w.write = func(p []byte) error { _, err := out.Write(p); return err }
	_, _ = w.pass(frame(0x88, false, 2), &out)
	w.end(closeFrame(1008, &verdict.Rejection{}))
	if out.Len() != 4 || !woken {
		t.Errorf("% x, woken: %v", out.Bytes(), woken)
	}
}

func newRoom(judge func(context.Context, credential.Presented, policy.Fit, time.Time) (Judged, error)) *Room {
	return New(Options{Now: time.Now, Log: zap.NewNop(), Judge: judge, Over: func() {}})
}

func always(context.Context, credential.Presented, policy.Fit, time.Time) (Judged, error) {
	return Judged{Until: time.Now().Add(time.Hour)}, nil
}

func TestARequestThatIsOverInAMomentAllocatesNothing(t *testing.T) {
	m := newRoom(always)
	defer m.Close()
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	let := &Admitted{As: new(token.Principal)}
	if n := testing.AllocsPerRun(1000, func() {
		if err := m.Serve(w, r, let, nil, func(got http.ResponseWriter, _ *http.Request) error {
			if got != http.ResponseWriter(w) {
				t.Error("it is wrapped")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// silent is a connection that is handed over.
type silent struct {
	net.Conn
	pad [1]int
}

// handedOver is the answer to a request whose connection may be handed over.
type handedOver struct {
	http.ResponseWriter
	pad [1]int
}

func (*handedOver) Hijack() (net.Conn, *bufio.ReadWriter, error) { return new(silent), nil, nil }

func TestAnOpenExchangeTakesLessThanAKibibyteAndNoGoroutine(t *testing.T) {
	for name, header := range map[string]http.Header{"plain": {}, "WebSocket": {"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}} {
		t.Run(name, func(t *testing.T) {
			// What else this process does adds to it now and then: the least is what it takes.
			for tries := 3; ; tries-- {
				bytes, goroutines := costOfOpen(t, header)
				if bytes <= 1024 && goroutines <= 20 {
					break
				}
				if tries == 1 {
					t.Fatalf("%d bytes each, and %d goroutines more", bytes, goroutines)
				}
			}
		})
	}
}

// costOfOpen is what an open exchange takes beside what it would without us, and how
// many more goroutines there are.
func costOfOpen(t *testing.T, header http.Header) (bytes, more int) {
	t.Helper()
	const many = 2000
	m := newRoom(always)
	release, in := make(chan struct{}), make(chan struct{}, many)
	var all sync.WaitGroup
	open := func(serve func(w http.ResponseWriter, r *http.Request, forward func(http.ResponseWriter, *http.Request) error)) (bytes, goroutines int) {
		before, stacks := used()
		for range many {
			r := &http.Request{Method: http.MethodGet, ProtoMajor: 1, Header: header}
			all.Go(func() {
				serve(new(handedOver), r, func(w http.ResponseWriter, _ *http.Request) error {
					var conn net.Conn
					if len(header) > 0 {
						var err error
						if conn, _, err = http.NewResponseController(w).Hijack(); err != nil {
							t.Error(err)
						}
					}
					in <- struct{}{}
					<-release
					runtime.KeepAlive(conn)
					return nil
				})
			})
		}
		for range many {
			<-in
		}
		for end := time.Now().Add(time.Minute); m.size() < many && time.Now().Before(end) && serve != nil && bytes == 0; {
			if m.size() == 0 && time.Since(end.Add(-time.Minute)) > 2*time.Second {
				break // the control
			}
			time.Sleep(tickEach)
		}
		after, stacksAfter := used()
		return (after - before) / many, stacksAfter - stacks
	}
	plainly, without := open(func(w http.ResponseWriter, r *http.Request, forward func(http.ResponseWriter, *http.Request) error) {
		_ = forward(w, r)
	})
	with, goroutines := open(func(w http.ResponseWriter, r *http.Request, forward func(http.ResponseWriter, *http.Request) error) {
		_ = m.Serve(w, r, &Admitted{As: new(token.Principal)}, nil, forward)
	})
	if m.size() != many {
		t.Fatalf("%d are open", m.size())
	}
	t.Logf("%d bytes each, of which %d are no matter of ours", with, plainly)
	close(release)
	all.Wait() // else they would count in what comes next
	if m.size() > 0 {
		t.Fatalf("%d stay", m.size())
	}
	m.Close()
	return with - plainly, goroutines - without
}

// What is due was once put to its new place in the queue while the queue was walked:
// about half of what was open was passed over, and went on for another minute.
func TestAllThatIsOpenIsJudgedAgainWhenSomethingWasTakenBack(t *testing.T) {
	const many = 200
	var judged atomic.Int32
	m := newRoom(func(context.Context, credential.Presented, policy.Fit, time.Time) (Judged, error) {
		judged.Add(1)
		return Judged{Until: time.Now().Add(time.Hour)}, nil
	})
	m.UseEach = time.Hour
	found := credential.Presented{Swapped: true, Until: time.Now().Add(time.Hour)}
	release := make(chan struct{})
	var all sync.WaitGroup
	for n := range many {
		p := &token.Principal{Issuer: "i", Subject: string(rune('a' + n%2))}
		all.Go(func() {
			_ = m.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), &Admitted{Found: found, As: p}, nil,
				func(http.ResponseWriter, *http.Request) error { <-release; return nil })
		})
	}
	defer func() { close(release); all.Wait(); m.Close() }()
	until := func(what string, is func() bool) {
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d are open, %d were judged", what, m.size(), judged.Load())
			}
		}
	}
	until("taken in", func() bool { return m.size() == many })
	m.Reconsider("i", "")
	until("all of the issuer", func() bool { return judged.Load() == many && m.idle() })
	judged.Store(0)
	m.Reconsider("i", "a")
	until("all of a subject", func() bool { return judged.Load() == many/2 && m.idle() })
}

// idle reports whether nothing is looked at.
func (m *Room) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(m.open, func(x *exchange) bool { return x.busy })
}

func (m *Room) size() int { m.mu.Lock(); defer m.mu.Unlock(); return len(m.open) }

func used() (bytes, goroutines int) {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc), runtime.NumGoroutine()
}

var _ io.Writer = (*tunnelled)(nil)
