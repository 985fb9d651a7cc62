package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// caddyBinary is the gateway under test. It must be there: a suite that skips
// itself proves nothing.
func caddyBinary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CADDY_BIN")
	if path == "" {
		path = filepath.Join("..", "bin", "caddy")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the gateway is not built: %v (make builds it; CADDY_BIN names another one)", err)
	}
	return path
}

// gateway is a real Caddy with the module inside, in a directory of its own.
type gateway struct {
	t       *testing.T
	binary  string
	home    string
	storage string
	config  string // the path of its Caddyfile
	admin   string // host:port
	port    int    // of the first site
	tlsPort int    // for a site with TLS, over TCP and UDP
	open    int    // of a site without oauth; where Caddy believes port 80 to be
	options string // more global options
	env     []string
	proc    *process
	procs   []*process // all that were started, proc is the last one
}

// newGateway prepares a gateway and starts nothing yet.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	home := t.TempDir()
	return &gateway{
		t:       t,
		binary:  caddyBinary(t),
		home:    home,
		storage: filepath.Join(home, "storage"),
		config:  filepath.Join(home, "Caddyfile"),
		admin:   fmt.Sprintf("127.0.0.1:%d", freePort(t)),
		port:    freePort(t),
		tlsPort: freePort(t),
		open:    freePort(t),
	}
}

// startGateway runs one plain-http site: the oauth directive given, in front of up.
func startGateway(t *testing.T, up *upstream, oauth string) *gateway {
	t.Helper()
	g := newGateway(t)
	g.serve(g.site(g.port, oauth, up))
	return g
}

// site is the text of one plain-http site with access logs. Caddy waits three
// seconds for a connection to an upstream, which is too short for thousands of
// requests at once on a busy machine.
func (g *gateway) site(port int, oauth string, up *upstream) string {
	return fmt.Sprintf(`
http://127.0.0.1:%d {
	log
	%s
	reverse_proxy %s {
		transport http {
			dial_timeout 30s
		}
	}
}
`, port, oauth, up.address())
}

// write puts the Caddyfile in place: global options of our own, then the sites.
func (g *gateway) write(sites string) {
	g.t.Helper()
	text := fmt.Sprintf(`{
	admin %s
	default_bind 127.0.0.1
	http_port %d
	https_port %d
	auto_https disable_redirects
	skip_install_trust
	local_certs
	grace_period 5s
	storage file_system {
		root %s
	}
	log {
		format json
	}
	%s
}
%s`, g.admin, g.open, g.tlsPort, g.storage, g.options, sites)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// serve writes the Caddyfile and starts.
func (g *gateway) serve(sites string) {
	g.t.Helper()
	g.write(sites)
	g.start()
}

func (g *gateway) start() {
	g.t.Helper()
	g.proc = startProcess(g.t, g.home, g.env, g.binary, "run", "--config", g.config, "--adapter", "caddyfile")
	g.procs = append(g.procs, g.proc)
	address := fmt.Sprintf("127.0.0.1:%d", g.port)
	await(g.t, 30*time.Second, "the gateway to listen", func() bool {
		select {
		case <-g.proc.done:
			g.t.Fatalf("the gateway ended at start:\n%s", tail(g.proc.out.String(), 40))
		default:
		}
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		closeAll(conn)
		return true
	})
}

func (g *gateway) stop() { g.proc.signal(syscall.SIGTERM) }
func (g *gateway) kill() { g.proc.signal(syscall.SIGKILL) }

// command runs caddy with these arguments.
func (g *gateway) command(args ...string) (stdout, stderr string, code int) {
	g.t.Helper()
	return runCommand(g.t, g.home, "", g.binary, args...)
}

// with runs a command of caddy that reads the written Caddyfile.
func (g *gateway) with(args ...string) (stdout, stderr string, code int) {
	g.t.Helper()
	return g.command(append(args, "--config", g.config, "--adapter", "caddyfile")...)
}

// tryReload hands the written Caddyfile to the running gateway, as an operator does.
func (g *gateway) tryReload(args ...string) (stderr string, code int) {
	g.t.Helper()
	_, stderr, code = g.with(append([]string{"reload", "--address", g.admin}, args...)...)
	return stderr, code
}

func (g *gateway) reload(args ...string) {
	g.t.Helper()
	if stderr, code := g.tryReload(args...); code != 0 {
		g.t.Fatalf("caddy reload failed with %d:\n%s", code, stderr)
	}
}

func (g *gateway) url(path string) string { return at(g.port) + path }

func (g *gateway) openURL() string { return at(g.open) + "/" }

// at is the address of a plain-http site.
func at(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// adminGet reads an admin endpoint. A reload puts another server in its place, and
// what is asked just then gets no answer.
func (g *gateway) adminGet(path string) (said string) {
	g.t.Helper()
	await(g.t, 20*time.Second, "the admin endpoint to answer "+path, func() bool {
		resp, err := http.Get("http://" + g.admin + path)
		if err != nil {
			return false
		}
		defer closeAll(resp.Body)
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			g.t.Fatalf("the admin endpoint answered %s with %d: %s", path, resp.StatusCode, body)
		}
		said = string(body)
		return err == nil
	})
	return said
}

// trust is the gateway's own certificate authority and nothing else, once the site
// with TLS has a certificate of it.
func (g *gateway) trust() *tls.Config {
	g.t.Helper()
	trust := &tls.Config{RootCAs: g.localRoots(), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	await(g.t, 20*time.Second, "the certificate of the local authority", func() bool {
		conn, err := tls.Dial("tcp", fmt.Sprint("localhost:", g.tlsPort), trust)
		if err == nil {
			closeAll(conn)
		}
		return err == nil
	})
	return trust
}

// localRoots trusts the gateway's own certificate authority and nothing else.
func (g *gateway) localRoots() *x509.CertPool {
	g.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(g.adminGet("/pki/ca/local/certificates"))) {
		g.t.Fatal("the local authority has no certificate")
	}
	return pool
}

// idleGoroutines is how many the gateway has when no connection is open but
// the one that asks.
func (g *gateway) idleGoroutines(up *upstream) int {
	g.t.Helper()
	plainClient.CloseIdleConnections()
	up.server.CloseClientConnections()
	match := regexp.MustCompile(`goroutine profile: total (\d+)`).FindStringSubmatch(g.adminGet("/debug/pprof/goroutine?debug=1"))
	if match == nil {
		g.t.Fatal("no goroutine count in the profile")
	}
	count, _ := strconv.Atoi(match[1])
	return count
}

// metrics are the gateway's own samples, by name and labels.
func (g *gateway) metrics() map[string]float64 {
	g.t.Helper()
	samples := map[string]float64{}
	for line := range strings.Lines(g.adminGet("/metrics")) {
		cut := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if cut < 0 || !strings.HasPrefix(line, "caddy_oauth_") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[cut+1:]), 64)
		if err != nil {
			g.t.Fatalf("metric line %q: %v", line, err)
		}
		samples[line[:cut]] = value
	}
	return samples
}

// logLines are the gateway's JSON log lines for which keep says true.
func (g *gateway) logLines(keep func(map[string]any) bool) []map[string]any {
	var kept []map[string]any
	for line := range strings.Lines(g.proc.out.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && keep(entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// hasStoredKeys reports whether anything but Caddy's own files is in its storage.
func (g *gateway) hasStoredKeys() bool {
	found := false
	_ = filepath.WalkDir(g.storage, func(path string, entry os.DirEntry, err error) error {
		rest, _ := filepath.Rel(g.storage, path)
		if err != nil || entry.IsDir() || strings.HasPrefix(rest, "locks") || strings.HasPrefix(rest, "pki") {
			return nil
		}
		switch entry.Name() {
		case "instance.uuid", "last_clean.json":
		default:
			found = found || !strings.HasPrefix(entry.Name(), ".")
		}
		return nil
	})
	return found
}

// bearer is a request with a token.
func (g *gateway) bearer(token string) answer {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.url("/"), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	a, err := send(plainClient, req)
	if err != nil {
		g.t.Fatal(err)
	}
	return a
}
