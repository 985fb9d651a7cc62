package e2e

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What clients/browser.mjs proves.
var inChromium = []string{
	"a person who logs in is back where they were going",
	"two tabs log in side by side, and each is back where it was going",
	"the back button after a log-in harms nothing, and a callback that comes again leads on",
	"a deep link comes back with its backslash and two thousand letters",
	"seven tabs that are opened one by one all come back",
	"a tab whose log-in comes to nothing leads on where another one was faster",
	"a navigation that a service worker passes on is sent to log in",
	"a form that is sent after the end of its session gets a page that leads to a log-in, and back to the form",
	"a log-in that has run out says so, and another one works",
	"a consent that is denied says so, and nobody is sent around",
	"a log-out in one tab is one in the other",
	"people see where they are logged in, and end one session or all",
	"a log-out at the issuer ends the session here",
	"a script without a session gets 401 and no redirect",
	"a form of this site passes, and one of another origin does not",
	"an issuer that is down is a page that says so",
}

func TestPeopleLogInAndOutInChromium(t *testing.T) {
	t.Parallel()
	for _, store := range long([]string{"memory", "redis"}, []string{"redis"}) {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			words := "store memory"
			if store == "redis" {
				words = fmt.Sprintf("store redis %s\n\t\t\tkeys {file.%s}", startRedis(t).address(), sealingKey(t))
			}
			throughChromium(t, g, words)
		})
	}
}

// sealingKey is a file with the key of a store.
func sealingKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func throughChromium(t *testing.T, g *gateway, store string) {
	t.Helper()
	down := freePort(t)
	site := fmt.Sprintf("http://localhost:%d", g.port)
	issuer := startLogInIssuer(t, site, "FORMS=1")
	app := startApp(t)
	g.serve(fmt.Sprintf("%s {\n\tlog\n\t%s\n}\nhttp://localhost:%d {\n\tlog\n\t%s\n}\n",
		site, loginGateway(issuer, app, store), down, loginGateway(fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), app, store)))

	elsewhere := strings.TrimPrefix(app.URL, "http://127.0.0.1")
	driveChromium(t, "browser.mjs", inChromium, "GATEWAY="+site, fmt.Sprintf("DOWN=http://localhost:%d", down), "ISSUER="+issuer,
		"BESIDE=http://localhost"+elsewhere, "FAR="+app.URL)
}

// driveChromium runs one of clients/*.mjs, which says of each of its sentences
// whether it holds.
func driveChromium(t *testing.T, program string, sentences []string, env ...string) {
	t.Helper()
	// Chromium's profile has a socket in it, whose path must be short.
	tmp, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	env = append(env, "TMPDIR="+tmp, "PICTURES="+os.Getenv("E2E_PICTURES"))
	script := startProcess(t, t.TempDir(), env, "node", filepath.Join("clients", program))
	await(t, 4*time.Minute, "Chromium to be through", func() bool {
		select {
		case <-script.done:
			return true
		default:
			return false
		}
	})
	said := script.out.String()
	if code := script.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the browser ended with %d", code)
	}
	for _, sentence := range sentences {
		t.Run(sentence, func(t *testing.T) {
			if !strings.Contains("\n"+said, "\nok "+sentence+"\n") {
				t.Error(lineWith(said, sentence))
			}
		})
	}
	if lines := strings.Count(said, "\n"); lines != len(sentences) {
		t.Errorf("the browser wrote %d lines, want %d:\n%s", lines, len(sentences), said)
	}
}

// startApp is an application with pages. It says whom it was called by.
func startApp(t *testing.T) *httptest.Server {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/worker.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte("addEventListener('fetch', (e) => { if (e.request.mode === 'navigate') e.respondWith(fetch(e.request)); });"))
			return
		}
		what := r.RequestURI
		if r.Method != http.MethodGet {
			what = r.Method + " " + what
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>An application</title><body><p>%s for %s</p>
<form method="post" action="/orders"><button>Order</button></form></body></html>`, template.HTMLEscapeString(what), template.HTMLEscapeString(r.Header.Get("X-User-Id")))
	}))
	t.Cleanup(app.Close)
	return app
}

const loginSecret = "the secret of a client that logs browsers in"

// startLogInIssuer runs oidc-provider for a site with log-in, whose address may
// end in a path.
func startLogInIssuer(t *testing.T, site string, env ...string) (url string) {
	t.Helper()
	port := freePort(t)
	url = at(port)
	startRefreshing(t, append(env, fmt.Sprintf("PORT=%d", port), "ISSUER="+url, "TOKEN_SECONDS=300",
		"GATEWAY_SECRET="+loginSecret, "ROBOT_SECRET=another", "REDIRECT_URIS="+site+"/_oauth/callback",
		"POST_LOGOUT_URIS="+site+"/_oauth/logged_out", "BACKCHANNEL_URI="+site+"/_oauth/backchannel_logout")...)
	return url
}

// loginGateway is what stands in a site where browsers log in.
func loginGateway(issuer string, app *httptest.Server, store string) string {
	return fmt.Sprintf(`oauth {
		issuer %s {
			audience %s
			client gateway %q
		}
		login {
			scope offline_access orders:read
			parameter prompt consent
			post_logout /_oauth/logged_out
		}
		session {
			%s
		}
		copy_claims sub>X-User-Id
	}
	reverse_proxy %s`, issuer, audience, loginSecret, store, strings.TrimPrefix(app.URL, "http://"))
}
