//go:build unix

// Package redistest starts real Redis servers for tests: on loopback, and for as
// long as the test runs.
package redistest

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a redis-server that this test started.
type Server struct {
	Port int

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when it has ended
}

type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}
func (o *output) String() string { o.mu.Lock(); defer o.mu.Unlock(); return o.buf.String() }

// Start runs a server without persistence, with these arguments beside, until
// the test ends. There must be a redis-server: a test that skips itself proves
// nothing.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, nil, append([]string{"--save", "", "--appendonly", "no"}, args...))
}

func start(t testing.TB, first, rest []string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is missing; install it with the system's package manager (e2e/setup.sh does): %v", err)
	}
	s := &Server{t: t}
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	for range 5 { // another process may take the port first
		s.Port = FreePort(t)
		s.args = append(append(append([]string(nil), first...), "--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", t.TempDir()), rest...)
		if s.run() {
			return s
		}
		if !strings.Contains(s.out.String(), "Address already in use") {
			break
		}
	}
	t.Fatalf("redis-server does not start:\n%s", s.out)
	return nil
}

// Address is where it listens.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// run starts the process and waits until it answers, or has ended.
func (s *Server) run() bool {
	s.t.Helper()
	s.out, s.done = &output{}, make(chan struct{})
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = s.out, s.out, withParent()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) { defer close(done); _ = cmd.Wait() }(s.cmd, s.done)
	for range 600 {
		select {
		case <-s.done:
			return false
		case <-time.After(50 * time.Millisecond):
		}
		if answers(s.Address()) {
			return true
		}
	}
	return false
}

func answers(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	answer := make([]byte, 1)
	_, _ = conn.Write([]byte("PING\r\n"))
	n, _ := conn.Read(answer) // a pong, or that it wants a password
	return n == 1
}

// end ends the process and waits for that.
func (s *Server) end(how syscall.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(how)
	<-s.done
}

// Kill ends the server as a crash would.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause stops the process where it is, until Resume.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Again starts a server that was killed once more, at the same port and empty.
func (s *Server) Again() {
	s.t.Helper()
	if !s.run() {
		s.t.Fatalf("redis-server does not start again:\n%s", s.out)
	}
}

// Do sends one command and answers the first line that comes back, for what a
// test wants of a server behind the store's back.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	answer, err := s.ask(words...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func (s *Server) ask(words ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Address(), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	answer := make([]byte, 1<<16)
	if _, err := conn.Write([]byte(text.String())); err != nil {
		return "", err
	}
	n, err := conn.Read(answer)
	return strings.TrimSpace(string(answer[:n])), err
}

// tells asks a server whose connections a sentinel may cut at any moment, as it
// does with one that changes its part.
func (s *Server) tells(what string, words ...string) bool {
	answer, err := s.ask(words...)
	return err == nil && strings.Contains(answer, what)
}

// FreePort is one that no process listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
