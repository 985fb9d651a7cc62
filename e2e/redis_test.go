package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// redisServer is a real Redis, or a real sentinel.
type redisServer struct {
	t    *testing.T
	port int
	home string
	args []string
	proc *process
}

// startRedis runs a server without persistence until the test ends.
func startRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is missing; e2e/setup.sh installs it: %v", err)
	}
	s := &redisServer{t: t, port: freePort(t), home: t.TempDir()}
	s.args = append([]string{"--save", "", "--appendonly", "no", "--rdbcompression", "no"}, args...)
	s.start()
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	args := append([]string{"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--dir", s.home}, s.args...)
	if strings.HasSuffix(s.args[0], ".conf") { // a sentinel's file comes first
		args = append(append([]string{s.args[0]}, args[:6]...), s.args[1:]...)
	}
	s.proc = startProcess(s.t, s.home, nil, "redis-server", args...)
	await(s.t, 30*time.Second, "Redis to answer", func() bool {
		out, _, code := runCommand(s.t, s.home, "", "redis-cli", "-p", fmt.Sprint(s.port), "ping")
		return code == 0 && strings.Contains(out, "PONG")
	})
}

func (s *redisServer) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// pause stops the process where it is.
func (s *redisServer) pause() { _ = s.proc.cmd.Process.Signal(syscall.SIGSTOP) }

func (s *redisServer) resume() { _ = s.proc.cmd.Process.Signal(syscall.SIGCONT) }

// cli asks the server something, and answers what it says.
func (s *redisServer) cli(words ...string) string {
	s.t.Helper()
	out, stderr, code := s.ask(words...)
	if code != 0 {
		s.t.Fatalf("redis-cli %s: %s %s", strings.Join(words, " "), out, stderr)
	}
	return out
}

func (s *redisServer) ask(words ...string) (out, stderr string, code int) {
	s.t.Helper()
	return runCommand(s.t, s.home, "", "redis-cli", append([]string{"-p", fmt.Sprint(s.port)}, words...)...)
}

// tells asks a server whose connections a sentinel may cut at any moment, as it
// does with one that changes its part.
func (s *redisServer) tells(what string, words ...string) bool {
	s.t.Helper()
	out, _, code := s.ask(words...)
	return code == 0 && strings.Contains(out, what)
}

// dump is all that the server holds.
func (s *redisServer) dump() string {
	s.t.Helper()
	file := filepath.Join(s.home, "dump-for-test.rdb")
	s.cli("--rdb", file)
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// masterName is what the sentinel calls the master.
const masterName = "grants"

// failover is a master with a replica, and a sentinel that watches both.
type failover struct {
	t                         *testing.T
	master, replica, sentinel *redisServer
}

func startFailover(t *testing.T) *failover {
	t.Helper()
	f := &failover{t: t, master: startRedis(t, "--repl-diskless-sync-delay", "0")}
	f.replica = startRedis(t, "--repl-diskless-sync-delay", "0")
	f.follow(f.replica, f.master)
	file := filepath.Join(t.TempDir(), "sentinel.conf") // it writes into it
	text := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 6000\n", masterName, f.master.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.sentinel = &redisServer{t: t, port: freePort(t), home: t.TempDir(), args: []string{file, "--sentinel"}}
	f.sentinel.start()
	await(t, 60*time.Second, "the sentinel to know the replica", func() bool {
		return f.sentinel.tells(fmt.Sprint(f.replica.port), "sentinel", "replicas", masterName)
	})
	return f
}

// follow makes one server the replica of another, and waits until it has all.
func (f *failover) follow(one, other *redisServer) {
	f.t.Helper()
	await(f.t, 60*time.Second, "the replica to be in step", func() bool {
		return one.tells("OK", "replicaof", "127.0.0.1", fmt.Sprint(other.port)) &&
			one.tells("master_link_status:up", "info", "replication")
	})
}

// kill ends the master, waits until the replica is it, and lets the old one come
// back as the replica.
func (f *failover) kill() {
	f.t.Helper()
	f.master.proc.signal(syscall.SIGKILL)
	await(f.t, 60*time.Second, "the failover", func() bool {
		return f.replica.tells("role:master", "info", "replication") &&
			f.sentinel.tells(fmt.Sprint(f.replica.port), "sentinel", "get-master-addr-by-name", masterName)
	})
	f.master, f.replica = f.replica, f.master
	f.replica.start()
	f.follow(f.replica, f.master)
}

// line is the network between one node and Redis.
type line struct {
	address string
	target  string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

func startLine(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{address: listener.Addr().String(), target: target, conns: map[net.Conn]struct{}{}}
	t.Cleanup(func() { closeAll(listener); l.set(true) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	}()
	return l
}

// set cuts the line, or mends it.
func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for conn := range l.conns {
			closeAll(conn)
		}
		clear(l.conns)
	}
}

func (l *line) carry(near net.Conn) {
	defer closeAll(near)
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer closeAll(far)
	l.mu.Lock()
	if l.cut {
		l.mu.Unlock()
		return
	}
	l.conns[near], l.conns[far] = struct{}{}, struct{}{}
	l.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() { _, _ = io.Copy(ends[0], ends[1]); done <- struct{}{} }()
	}
	<-done
	l.mu.Lock()
	delete(l.conns, near)
	delete(l.conns, far)
	l.mu.Unlock()
}
