package caddyoauth

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/explain"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Each verdict file is run once more, and behind each request its token is
// explained: verdict and reason are those of the handler.
func TestExplainSaysWhatTheHandlerDoes(t *testing.T) {
	files, err := filepath.Glob("testdata/verdicts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no verdict files", err)
	}
	compared := map[string]int{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f := newFact(t)
			f.after = func(request string) {
				if reason := f.compareExplained(request); reason != "" {
					compared[reason]++
				}
			}
			f.run(string(text))
		})
	}
	total := 0
	for _, n := range compared {
		total += n
	}
	t.Logf("%d answers compared: %v", total, compared)
	if total < 250 || len(compared) < 20 {
		t.Errorf("only %d answers of %d kinds were compared", total, len(compared))
	}
}

// ofTheRequest are reasons that no token has.
var ofTheRequest = []string{verdict.NoCredential, verdict.OtherScheme, verdict.TwoCredentials, verdict.AmbiguousPath, verdict.AmbiguousMethod, verdict.AmbiguousQuery, verdict.AmbiguousHost, verdict.TunnelRefused, verdict.TooEarly, verdict.IntrospectionLimited}

func (f *fact) compareExplained(request string) string {
	f.Helper()
	if f.own || slices.Contains(ofTheRequest, f.reason) {
		return ""
	}
	var last *explain.Explanation
	for _, g := range f.gateways {
		found, err := g.places.Find(f.request(request))
		text := found.Token
		if err != nil { // the text that is no token
			text = strings.TrimPrefix(f.request(request).Header.Get("Authorization"), "Bearer ")
			if f.reason != verdict.BadCredential || !strings.HasPrefix(f.request(request).Header.Get("Authorization"), "Bearer ") {
				return ""
			}
		}
		if strings.TrimSpace(text) == "" {
			return ""
		}
		last = explain.Explain(f.Context(), g, text, explain.Options{At: verdictClock.Add(f.offset), Held: true})
		checkExplained(f.T, last, text)
		if last.Verdict != "accepted" {
			break
		}
	}
	if last == nil {
		return ""
	}
	want := f.reason
	if slices.Contains([]string{verdict.MissingScope, verdict.MissingClaim, verdict.ClaimElsewhere, verdict.WeakLogIn, verdict.OldLogIn}, want) {
		// A matcher decided: the explanation says that it would.
		for _, step := range last.Checks {
			if last.Verdict == "accepted" && step.Result == "depends" && step.Reason == want {
				return "depends: " + want
			}
		}
	}
	told := "refused"
	switch want {
	case "":
		told = "accepted"
	case verdict.IssuerUnavailable, verdict.IntrospectionUnavailable:
		told = "unknown"
	}
	status := f.res.Code
	if want == "" {
		status = 0
	}
	if last.Verdict != told || last.Reason != want || last.Status != status && f.server.Errors == nil {
		f.Errorf("explained as %s %d %s, the handler says %d %s", last.Verdict, last.Status, last.Reason, f.res.Code, want)
	}
	if want == "" {
		return "accepted"
	}
	return want
}

// checkExplained holds for every explanation.
func checkExplained(t *testing.T, e *explain.Explanation, raw string) {
	t.Helper()
	doc, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	e.Write(&text, true)
	if shown := showsSecret(string(doc)+text.String(), raw[strings.LastIndexByte(raw, '.')+1:]); shown {
		t.Fatalf("20 characters of the signature are shown: %s", text.String())
	}
	if strings.ContainsAny(strings.ReplaceAll(text.String(), "\x1b[", ""), "\x1b\x07\x00\r") {
		t.Errorf("the terminal is told what to do: %q", text.String())
	}
	failed := slices.IndexFunc(e.Checks, func(s explain.Step) bool { return s.Result == "failed" })
	switch {
	case e.Verdict == "accepted" && failed >= 0:
		t.Errorf("accepted, and yet %s failed", e.Checks[failed].Check)
	case e.Verdict == "refused" && (failed < 0 || e.Checks[failed].Reason != e.Reason || e.Detail == "" || e.Change == "" || e.Clause == ""):
		t.Errorf("refused without a check that says why: %+v", e)
	}
	if e.At.IsZero() || e.At.Location() != time.UTC {
		t.Error("no time, or not UTC")
	}
}

// showsSecret finds 20 characters in a row of a secret in a text.
func showsSecret(text, secret string) bool {
	windows := map[string]bool{}
	for i := 0; i+20 <= len(text); i++ {
		windows[text[i:i+20]] = true
	}
	for i := 0; i+20 <= len(secret); i++ {
		if window := secret[i : i+20]; windows[window] && credential.IsToken68(strings.ReplaceAll(window, "=", "-")) {
			return true
		}
	}
	return false
}
