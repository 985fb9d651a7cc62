package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output collects what a process writes, while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a running program that this test started and will end.
type process struct {
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when it has ended
}

// startProcess runs a program until the test ends. Its home is a directory of
// the test's own, so that nothing is left behind in that of the user.
func startProcess(t *testing.T, home string, env []string, name string, args ...string) *process {
	t.Helper()
	p, err := launch(home, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("end of the output of %s:\n%s", filepath.Base(name), tail(p.out.String(), 30))
			keepOutput(t, p)
		}
	})
	return p
}

// launch runs a program until its end.
func launch(home string, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), out: &output{}, done: make(chan struct{})}
	p.cmd.Env = append(ownEnv(home), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	forking.Lock()
	err := p.cmd.Start()
	forking.Unlock()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the exit code is read from ProcessState
	}()
	return p, nil
}

// keepOutput writes all that a process wrote into the directory E2E_OUTPUT, if
// that is set: the end is not always enough.
func keepOutput(t *testing.T, p *process) {
	if dir := os.Getenv("E2E_OUTPUT"); dir != "" {
		name := fmt.Sprintf("%s-%d.txt", strings.ReplaceAll(t.Name(), "/", "-"), p.cmd.Process.Pid)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(p.out.String()), 0o600); err != nil {
			t.Log(err)
		}
	}
}

// signal ends the process and waits for its end.
func (p *process) signal(how os.Signal) {
	_ = p.cmd.Process.Signal(how) // it may have ended already
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// awaitLine waits for a line that starts with prefix and returns its rest.
func (p *process) awaitLine(t *testing.T, prefix string) string {
	t.Helper()
	var rest string
	await(t, 30*time.Second, "the line "+prefix, func() bool {
		lines := bufio.NewScanner(strings.NewReader(p.out.String()))
		for lines.Scan() {
			if after, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				rest = after
				return true
			}
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended before it was ready:\n%s", p.cmd.Path, p.out)
		default:
		}
		return false
	})
	return rest
}

// runCommand runs a program to its end and returns what it wrote and its exit code.
func runCommand(t *testing.T, home, stdin, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = ownEnv(home)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	forking.Lock()
	err := cmd.Start()
	forking.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	if cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("running %s %s: %v", name, strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// ownEnv is the environment with every place to write moved under home.
func ownEnv(home string) []string {
	return append(os.Environ(),
		"HOME="+home,
		"XDG_DATA_HOME="+filepath.Join(home, "data"),
		"XDG_CONFIG_HOME="+filepath.Join(home, "config"),
	)
}

// await polls until ok says true, and fails the test when that takes far longer
// than limit, which is what an idle machine may need.
func await(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(4 * limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for %s", 4*limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// forking is held while a program is started and while a port is tried: a
// child has its parent's listeners for a moment, and with them their ports.
var forking sync.Mutex

func closeAll(all ...io.Closer) {
	for _, one := range all {
		_ = one.Close()
	}
}

// tail is the end of a text, in lines, without those about the tests' own
// questions to the admin endpoint.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	all = slices.DeleteFunc(all, func(line string) bool { return strings.Contains(line, `"logger":"admin.api"`) })
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
