package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startDemo runs the demo at a free port, with tokens that live 10 seconds. It
// returns what turns a text about the demo into one about this run.
func startDemo(t *testing.T) (adjust *strings.Replacer) {
	t.Helper()
	here := freeAddress(t)
	adjust = strings.NewReplacer(address, here, "lifetime 15s", "lifetime 10s", "sleep 16", "sleep 11", "LIFETIME = 15", "LIFETIME = 10")

	config, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- run(ctx, []byte(adjust.Replace(string(config))), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := checkFree(here); err != nil {
			t.Errorf("after the end: %v", err)
		}
		if _, err := os.Stat(os.Getenv("DEMO_STORAGE")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after the end the storage is there: %v", err)
		}
	})
	return adjust
}

// freeAddress finds a loopback address below the range that the system hands
// out to others. Caddy shares its ports, so that this process holds the one
// before it meanwhile: another copy of this test then chooses another pair.
func freeAddress(t *testing.T) string {
	t.Helper()
	for port := 30000; port < 32000; port += 2 {
		held, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		here := fmt.Sprintf("127.0.0.1:%d", port+1)
		if checkFree(here) == nil {
			t.Cleanup(func() { _ = held.Close() })
			return here
		}
		_ = held.Close()
	}
	t.Fatal("no free address")
	return ""
}

func TestTheDemoDoesWhatItSays(t *testing.T) {
	adjust := startDemo(t)
	t.Run("the printed lines", func(t *testing.T) {
		t.Parallel()
		checkGuide(t, adjust.Replace(guide))
	})
	t.Run("the Python example", func(t *testing.T) {
		t.Parallel()
		checkPython(t, adjust)
	})
}

// checkGuide runs every command of the guide in one shell, as a reader would,
// and compares the status that each step promises.
func checkGuide(t *testing.T, guide string) {
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the guide needs %s: %v", tool, err)
		}
	}
	status := regexp.MustCompile(`\b[2-5]\d\d\b`)
	steps := regexp.MustCompile(`(?m)^\d+\. `).Split(guide, -1)[1:]
	var script strings.Builder
	for _, step := range steps {
		script.WriteString("echo '<<step>>'\n")
		for line := range strings.SplitSeq(step, "\n") {
			if strings.HasPrefix(line, "  ") {
				script.WriteString(line + "\n")
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := strings.Split(string(out), "<<step>>\n")[1:]
	if len(answers) != len(steps) || len(steps) < 10 {
		t.Fatalf("%d steps and %d answers", len(steps), len(answers))
	}
	besides := map[int]string{
		1: "Bearer", 2: `"refresh_token":"ogr_`, 3: `"user":"demo"`, 4: `"user":"demo"`, 5: "invalid_token",
		6: "has expired", 7: `"user":"demo"`, 8: `"user":"demo"`, 9: "not an access token", 10: `"user":"demo"`,
		11: "insufficient_scope", 12: `"user":"admin"`, 13: `scope="api:read"`, 14: "invalid_scope",
		15: "invalid_client", 16: "its grant has ended", 17: "/other",
	}
	for i, step := range steps {
		prose, _, _ := strings.Cut(step, "\n")
		want := besides[i+1]
		if code := status.FindString(prose); code != "" {
			if !strings.HasPrefix(answers[i], "HTTP/1.1 "+code+" ") {
				t.Errorf("step %d promises %s, got\n%s", i+1, code, answers[i])
			}
		} else if i+1 != 2 {
			t.Errorf("step %d promises no status: %s", i+1, prose)
		}
		if !strings.Contains(answers[i], want) {
			t.Errorf("step %d: no %s in\n%s", i+1, want, answers[i])
		}
	}
}

// checkPython runs the example, which asserts its answers itself.
func checkPython(t *testing.T, adjust *strings.Replacer) {
	python := ""
	for _, candidate := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(candidate, "-c", "import requests").Run() == nil {
			python = candidate
		}
	}
	if python == "" {
		t.Skip("the example needs python3 with requests")
	}
	script, err := os.ReadFile("../../examples/lifecycle.py")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-")
	cmd.Stdin = strings.NewReader(adjust.Replace(string(script)))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAPortInUseIsAClearError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	want := fmt.Sprintf("%s is in use: stop the program", listener.Addr())
	if err := checkFree(listener.Addr().String()); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestTheDemoRunsAtAnotherPort(t *testing.T) {
	for port, want := range map[string]string{"": address, "9000": "127.0.0.1:9000", "0": "", "65536": "", "nine": "", "80:80": ""} {
		at, err := addressOf(port)
		if at != want || (err == nil) != (want != "") || err != nil && !strings.Contains(err.Error(), "make demo PORT=9000") {
			t.Errorf("%q: %q, %v", port, at, err)
		}
	}
}

func TestOutsideTheCheckoutItSaysWhereToRun(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := demo(t.Context()); err == nil || !strings.Contains(err.Error(), "from the top of the checkout") {
		t.Errorf("got %v", err)
	}
}

func TestTheAPIAnswersJSONWhateverTheHeadersSay(t *testing.T) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/resource", nil)
	r.Header.Set("X-User-Id", `a"b\c`)
	serveAPI(w, r)
	want := `{"resource":"/api/resource","caller":{"user":"a\"b\\c","groups":"","issuer":""}}` + "\n"
	if w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
}
