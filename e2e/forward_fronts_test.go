package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// recipe is one fenced block of docs/forward-auth.md: what is tested is what
// the page tells people to write.
func recipe(t *testing.T, language, mark string) string {
	t.Helper()
	return recipeOf(t, "forward-auth.md", language, mark)
}

// recipeOf is the same of any page.
func recipeOf(t *testing.T, page, language, mark string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if block[1] == language && strings.Contains(block[2], mark) {
			return block[2]
		}
	}
	t.Fatalf("docs/%s has no block of %s with %q", page, language, mark)
	return ""
}

// change replaces text, each of which must be there.
func change(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// front is a proxy that asks the gateway at judge and forwards to upstream.
type front struct {
	name     string
	statuses bool // it needs 401 403
	gone     int  // what it answers while no gateway judges
	run      func(t *testing.T, port int, judge, upstream string)
}

var fronts = []front{
	{"nginx", true, http.StatusServiceUnavailable, runNginx},
	{"haproxy", false, http.StatusServiceUnavailable, runHAProxy},
	{"caddy", false, http.StatusBadGateway, runFrontCaddy},
}

// start runs the proxy and returns its address.
func (f front) start(t *testing.T, judge, upstream string) string {
	t.Helper()
	port := freePort(t)
	f.run(t, port, judge, upstream)
	awaitPort(t, f.name, port)
	return at(port)
}

func awaitPort(t *testing.T, name string, port int) {
	t.Helper()
	await(t, time.Minute, name+" to listen", func() bool {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			closeAll(conn)
		}
		return err == nil
	})
}

func installed(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: install Debian's package %s", name, pkg)
	return ""
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func runNginx(t *testing.T, port int, judge, upstream string) {
	t.Helper()
	serveNginx(t, change(t, recipe(t, "nginx", "auth_request"), "127.0.0.1:8080", fmt.Sprint("127.0.0.1:", port),
		"127.0.0.1:9091", judge, "127.0.0.1:3000", upstream))
}

// serveNginx runs nginx with a recipe.
func serveNginx(t *testing.T, text string) {
	t.Helper()
	program, dir := installed(t, "nginx", "nginx-light"), t.TempDir()
	// What an installation sets elsewhere: where to write.
	text = "pid nginx.pid;\ndaemon off;\nmaster_process off;\nerror_log stderr info;\n" +
		strings.Replace(text, "http {\n", "http {\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\n"+
			"fastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n", 1)
	startProcess(t, dir, nil, program, "-p", dir, "-e", "stderr", "-c", writeFile(t, dir, "nginx.conf", text))
}

func runHAProxy(t *testing.T, port int, judge, upstream string) {
	t.Helper()
	serveHAProxy(t, change(t, recipe(t, "haproxy", "lua-load"),
		"127.0.0.1:8080", fmt.Sprint("127.0.0.1:", port), "127.0.0.1:3000", upstream),
		change(t, recipe(t, "lua", "httpclient"), "127.0.0.1:9091", judge))
}

// serveHAProxy runs HAProxy with a recipe and its script.
func serveHAProxy(t *testing.T, text, lua string) {
	t.Helper()
	program, dir := installed(t, "haproxy", "haproxy"), t.TempDir()
	script := writeFile(t, dir, "oauth.lua", lua)
	startProcess(t, dir, nil, program, "-db", "-f", writeFile(t, dir, "haproxy.cfg", change(t, text, "/etc/haproxy/oauth.lua", script)))
}

func runFrontCaddy(t *testing.T, port int, judge, upstream string) {
	t.Helper()
	g := newGateway(t)
	g.port = port
	g.serve(change(t, recipe(t, "caddyfile", "forward_auth 127"), "orders.example.com", fmt.Sprint("http://127.0.0.1:", port),
		"127.0.0.1:9091", judge, "127.0.0.1:3000", upstream))
}

// startJudge runs caddyfile/forward-auth.Caddyfile with these issuers.
func startJudge(t *testing.T, statuses bool, f, down *fakeIssuer) *gateway {
	t.Helper()
	example, err := os.ReadFile("../caddyfile/forward-auth.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	text := change(t, string(example), ":9091 {", fmt.Sprintf(":%d {\n\tlog", g.port),
		"https://login.example.com api://orders {", fmt.Sprintf("%s %s {\n\t\tissuer %s {\n\t\t\taudience %[2]s\n\t\t}", f.url, audience, down.url))
	if !statuses {
		text = change(t, text, "statuses 401 403", "")
	}
	g.serve(text)
	return g
}
