package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shared is an authorization server that takes long to start, so one process of
// it serves all tests. The first who asks starts it, while others go on; it runs
// until the tests end, in a directory of its own.
type shared struct {
	name  string // of what setup.sh installs
	start func(t *testing.T, home, built string) (*process, error)
	ready string       // the address that answers 200 when it has started
	warm  func() error // what the first one does before others may come, if it is set

	once sync.Once
	home string
	proc *process
	err  error
}

// sharing are those that run.
var sharing struct {
	sync.Mutex
	all []*shared
}

// builtServer is where setup.sh put a server. Elsewhere than in CI a machine may
// not have all of them: setup.sh says so, and their tests are left out.
func builtServer(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("E2E_SERVERS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "caddyoauth-e2e")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed in %s, see what setup.sh says", name, dir)
	}
	t.Skipf("%s is not installed in %s: setup.sh does that, or says why not", name, dir)
	return ""
}

// run starts the server, for the first who asks, and waits until it is ready.
func (s *shared) run(t *testing.T) {
	t.Helper()
	built := builtServer(t, s.name)
	s.once.Do(func() {
		if s.home, s.err = os.MkdirTemp("", "server"); s.err != nil {
			return
		}
		sharing.Lock()
		sharing.all = append(sharing.all, s)
		sharing.Unlock()
		if s.proc, s.err = s.start(t, s.home, built); s.err == nil {
			s.err = s.awaitReady()
		}
	})
	if s.err != nil || s.proc == nil {
		t.Fatalf("starting %s: %v", s.name, cmp.Or(s.err, os.ErrInvalid))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the output of %s:\n%s", s.name, tail(s.proc.out.String(), 30))
			keepOutput(t, s.proc)
		}
	})
}

// awaitReady waits for the first answer, which may make the server's keys.
func (s *shared) awaitReady() error {
	deadline := time.Now().Add(5 * time.Minute)
	for time.Now().Before(deadline) {
		select {
		case <-s.proc.done:
			return fmt.Errorf("it has ended:\n%s", tail(s.proc.out.String(), 40))
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := plainClient.Get(s.ready) //nolint:noctx // a test's
		if err != nil {
			continue
		}
		closeAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			continue
		}
		if s.warm != nil {
			return s.warm()
		}
		return nil
	}
	return fmt.Errorf("it is not ready after five minutes:\n%s", tail(s.proc.out.String(), 40))
}

// endShared comes after the last test.
func endShared() {
	for _, s := range sharing.all {
		if s.proc != nil {
			s.proc.signal(syscall.SIGTERM)
		}
		_ = os.RemoveAll(s.home)
	}
}
