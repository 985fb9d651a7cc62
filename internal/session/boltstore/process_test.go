package boltstore

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

const childRole, childPath = "BOLTSTORE_TEST_CHILD", "BOLTSTORE_TEST_PATH"

// The test binary is also the other process.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		if err := child(role, os.Getenv(childPath)); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(role, path string) error {
	s, err := Open(path, time.Now)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println("open")
	if role == "hold" {
		_, err = io.Copy(io.Discard, os.Stdin) // until the parent lets go
		return err
	}
	if role == "scramble" {
		return scramble(s)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1_000_000 {
				row := newRow(time.Now().Add(time.Hour))
				next := row
				next.Generation++
				if s.Create(context.Background(), row) != nil || s.CompareAndSwap(context.Background(), row.Version(), next) != nil {
					panic("a write failed")
				}
				mu.Lock()
				fmt.Println(hex.EncodeToString(row.Key[:]))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return nil
}

// process starts the other process, which ends with the test.
func process(t *testing.T, role, path string) (cmd *exec.Cmd, in io.Closer, out *bufio.Scanner) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childPath+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewScanner(pipe)
}

func TestAFileThatAnotherProcessHoldsIsAnErrorAfterASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	cmd, in, out := process(t, "hold", path)
	if !out.Scan() || out.Text() != "open" {
		t.Fatalf("%q, %v", out.Text(), out.Err())
	}
	start := time.Now()
	_, err := Open(path, time.Now)
	took := time.Since(start)
	wantError(t, err, ErrHeld)
	if err != nil && (!strings.Contains(err.Error(), "another Caddy") || !strings.Contains(err.Error(), path)) {
		t.Errorf("the error does not help: %v", err)
	}
	if took < lockWait/2 || took > 20*lockWait {
		t.Errorf("it took %v", took)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	open1(t, path, time.Now)
}

// A process that is ending still gets the time to do so.
func TestAFileThatIsLetGoOfInTimeIsOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	s := open1(t, path, time.Now)
	opened := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		second, err := Open(path, time.Now)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	<-started
	closed(t, s)
	wantError(t, <-opened, nil)
}

func TestOfManyThatMakeTheFileOneHoldsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "grants.db")
	var all sync.WaitGroup
	stores := make(chan *Store, 8)
	for range 8 {
		all.Go(func() {
			switch s, err := Open(path, time.Now); {
			case err == nil:
				stores <- s
			case !errors.Is(err, ErrHeld):
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(stores)
	n := 0
	for s := range stores {
		n++
		closed(t, s)
	}
	if n != 1 {
		t.Errorf("%d hold it", n)
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.db")
	var acknowledged []string
	for round := range 4 {
		cmd, _, out := process(t, "write", path)
		if !out.Scan() || out.Text() != "open" {
			t.Fatalf("%q, %v", out.Text(), out.Err())
		}
		killAt := 20 + 37*round
		for n := 0; out.Scan(); n++ {
			if len(out.Text()) == 64 { // or the kill cut it off
				acknowledged = append(acknowledged, out.Text())
			}
			if n == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the child was not killed")
		}
		s := open1(t, path, time.Now)
		for _, id := range acknowledged {
			var key session.Key
			if _, err := hex.Decode(key[:], []byte(id)); err != nil {
				t.Fatal(err)
			}
			if row, err := s.Load(t.Context(), key); err != nil || row.Generation != 2 {
				t.Errorf("round %d: %s: generation %d, %v", round, id, row.Generation, err)
			}
		}
		wantError(t, s.Each(t.Context(), func(session.Row) bool { return true }), nil)
		closed(t, s)
	}
	if len(acknowledged) < 80 {
		t.Errorf("only %d writes", len(acknowledged))
	}
}
