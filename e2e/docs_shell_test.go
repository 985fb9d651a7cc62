package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A reader pastes what stands in the pages. So each shell block of them is run
// here, against a real deployment: the names in it are replaced by those of
// this machine, and every command has to succeed. Of curl also the status
// counts: the one that its comment promises ("# 401, …"), or else 2xx.

// shellBlock is one fenced block of a page.
type shellBlock struct{ page, text string }

var shellFence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

func shellBlocks(t *testing.T) (all []shellBlock) {
	t.Helper()
	pages := []string{"../e2e/README.md", "../bench/README.md"}
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages: %v", err)
		}
		pages = append(pages, found...)
	}
	pages = slices.DeleteFunc(pages, func(page string) bool { return page == keycloakPage }) // it has its own test, with a Keycloak
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shellFence.FindAllStringSubmatch(string(text), -1) {
			all = append(all, shellBlock{strings.TrimPrefix(page, "../"), m[1]})
		}
	}
	return all
}

// notRun are the blocks that cannot be, by their first words, and why.
var notRun = []struct{ begins, why string }{
	{"xcaddy build", "xcaddy is not among the tools of the tests"},
	{"caddy run", "it never ends; every other test runs it"},
	{"(cd .. && go build", "it would run these tests from within themselves"},
	{"./setup.sh", "it takes half an hour"},
	{"SOAK=1", "it takes ten minutes, and is one of these tests"},
	{"hydra create client", "its words are those of the client in the tests of Hydra"},
}

func TestTheShellBlocksOfTheDocumentationRun(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ran, left := 0, map[string]bool{}
	for _, block := range shellBlocks(t) {
		skip := false
		for _, one := range notRun {
			if strings.HasPrefix(block.text, one.begins) {
				skip, left[one.begins] = true, true
			}
		}
		if skip {
			continue
		}
		ran++
		first, _, _ := strings.Cut(block.text, "#")
		t.Run(block.page+"/"+strings.TrimSpace(first), func(t *testing.T) { d.paste(t, block) })
	}
	if ran < 12 {
		t.Errorf("only %d blocks were run", ran)
	}
	for _, one := range notRun {
		if !left[one.begins] {
			t.Errorf("no block begins with %q any more", one.begins)
		}
	}
}

// deployment is what the pages speak of: an issuer, a running gateway with its
// token endpoint, a sidecar with its socket, and a shell beside them.
type deployment struct {
	*rig
	dir  string // where the shell is, and what stands for /etc/caddy
	path string
	here *strings.Replacer
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	r := newRig(t, settings{life: 600})
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "docs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &deployment{rig: r, dir: dir, path: filepath.Join(dir, "bin")}
	d.tools()
	newToken := func() string {
		token := askToken(t, r.as.url+"/token", "robot", r.robotSecret, url.Values{"grant_type": {"client_credentials"}})
		r.secrets.add(kindAccessToken, token)
		return token
	}
	token := newToken()
	writeFile(t, dir, "token.txt", token)
	writeFile(t, dir, "stolen.txt", newToken()) // it is taken back
	writeFile(t, dir, "answer.json", `{"access_token":"`+token+`","token_type":"Bearer"}`)
	writeFile(t, dir, "keys.json", get(t, r.as.url+"/jwks", "").body)
	text, err := os.ReadFile(r.g.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "Caddyfile", string(text))
	socket := filepath.Join(dir, "admin.sock")
	side := newSidecar(t, theBinary, "OAUTH_ISSUER="+r.tap.url, "UPSTREAM="+r.api.address(), "ADMIN=unix/"+socket)
	side.run(t, http.StatusOK)
	d.here = strings.NewReplacer(
		"https://login.example.com", r.tap.url,
		"https://api.example.com/oauth/token", r.g.url("/token"),
		"https://api.example.com", r.g.url(""),
		"host=api.example.com", "host=127.0.0.1",
		"host=localhost:8443", strings.Replace(r.g.url(""), "http://", "host=", 1),
		"client_secret=…", "client_secret="+r.robotSecret,
		"localhost:2019", r.g.admin,
		"unix//run/caddy/admin.sock", "unix/"+socket,
		"/run/oauth/admin.sock", socket,
		"/etc/caddy/", dir+"/",
		// What builds is looked up and not done: that takes minutes.
		"make ", "make -n -C "+root+" ",
		"go build -tags nobadger,nomysql,nopgx -o bin/caddy ", "go -C "+root+" list -tags nobadger,nomysql,nopgx ",
	)
	return d
}

// tools are the caddy that the pages call, and a curl that tells its status.
func (d *deployment) tools() {
	d.t.Helper()
	if err := os.Mkdir(d.path, 0o700); err != nil {
		d.t.Fatal(err)
	}
	curl := installed(d.t, "curl", "curl")
	for name, script := range map[string]string{
		"caddy": fmt.Sprintf("exec %s \"$@\"", d.g.binary),
		"curl":  fmt.Sprintf("exec %s -sS -w '\\n<<status %%{http_code}>>\\n' \"$@\"", curl),
	} {
		if err := os.WriteFile(filepath.Join(d.path, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			d.t.Fatal(err)
		}
	}
}

var (
	promised = regexp.MustCompile(`# ([1-5]\d\d)\b`)
	status   = regexp.MustCompile(`<<status (\d+)>>`)
)

// paste runs a block as a reader who pastes it into one shell.
func (d *deployment) paste(t *testing.T, block shellBlock) {
	t.Helper()
	const mark = "<<next>>\n"
	var script strings.Builder
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(block.text, "\\\n", " ")), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
	const sref = "0LHG13G2B7BE1RUG"
	here := func(line string) string { return d.here.Replace(line) }
	if strings.Contains(block.text, sref) {
		ours := d.newGrant() // to look at and to end
		here = func(line string) string { return strings.ReplaceAll(d.here.Replace(line), sref, ours) }
	}
	for _, line := range lines {
		fmt.Fprintf(&script, "echo '%s'\n%s\n", strings.TrimSpace(mark), here(line))
	}
	// The admin endpoint that commands ask unless told otherwise is this test's.
	args := []string{"GOMODCACHE=" + goEnv(t, "GOMODCACHE"), "GOCACHE=" + goEnv(t, "GOCACHE"), "PATH=" + d.path + ":" + os.Getenv("PATH"), "CADDY_ADMIN=" + d.g.admin, "sh", "-eu", "-c", "cd " + d.dir + "\n" + script.String()}
	stdout, stderr, code := runCommand(t, d.dir, "", "env", args...)
	answers := strings.Split(stdout, mark)[1:]
	if code != 0 || len(answers) != len(lines) {
		t.Fatalf("%s: it ends with %d after %d of %d lines:\n%s\n%s", block.page, code, len(answers), len(lines), tail(stdout, 10), tail(stderr, 10))
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		want, got := promised.FindStringSubmatch(line), status.FindStringSubmatch(answers[i])
		if got == nil || want != nil && got[1] != want[1] || want == nil && got[1][0] != '2' {
			t.Errorf("%s: %s\ngot\n%s", block.page, line, tail(answers[i], 15))
		}
	}
}

// newGrant begins one, and answers its name in the logs.
func (d *deployment) newGrant() string {
	before := d.grants()
	d.runCredentials()
	for _, sref := range d.grants() {
		if !slices.Contains(before, sref) {
			return sref
		}
	}
	d.t.Fatal("no new grant")
	return ""
}

// goEnv is where Go keeps what it has, wherever the shell's home is.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
