package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// keycloakVersion is the one that issuers/keycloak/setup.sh gets.
const keycloakVersion = "26.7.3"

// keycloak is the one server of all tests: it takes seconds to start, and half a
// gigabyte. It starts beside the first tests, and its own wait for it.
var keycloak struct {
	begin sync.Once
	ready chan struct{} // closed when it answers, or when it never will
	err   error
	home  string
	proc  *process
	url   string
}

func init() { keycloak.ready = make(chan struct{}) }

var errNoKeycloak = errors.New("Keycloak is not on this machine: issuers/keycloak/setup.sh gets it, or says why not")

// foreseeKeycloak starts it if a test that was asked for will want it.
func foreseeKeycloak(asked string) {
	first, _, _ := strings.Cut(asked, "/")
	pattern, err := regexp.Compile(first)
	if err != nil {
		return // the test package says so
	}
	files, _ := filepath.Glob("*_test.go")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w*Keycloak\w*)\(`).FindAllSubmatch(text, -1) {
			if pattern.Match(m[1]) {
				go beginKeycloak()
				return
			}
		}
	}
}

func beginKeycloak() {
	keycloak.begin.Do(func() {
		defer close(keycloak.ready)
		keycloak.err = startKeycloak()
	})
}

// startKeycloak runs the built distribution in a home of its own. Its address is
// the one that it is asked at, as in development mode; it listens on loopback alone.
func startKeycloak() (err error) {
	servers := os.Getenv("E2E_SERVERS")
	if servers == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		servers = filepath.Join(cache, "caddyoauth-e2e")
	}
	there := filepath.Join(servers, "keycloak-"+keycloakVersion+"-ssf")
	if _, err := os.Stat(filepath.Join(there, "ready")); err != nil {
		return errNoKeycloak
	}
	if keycloak.home, err = os.MkdirTemp("", "keycloak"); err != nil {
		return err
	}
	database, err := os.ReadFile(filepath.Join(there, "data", "h2", "keycloakdb.mv.db"))
	if err != nil {
		return err
	}
	realm, err := os.ReadFile(filepath.Join("issuers", "keycloak", "realm.json"))
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"h2/keycloakdb.mv.db": database, "import/realm.json": realm} {
		path := filepath.Join(keycloak.home, "data", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(there, "lib"), filepath.Join(keycloak.home, "lib")); err != nil {
		return err
	}
	keycloak.proc, err = launch(keycloak.home, nil, filepath.Join(there, "java"), keycloakArguments(there, keycloak.home)...)
	if err != nil {
		return err
	}
	listening := regexp.MustCompile(`Listening on: (http://127\.0\.0\.1:\d+)`)
	for deadline := time.Now().Add(8 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if m := listening.FindStringSubmatch(keycloak.proc.out.String()); m != nil {
			keycloak.url = m[1]
			return nil
		}
		select {
		case <-keycloak.proc.done:
			return fmt.Errorf("Keycloak ended at start:\n%s", tail(keycloak.proc.out.String(), 30))
		default:
		}
	}
	return fmt.Errorf("Keycloak does not start:\n%s", tail(keycloak.proc.out.String(), 30))
}

// keycloakArguments are those of bin/kc.sh, with less memory and a compiler that
// is ready at once. The program is called without that script, so that it ends
// with the tests, however they end.
func keycloakArguments(there, home string) []string {
	opened := []string{"java.util", "java.util.concurrent", "java.security", "java.lang"}
	args := []string{
		"-Xms64m", "-Xmx448m", "-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError",
		"-Dfile.encoding=UTF-8", "-Duser.language=en", "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
		"-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
		"-Dkc.home.dir=" + home, "-Djboss.server.config.dir=" + filepath.Join(there, "conf"), "--enable-native-access=ALL-UNNAMED",
	}
	for _, name := range opened {
		args = append(args, "--add-opens=java.base/"+name+"=ALL-UNNAMED")
	}
	return append(args, "-cp", filepath.Join(there, "lib", "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
		"start", "--optimized", "--import-realm", "--cache=local", "--http-enabled=true", "--http-host=127.0.0.1", "--http-port=0", "--hostname-strict=false")
}

// endKeycloak comes after the last test. What it knows is thrown away, so nothing
// has to be put in order first.
func endKeycloak() {
	keycloak.begin.Do(func() { close(keycloak.ready) }) // it was never wanted
	<-keycloak.ready
	if keycloak.proc != nil {
		keycloak.proc.signal(syscall.SIGKILL)
	}
	if keycloak.home != "" {
		_ = os.RemoveAll(keycloak.home)
	}
}

// realm is one of Keycloak, at an address of its own.
type realm struct {
	t    *testing.T
	name string
	base string // of Keycloak
	url  string // the issuer
}

// keycloakRealm is the realm of issuers/keycloak/realm.json, which tests share: what
// they change in it is their own.
func keycloakRealm(t *testing.T) *realm {
	t.Helper()
	beginKeycloak()
	<-keycloak.ready
	if errors.Is(keycloak.err, errNoKeycloak) && os.Getenv("CI") == "" {
		t.Skip(keycloak.err)
	}
	if keycloak.err != nil {
		t.Fatal(keycloak.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of Keycloak's output:\n%s", tail(keycloak.proc.out.String(), 15))
		}
	})
	return &realm{t: t, name: "main", base: keycloak.url, url: keycloak.url + "/realms/main"}
}

// admin asks the administration API of the realm ("" for that of all realms).
func (r *realm) admin(method, path string, body, into any) {
	r.t.Helper()
	all := &realm{t: r.t, url: r.base + "/realms/master"}
	token := all.token(url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {"admin"}})
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequest(method, r.base+"/admin/realms"+path, strings.NewReader(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := newClient(2 * time.Minute).Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer closeAll(resp.Body)
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		r.t.Fatalf("Keycloak answers %s %s with %d %s", method, path, resp.StatusCode, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
}

// client registers one like "orders" for a site of this test.
func (r *realm) client(id, site string, attributes map[string]string) {
	r.t.Helper()
	all := map[string]string{
		"post.logout.redirect.uris": site + "/_oauth/logged_out", "backchannel.logout.url": site + "/_oauth/backchannel_logout",
		"backchannel.logout.session.required": "true", "oauth2.device.authorization.grant.enabled": "true",
	}
	for name, value := range attributes {
		all[name] = value
	}
	r.admin(http.MethodPost, "/"+r.name+"/clients", map[string]any{
		"clientId": id, "secret": id + "-secret", "redirectUris": []string{site + "/_oauth/callback"}, "attributes": all,
		"defaultClientScopes": []string{"basic", "profile", "email", "roles", "acr", "orders:read"}, "optionalClientScopes": []string{"offline_access"},
	}, nil)
}

// token is one that a token request gets.
func (r *realm) token(form url.Values) string {
	r.t.Helper()
	a := r.post("token", form)
	said := a.reply(r.t)
	if said.AccessToken == "" {
		r.t.Fatalf("Keycloak gives no token, but %d %s", a.status, a.body)
	}
	return said.AccessToken
}

// robotToken is one by client_credentials.
func (r *realm) robotToken(id string, scope ...string) string {
	r.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {id + "-secret"}}
	if len(scope) > 0 { // an empty one is an error to Keycloak
		form["scope"] = scope
	}
	return r.token(form)
}

// userToken is one of a person, by their password, for the public client phone.
func (r *realm) userToken(user string) string {
	r.t.Helper()
	return r.token(url.Values{"grant_type": {"password"}, "client_id": {"phone"}, "username": {user}, "password": {user + "-password"}})
}

// post sends a form to one of the protocol's endpoints.
func (r *realm) post(endpoint string, form url.Values) answer {
	r.t.Helper()
	a, err := postForm(r.url+"/protocol/openid-connect/"+endpoint, form)
	if err != nil {
		r.t.Fatalf("asking Keycloak: %v", err)
	}
	return a
}

func postForm(address string, form url.Values) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(newClient(time.Minute), req)
}

// introspect asks Keycloak about a token, as the client orders.
func (r *realm) introspect(token string) (claims map[string]any) {
	r.t.Helper()
	a := r.post("token/introspect", url.Values{"token": {token}, "client_id": {"orders"}, "client_secret": {"orders-secret"}})
	if err := json.Unmarshal([]byte(a.body), &claims); err != nil {
		r.t.Fatalf("introspection: %v %d %s", err, a.status, a.body)
	}
	return claims
}
