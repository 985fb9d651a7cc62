package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// upstream notes everything that gets past the gateway.
func (f *fact) upstream(w http.ResponseWriter, r *http.Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		f.Error("reading the body: ", err)
	}
	lines := []string{r.Method + " " + r.URL.RequestURI()}
	for _, h := range []struct {
		prefix string
		fields http.Header
	}{{"", r.Header}, {"Trailer ", r.Trailer}} {
		for _, name := range slices.Sorted(maps.Keys(h.fields)) {
			for _, value := range h.fields[name] {
				lines = append(lines, h.prefix+name+": "+value)
			}
		}
	}
	if uri := r.RequestURI; uri != r.URL.RequestURI() {
		lines = append(lines, "RequestURI: "+uri)
	}
	f.saw = strings.Join(lines, "\n")
	_, err := io.WriteString(w, "from the upstream")
	return err
}

// checkUpstream compares an upstream section: "nothing", or the request line,
// every header, and "{placeholder} = <its value as JSON>".
func (f *fact) checkUpstream(body string) {
	f.Helper()
	var want []string
	for line := range strings.SplitSeq(body, "\n") {
		name, value, ok := strings.Cut(line, "} = ")
		if !ok || name[0] != '{' {
			want = append(want, line)
			continue
		}
		got, _ := f.repl.Get(name[1:])
		text, _ := json.Marshal(got)
		f.equal(name+"}", string(text), value)
	}
	f.equal("what the upstream saw", f.saw, strings.Join(want, "\n"))
}

// checkAnswer compares an answer section: "<status> [<reason>]", then headers.
// WWW-Authenticate and Retry-After are there exactly when they are listed.
func (f *fact) checkAnswer(body string) {
	f.Helper()
	if f.res == nil {
		f.Fatal("an answer without a request")
	}
	first, rest, _ := strings.Cut(f.expand(body), "\n")
	f.equal("status and reason", strings.TrimSpace(fmt.Sprint(f.res.Code, " ", f.reason)), first)
	want := http.Header{"Www-Authenticate": nil, "Retry-After": nil}
	text := ""
	for line := range strings.Lines(rest) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name == "body" {
			text = value
			continue
		}
		name = http.CanonicalHeaderKey(name)
		want[name] = append(want[name], value)
	}
	for name, values := range want {
		if got := f.res.Header()[name]; !slices.Equal(got, values) {
			f.Errorf("%s: %q, want %q", name, got, values)
		}
	}
	if text != "" {
		f.equal("the body", strings.TrimSpace(f.res.Body.String()), text)
	}
}

// checkAlways holds for every answer, whatever the file expects (rules 28, 29).
func (f *fact) checkAlways() {
	f.Helper()
	lines := f.logs.All()
	switch {
	case f.own && f.reason == "":
		f.equal("what the upstream saw", f.saw, "nothing")
	case f.reason == "":
		if f.saw == "nothing" || f.res.Code != http.StatusOK {
			f.Errorf("neither admitted nor refused: status %d", f.res.Code)
		}
	default:
		if f.saw != "nothing" {
			f.Errorf("refused for %s, and yet the upstream saw:\n%s", f.reason, f.saw)
		}
		if f.res.Header().Get("Cache-Control") != "no-store" {
			f.Error("a refusal that may be cached")
		}
		if n := len(lines); n != 1 || lines[0].Message != "refused" || lines[0].ContextMap()["reason"] != f.reason {
			f.Errorf("%d log lines, want one about %s: %v", n, f.reason, lines)
		}
		if f.res.Code >= 500 && !slices.Contains([]string{verdict.IssuerUnavailable, verdict.IntrospectionUnavailable, verdict.IntrospectionLimited}, f.reason) {
			f.Errorf("a client caused status %d (%s)", f.res.Code, f.reason)
		}
	}
	said := fmt.Sprint(f.res.Header(), f.res.Body)
	for _, line := range lines {
		context, _ := json.Marshal(line.ContextMap())
		said += line.Message + string(context)
	}
	if len(f.bearer) > 8 && strings.Contains(said, f.bearer) {
		f.Error("the token in the answer or in the log: ", said)
	}
	for part := range strings.SplitSeq(f.token, ".") {
		if len(part) > 20 && strings.Contains(said, part[:20]) {
			f.Error("a part of the token in the answer or in the log: ", said)
		}
	}
}
