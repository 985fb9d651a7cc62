package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sidecars starts sidecars: the built binary here, the image in pod_test.go.
// data is the directory that outlives a restart.
type sidecars func(t *testing.T, data string, env ...string) *process

func theBinary(t *testing.T, data string, env ...string) *process {
	t.Helper()
	return startProcess(t, data, env, sidecarBinary(t), "oauth", "sidecar")
}

// sidecarBinary is that of the image, which "make test" builds, or else the gateway's.
func sidecarBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SIDECAR_BIN"); path != "" {
		return path
	}
	return caddyBinary(t)
}

// sidecar is one, with what it is told.
type sidecar struct {
	*process
	start       sidecars
	data        string
	env         []string
	url, health string
}

func newSidecar(t *testing.T, start sidecars, env ...string) *sidecar {
	t.Helper()
	port, health := freePort(t), freePort(t)
	s := &sidecar{
		start: start, data: t.TempDir(),
		url: at(port), health: at(health),
	}
	s.env = append([]string{
		fmt.Sprintf("LISTEN=127.0.0.1:%d", port), fmt.Sprintf("HEALTH_LISTEN=127.0.0.1:%d", health),
		"OAUTH_AUDIENCE=" + audience, "OAUTH_COPY_CLAIMS=sub>X-User-Id",
	}, env...)
	return s
}

// run starts it, and waits until it has this status at /ready.
func (s *sidecar) run(t *testing.T, status int) (took time.Duration) {
	t.Helper()
	began := time.Now()
	s.process = s.start(t, s.data, s.env...)
	await(t, 30*time.Second, fmt.Sprintf("/ready to answer %d", status), func() bool {
		select {
		case <-s.done:
			t.Fatalf("the sidecar ended at start:\n%s", s.out)
		default:
		}
		return s.ready() == status
	})
	return time.Since(began)
}

func (s *sidecar) ready() int {
	a, err := try(plainClient, s.health+"/ready", "")
	if err != nil {
		return 0
	}
	return a.status
}

// stop ends it as an orchestrator does.
func (s *sidecar) stop(t *testing.T) {
	t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, tail(s.out.String(), 20))
	}
}

func TestAWrongEnvironmentStartsNothingAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := theBinary(t, t.TempDir(), "OAUTH_ISSUER=http://login.example.com", "OAUTH_SCOPES=a", "OAUTH_SKEW=5m")
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("it ended with %d, want 1", code)
	}
	want := `caddy oauth sidecar: the environment is wrong:
  OAUTH_AUDIENCE is missing; it takes one or more audiences
  OAUTH_SKEW is "5m"; it takes a duration from 0s to 60s
  UPSTREAM is missing; it takes one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front
  OAUTH_SCOPES is not known; is it OAUTH_SCOPE?
  OAUTH_ISSUER: "http://login.example.com" is plain http; use https, or OAUTH_INSECURE_HTTP=true to take the risk; if it is a name that leads nowhere, set OAUTH_JWKS or OAUTH_METADATA
`
	if got := p.out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Each module that a configuration names has to be in the binary: of Caddy's own the
// image has few.
func TestTheSidecarHasWhatItsVariablesAskFor(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/goldens/sidecar/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no environments: ", err)
	}
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		given, configuration, _ := strings.Cut(string(text), "----------\n")
		if !strings.HasPrefix(configuration, "{") {
			continue // the environment is wrong
		}
		tried++
		run := func(stdin string, args ...string) string {
			t.Helper()
			cmd := exec.Command(sidecarBinary(t), args...)
			cmd.Dir, cmd.Stdin = "..", strings.NewReader(stdin)
			cmd.Env = append(strings.Split(strings.TrimSpace(given), "\n"), "HOME="+t.TempDir())
			out, err := cmd.Output()
			if err != nil {
				stderr := ""
				if exit, ok := errors.AsType[*exec.ExitError](err); ok {
					stderr = string(exit.Stderr)
				}
				t.Errorf("%s: %v: %v\n%s%s", filepath.Base(file), args, err, out, stderr)
			}
			return string(out)
		}
		run(run("", "oauth", "sidecar", "--print"), "validate", "--config", "-")
	}
	if tried < 3 {
		t.Errorf("%d environments were tried", tried)
	}
}

// The block of docs/sidecar.md, in a Caddyfile as an image gets it mounted.
func TestACaddyfileHasHealthToo(t *testing.T) {
	t.Parallel()
	issuer, up, g := startFakeIssuer(t), startUpstream(t), newGateway(t)
	page, err := os.ReadFile("../docs/sidecar.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```caddyfile\n:8081 {")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("no such block in docs/sidecar.md")
	}
	g.serve(g.site(g.port, "oauth "+issuer.url+" "+audience, up) + fmt.Sprintf("http://127.0.0.1:%d {", g.open) + block)
	await(t, 10*time.Second, "it to be ready", func() bool { // its server listens later than the site's
		a, err := try(plainClient, g.openURL()+"ready", "")
		return err == nil && a.status == http.StatusOK
	})
	for path, status := range map[string]int{"live": http.StatusOK, "metrics": http.StatusOK, "other": http.StatusNotFound} {
		if a := get(t, g.openURL()+path, ""); a.status != status {
			t.Errorf("/%s: %d, want %d", path, a.status, status)
		}
	}
}

func TestTheSidecar(t *testing.T) {
	t.Parallel()
	theSidecar(t, theBinary)
}

// theSidecar is what must hold of the binary and of the image.
func theSidecar(t *testing.T, start sidecars) {
	issuer := startOIDCProvider(t, "ES256")
	app := startNode(t, "app.mjs")
	token := issuer.token(t, "ES256", "orders:read")
	given := []string{"OAUTH_ISSUER=" + issuer.url, "UPSTREAM=" + app.url}
	t.Run("guards the application", func(t *testing.T) { sidecarGuards(t, start, token, given) })
	t.Run("has an admin socket for its user alone", func(t *testing.T) { sidecarAdmin(t, start, given) })
	t.Run("ends what it began", func(t *testing.T) { sidecarDrains(t, start, token, app.url, given) })
	t.Run("goes without a failed request", func(t *testing.T) { sidecarRolls(t, start, token, given) })
	t.Run("reads its files again", func(t *testing.T) { sidecarRereads(t, start, issuer, given) })
	token = issuer.token(t, "ES256", "orders:read") // the key has changed
	t.Run("is ready again while the issuer is down", func(t *testing.T) { sidecarRestarts(t, start, issuer, token, given) })
}

func sidecarGuards(t *testing.T, start sidecars, token string, given []string) {
	s := newSidecar(t, start, append(given, "OAUTH_SCOPE=orders:read")...)
	best, control := s.run(t, http.StatusOK), versionTook(t)
	for range 9 {
		if best <= time.Second {
			break
		}
		s.stop(t)
		best, control = min(best, s.run(t, http.StatusOK)), min(control, versionTook(t))
	}
	t.Logf("ready %v after its start; telling its version takes %v", best.Round(time.Millisecond), control.Round(time.Millisecond))
	if best > time.Second && best > 5*control {
		t.Errorf("ready %v after its start, want at most 1s; telling its version takes %v", best, control)
	}
	get(t, s.url+"/orders", token).wantPass(t, "service-ES256")
	if a := get(t, s.url+"/orders", ""); a.status != http.StatusUnauthorized || a.header.Get("Www-Authenticate") != "Bearer" {
		t.Errorf("without a token: %d %v", a.status, a.header)
	}
	if a := get(t, s.url+"/orders", token[:len(token)-8]+"AAAAAAAA"); a.status != http.StatusUnauthorized {
		t.Errorf("with a forged token: %d", a.status)
	}
	if a := get(t, s.health+"/live", ""); a.status != http.StatusOK || a.body != `{"status":"live"}`+"\n" {
		t.Errorf("/live: %d %s", a.status, a.body)
	}
	if a := get(t, s.health+"/metrics", ""); !strings.Contains(a.body, "caddy_oauth_verdicts_total") {
		t.Errorf("/metrics: %d %s", a.status, a.body)
	}
	if a := get(t, s.url+"/ready", ""); a.status != http.StatusUnauthorized {
		t.Errorf("health on the gateway's own listener: %d", a.status)
	}
	if a := get(t, s.health+"/orders", token); a.status != http.StatusNotFound {
		t.Errorf("the application on the health listener: %d", a.status)
	}
}

func sidecarAdmin(t *testing.T, start sidecars, given []string) {
	s := newSidecar(t, start, given...)
	s.env = append(s.env, "ADMIN=unix/"+s.inside("admin.sock"))
	s.run(t, http.StatusOK)
	socket := filepath.Join(s.data, "admin.sock")
	info, err := os.Stat(socket)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("the socket: %v, %v", info, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	if a, err := try(client, "http://localhost/config/", ""); err != nil || a.status != http.StatusOK {
		t.Errorf("the admin endpoint: %d, %v", a.status, err)
	}
}

// inside is the path of a file in its data, as it sees it.
func (s *sidecar) inside(name string) string {
	if os.Getenv(inPod) != "" {
		return "/data/" + name
	}
	return filepath.Join(s.data, name)
}

// Files that variables name are read again at a signal: here the keys.
func sidecarRereads(t *testing.T, start sidecars, issuer *realIssuer, given []string) {
	s := newSidecar(t, start, given...)
	s.env = append(s.env, "OAUTH_JWKS="+s.inside("keys.json"))
	keep := func() {
		if err := os.WriteFile(filepath.Join(s.data, "keys.json"), []byte(get(t, issuer.url+"/jwks", "").body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	s.run(t, http.StatusOK)
	old := issuer.token(t, "ES256", "orders:read")
	get(t, s.url+"/orders", old).wantPass(t, "service-ES256")
	issuer.rotate(t, "ES256", true)
	token := issuer.token(t, "ES256", "orders:read")
	if a := get(t, s.url+"/orders", token); a.status != http.StatusUnauthorized {
		t.Fatalf("a key that is not in the file: %d", a.status)
	}
	keep()
	if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	await(t, 10*time.Second, "the new key", func() bool { return get(t, s.url+"/orders", token).status == http.StatusOK })
	if a := get(t, s.url+"/orders", old); a.status != http.StatusUnauthorized {
		t.Errorf("the old key: %d", a.status)
	}
	s.stop(t)
}

// Requests that run when it is told to end are answered.
func sidecarDrains(t *testing.T, start sidecars, token, app string, given []string) {
	s := newSidecar(t, start, given...)
	s.run(t, http.StatusOK)
	before := get(t, app+"/_count", "").body
	var answers sync.Map
	var all sync.WaitGroup
	const slow = 8
	for n := range slow {
		all.Go(func() {
			a, err := try(newClient(30*time.Second), s.url+"/slow?ms=1500", token)
			answers.Store(n, fmt.Sprint(a.status, err))
		})
	}
	want := fmt.Sprint(atoi(t, before) + slow)
	await(t, 10*time.Second, "the requests to reach the application", func() bool { return get(t, app+"/_count", "").body == want })
	s.stop(t)
	all.Wait()
	answers.Range(func(n, got any) bool {
		if got != "200 <nil>" {
			t.Errorf("request %v: %v", n, got)
		}
		return true
	})
}

func atoi(t *testing.T, text string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func sidecarRestarts(t *testing.T, start sidecars, issuer *realIssuer, token string, given []string) {
	s := newSidecar(t, start, given...)
	s.run(t, http.StatusOK)
	s.stop(t)
	other := newSidecar(t, start, given...)
	issuer.proc.signal(syscall.SIGTERM)
	s.run(t, http.StatusOK)
	get(t, s.url+"/orders", token).wantPass(t, "service-ES256")
	if a := get(t, s.url+"/orders", ""); a.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", a.status)
	}
	// One that has never seen the issuer says what it lacks, and fails closed.
	other.run(t, http.StatusServiceUnavailable)
	await(t, 10*time.Second, "a reason", func() bool {
		return strings.Contains(get(t, other.health+"/ready", "").body, `"detail":"no keys of `+issuer.url+`","issuers":[{"issuer":"`+issuer.url+`","keys":false,"error":"`)
	})
	if a := get(t, other.url+"/orders", token); a.status != http.StatusServiceUnavailable {
		t.Errorf("with no keys: %d", a.status)
	}
	other.stop(t)
	other.env = append(other.env, "READY_GRACE=1s")
	other.run(t, http.StatusServiceUnavailable)
	await(t, 10*time.Second, "the grace period to pass", func() bool { return other.ready() == http.StatusOK })
	if a := get(t, other.health+"/ready", ""); !strings.Contains(a.body, "ready after a grace period of 1s, without keys of "+issuer.url) {
		t.Errorf("after the grace period: %s", a.body)
	}
	if a := get(t, other.url+"/orders", token); a.status != http.StatusServiceUnavailable {
		t.Errorf("with no keys after the grace period: %d", a.status)
	}
}
