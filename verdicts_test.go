//go:debug rsa1024min=0

package caddyoauth

import (
	"bufio"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"
)

// verdictClock is what the gateway's clock shows in verdict files: {now}.
var verdictClock = time.Unix(1_800_000_000, 0)

// TestVerdicts runs the facts in testdata/verdicts, one file each. The README
// there says how a file is written.
func TestVerdicts(t *testing.T) {
	files, err := filepath.Glob("testdata/verdicts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no verdict files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newFact(t).run(string(text))
		})
	}
}

// fact is the state of one file while it runs: sections change it from top to
// bottom, and each request is served by what stands above it.
type fact struct {
	*testing.T
	issuer *liveIssuer

	config, key, header, payload string
	offset                       time.Duration
	token                        string
	bearer                       string // what the request had behind Bearer

	gateways []*Gateway // outermost first
	server   *caddyhttp.Server
	logs     *logtest.ObservedLogs

	saw    string // what the upstream saw
	repl   *caddy.Replacer
	res    *httptest.ResponseRecorder
	reason string
	own    bool // it was for one of the gateway's own paths

	after func(request string) // looks at each answer
}

const (
	defaultConfig = `oauth {
	issuer https://issuer.example {
		audience api
		jwks testdata/keys/issuer.jwks.json
	}
}`
	defaultHeader  = `{"alg":"ES256","typ":"at+jwt","kid":"es256"}`
	defaultPayload = `{"iss":"https://issuer.example","aud":"api","sub":"alice","exp":{now+300},"scope":"orders:read"}`
)

func newFact(t *testing.T) *fact {
	return &fact{T: t, config: defaultConfig, key: "es256", header: defaultHeader, payload: defaultPayload}
}

var sectionLine = regexp.MustCompile(`(?m)^-- ([a-z]+) --\n`)

func (f *fact) run(text string) {
	marks := sectionLine.FindAllStringSubmatchIndex(text, -1)
	if len(marks) == 0 || !strings.HasPrefix(text, "# ") {
		f.Fatal("a verdict file opens with a comment that says the fact, and has sections")
	}
	answered := false
	for i, mark := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		name, body := text[mark[2]:mark[3]], strings.Trim(text[mark[1]:end], "\n")
		f.section(name, body)
		answered = answered || name == "answer"
	}
	if !answered {
		f.Error("no answer is expected: the file proves nothing")
	}
}

func (f *fact) section(name, body string) {
	f.Helper()
	switch name {
	case "config":
		f.config, f.gateways = body, nil
	case "issuer":
		f.serveIssuer(body)
	case "key":
		f.key, f.token = body, ""
	case "header":
		f.header, f.token = body, ""
	case "payload":
		f.payload, f.token = body, ""
	case "clock":
		offset, err := time.ParseDuration(strings.TrimPrefix(body, "+"))
		if err != nil {
			f.Fatal("clock: ", err)
		}
		f.offset = offset
	case "request":
		f.serve(body)
	case "answer":
		f.checkAnswer(body)
	case "upstream":
		f.checkUpstream(f.expand(body))
	case "fetches":
		f.equal("fetches of the keys", strconv.Itoa(int(f.issuer.fetches.Load())), body)
	case "asked":
		f.checkAsked(body)
	default:
		f.Fatalf("unknown section %q", name)
	}
}

func (f *fact) equal(what, got, want string) {
	f.Helper()
	if got != want {
		f.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// serve sends one request through the gateways as Caddy's server would, but at
// the level of handlers: the server drops header names with _ and . in them,
// so that behind it a test of stripping could not fail.
func (f *fact) serve(request string) {
	f.Helper()
	if f.gateways == nil {
		f.provision()
	}
	if f.token == "" {
		f.token = signToken(f.T, f.key, f.expand(f.header), f.expand(f.payload))
	}
	f.saw, f.reason, f.res = "nothing", "", httptest.NewRecorder()
	f.repl = caddy.NewReplacer()
	r := caddyhttp.PrepareRequest(f.request(request), f.repl, f.res, f.server)
	_, f.bearer, _ = strings.Cut(r.Header.Get("Authorization"), "Bearer ")
	f.logs.TakeAll()
	f.own = slices.ContainsFunc(f.gateways, func(g *Gateway) bool { return g.ownPath(r) != nil && !g.places.HasStrayToken(r) })
	var chain caddyhttp.Handler = caddyhttp.HandlerFunc(f.upstream)
	for _, g := range slices.Backward(f.gateways) {
		g.validator.Now = func() time.Time { return verdictClock.Add(f.offset) }
		next := chain
		chain = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return g.ServeHTTP(w, r, next) })
	}
	if err := chain.ServeHTTP(f.res, r); err != nil {
		f.renderError(err, r)
	}
	f.reason, _ = f.repl.GetString("http.auth.oauth.reason")
	f.checkAlways()
	if f.after != nil {
		f.after(request)
	}
}

// renderError does what Caddy's server does with an error of a handler.
func (f *fact) renderError(err error, r *http.Request) {
	failed, ok := err.(caddyhttp.HandlerError)
	if !ok || f.server.Errors == nil {
		f.Fatal("the handler returned an error that nobody renders: ", err)
	}
	r = f.server.Errors.WithError(r, err)
	end := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(failed.StatusCode)
		return nil
	})
	if err := f.server.Errors.Routes.Compile(end).ServeHTTP(f.res, r); err != nil {
		f.Fatal("the error routes: ", err)
	}
}

// request makes the text a request, byte by byte. Header names that Go's
// reader refuses reach the gateway all the same: its own guard is tested.
func (f *fact) request(text string) *http.Request {
	f.Helper()
	if !strings.Contains(text, " HTTP/1.1\n") {
		f.Fatal("a request opens with a request line and has a Host")
	}
	head, body, _ := strings.Cut(f.expand(text), "\n\n")
	odd := http.Header{}
	var kept []string
	for i, line := range strings.Split(head, "\n") {
		if name, value, _ := strings.Cut(line, ":"); i > 0 && strings.TrimRight(name, " \t") != name {
			odd[name] = append(odd[name], strings.TrimSpace(value))
			continue
		}
		kept = append(kept, line)
	}
	raw := strings.Join(kept, "\r\n") + "\r\n\r\n" + strings.ReplaceAll(body, "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		f.Fatal("the request: ", err)
	}
	maps.Copy(r.Header, odd)
	r.RemoteAddr = "192.0.2.1:1234"
	return r
}

var nowMark = regexp.MustCompile(`\{now(?:([+-]\d+))?\}`)

// expand replaces what a file cannot know beforehand.
func (f *fact) expand(text string) string {
	text = nowMark.ReplaceAllStringFunc(text, func(mark string) string {
		n, _ := strconv.Atoi(nowMark.FindStringSubmatch(mark)[1])
		return strconv.FormatInt(verdictClock.Unix()+int64(n), 10)
	})
	if f.issuer != nil {
		text = strings.ReplaceAll(text, "{issuer}", f.issuer.URL)
	}
	return expandToken(text, f.token)
}

// provision adapts the file's config through Caddy's own Caddyfile adapter and
// provisions the gateways in it.
func (f *fact) provision() {
	f.Helper()
	server, handlers := adaptSite(f.T, f.expand(f.config))
	ctx := testContext(f.T)
	core, logs := logtest.New(zap.DebugLevel)
	f.server, f.logs = server, logs
	if server.Errors != nil {
		if err := server.Errors.Routes.Provision(ctx); err != nil {
			f.Fatal("the error routes: ", err)
		}
	}
	for _, raw := range handlers {
		g := new(Gateway)
		if err := caddy.StrictUnmarshalJSON(raw, g); err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { _ = g.Cleanup() })
		if err := g.Provision(ctx); err != nil {
			f.Fatal("provisioning: ", err)
		}
		g.log = zap.New(core)
		f.gateways = append(f.gateways, g)
	}
	if len(f.gateways) == 0 {
		f.Fatal("no oauth in the config")
	}
}
