package caddyoauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// liveIssuer is an authorization server that a verdict file controls.
type liveIssuer struct {
	*httptest.Server
	mu      sync.Mutex
	set     map[string]string
	fetches atomic.Int32
	asked   []string // the forms that came to the introspection endpoint
}

// serveIssuer reads an issuer section: one "<word> <value>" a line.
//
//	keys <file>        the JWK Set in testdata/keys that it serves
//	text <text>        or this text
//	status <code>      of the answer with the keys
//	issuer <text>      what the metadata say; default: its URL
//	signs <alg...>     the metadata's id_token_signing_alg_values_supported
//	introspect <text>  what it says of every token
//	introspect_status <code>   of that answer
//	introspect_location <url>  where that answer leads
//	no_endpoint yes    the metadata name no introspection endpoint
func (f *fact) serveIssuer(body string) {
	if f.issuer == nil {
		f.issuer = &liveIssuer{}
		f.issuer.Server = newServer(f.issuer)
		f.Cleanup(f.issuer.Close)
	}
	set := map[string]string{"status": "200", "introspect_status": "200", "issuer": f.issuer.URL}
	for line := range strings.Lines(f.expand(body)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		set[word] = value
	}
	f.issuer.mu.Lock()
	f.issuer.set = set
	f.issuer.mu.Unlock()
}

func (l *liveIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	set := l.set
	l.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		doc := map[string]any{"issuer": set["issuer"], "jwks_uri": l.URL + "/keys", "introspection_endpoint": l.URL + "/introspect"}
		if set["no_endpoint"] != "" {
			delete(doc, "introspection_endpoint")
		}
		if set["signs"] != "" {
			doc["id_token_signing_alg_values_supported"] = strings.Fields(set["signs"])
		}
		_ = json.NewEncoder(w).Encode(doc)
	case "/keys":
		l.fetches.Add(1)
		status, _ := strconv.Atoi(set["status"])
		doc := []byte(set["text"])
		if set["keys"] != "" {
			doc, _ = os.ReadFile("testdata/keys/" + set["keys"])
		}
		w.WriteHeader(status)
		_, _ = w.Write(doc)
	case "/introspect":
		l.serveIntrospect(w, r, set)
	default:
		http.NotFound(w, r)
	}
}

func (l *liveIssuer) serveIntrospect(w http.ResponseWriter, r *http.Request, set map[string]string) {
	_ = r.ParseForm()
	id, password, _ := r.BasicAuth()
	l.mu.Lock()
	l.asked = append(l.asked, r.Method+" "+id+":"+password+" "+r.PostForm.Encode())
	l.mu.Unlock()
	if location := set["introspect_location"]; location != "" {
		w.Header().Set("Location", location)
	}
	status, _ := strconv.Atoi(set["introspect_status"])
	w.WriteHeader(status)
	_, _ = w.Write([]byte(set["introspect"]))
}

// checkAsked compares what came to the introspection endpoint so far. Where
// each answer is explained as well, more is asked.
func (f *fact) checkAsked(body string) {
	f.Helper()
	if f.after != nil {
		return
	}
	f.issuer.mu.Lock()
	defer f.issuer.mu.Unlock()
	if body == "nothing" {
		body = ""
	}
	f.equal("what the issuer was asked", strings.Join(f.issuer.asked, "\n"), f.expand(body))
}
