package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// proc is a process that the benchmark started, and therefore stops.
type proc struct {
	name  string
	cmd   *exec.Cmd
	log   string
	began time.Time
	done  chan struct{} // closed when the process has ended
}

// start runs a program with its output in a file under dir. The program dies
// with the benchmark, however that ends: main keeps its thread, so the death
// signal of that thread is the death of the benchmark.
func start(dir, name string, env []string, argv ...string) (*proc, error) {
	log := filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = out, out
	// Its own group, so that Ctrl-C reaches the benchmark alone, which then
	// stops the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &proc{name: name, cmd: cmd, log: log, began: began, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the log says more than the exit status
		close(p.done)
	}()
	return p, nil
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

// ready waits until the process accepts connections.
func (p *proc) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %s", p.name, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %s", p.name, addr, p.lastWords())
		case <-tick.C:
		}
	}
}

// lastWords is the end of the process's output, for an error text.
func (p *proc) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return "it said nothing"
	}
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-600):])
}

func (p *proc) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(10 * time.Second):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stat is what /proc/PID/stat says of a process.
type stat struct {
	parent        int
	own, children time.Duration // children: those that have ended and were waited for
}

var errStat = errors.New("unexpected form of /proc/PID/stat")

// parseStat reads fields 4 and 14 to 17. The second field is the program's
// name and may hold spaces and brackets, so it counts from the last bracket.
func parseStat(line []byte) (stat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errStat
	}
	f := bytes.Fields(line[end+1:])
	if len(f) < 15 {
		return stat{}, errStat
	}
	var n [5]int
	for i, at := range []int{1, 11, 12, 13, 14} {
		v, err := strconv.Atoi(string(f[at]))
		if err != nil {
			return stat{}, fmt.Errorf("%w: %w", errStat, err)
		}
		n[i] = v
	}
	const tick = time.Second / 100 // USER_HZ: 100 on every Linux
	return stat{
		parent:   n[0],
		own:      time.Duration(n[1]+n[2]) * tick,
		children: time.Duration(n[3]+n[4]) * tick,
	}, nil
}

func readStat(path string) (stat, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// cpu is the CPU time of a process and of its children, living and ended:
// Apache works in children.
func (p *proc) cpu() (time.Duration, error) {
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of %s: %w", p.name, err)
	}
	sum := st.own + st.children
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range all {
		child, err := readStat(path)
		if err == nil && child.parent == p.pid() { // an error: it ended meanwhile
			sum += child.own + child.children
		}
	}
	return sum, nil
}

// rss is the resident memory of the process in bytes, and the part of it that
// is pages of files, which the kernel takes back when it needs them.
func (p *proc) rss() (all, ofFiles int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid()))
	if err == nil {
		all, ofFiles, err = parseStatm(b)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of %s: %w", p.name, err)
	}
	return all, ofFiles, nil
}

func parseStatm(line []byte) (all, ofFiles int64, err error) {
	var size int64
	if _, err := fmt.Sscan(string(line), &size, &all, &ofFiles); err != nil {
		return 0, 0, fmt.Errorf("unexpected form of /proc/PID/statm: %w", err)
	}
	page := int64(os.Getpagesize())
	return all * page, ofFiles * page, nil
}

// The ports that freeAddr tries lie below those that Linux gives out by itself.
const (
	firstPort = 20_000
	ports     = 10_000
)

var nextPort = rand.IntN(ports)

// freeAddr is a loopback address without a listener, and another one each time.
// Two Caddies on one port would both start, since both set SO_REUSEPORT, and
// the requests would go to either: so a port that the system might give to
// another process meanwhile will not do, nor one that was handed out just now.
func freeAddr() (string, error) {
	var failed error
	for range ports {
		nextPort = (nextPort + 1) % ports
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+nextPort)))
		if err == nil {
			return ln.Addr().String(), ln.Close()
		}
		failed = err
	}
	return "", fmt.Errorf("no port is free: %w", failed)
}
