package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// checkInvariants proves what must hold after every test: INV1 to INV5 of the
// acceptance list.
func (r *rig) checkInvariants() {
	r.t.Helper()
	if err := presentedTwice(r.tap.all()); err != nil {
		r.t.Errorf("INV1: %v", err)
	}
	r.api.check(r.t, r.secrets)
	r.checkNothingWritten()
	r.checkNoCrash()
}

// presentedTwice looks for a refresh token that was presented when it may have
// been consumed (I1), but for the one retry and, where its outcome is unknown
// too, those that follow with growing pauses; and for two presentations at a time.
func presentedTwice(all calls) error {
	byRT := map[string]calls{}
	for _, c := range all.of("refresh_token") {
		byRT[c.RT] = append(byRT[c.RT], c)
	}
	for _, presented := range byRT {
		doubts := 0
		for i, c := range presented[1:] {
			before := presented[i]
			if before.End.IsZero() || before.End.After(c.Begin) {
				return fmt.Errorf("two presentations of one refresh token overlap: %v", presented)
			}
			switch before.Fate {
			case fateUnknown:
				doubts++
			case fateRotated, fateRefused:
				return fmt.Errorf("a refresh token was presented after it was %s: %v", before.Fate, presented)
			}
			if least := pauseAfter(doubts); c.Begin.Sub(before.End) < least {
				return fmt.Errorf("a refresh token was presented again %v after %d unknown outcomes, want %v: %v",
					c.Begin.Sub(before.End), doubts, least, presented)
			}
		}
	}
	return nil
}

// pauseAfter is how long a refresh token is left alone after so many unknown
// outcomes. The first one may have been a crash, after which no node counts.
func pauseAfter(doubts int) time.Duration {
	if doubts < 2 {
		return 0
	}
	return 9 * min(time.Second<<min(doubts-2, 10), 10*time.Second) / 10 // clocks and loopback
}

// checkNothingWritten is INV3, with its positive control.
func (r *rig) checkNothingWritten() {
	r.t.Helper()
	planted := secrets{}
	mark := rand.Text()
	planted.add(kindReference, "oga_"+mark)
	req, err := http.NewRequest(http.MethodGet, r.g.url("/planted/"+mark), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := send(newClient(20*time.Second), req); err != nil {
		r.t.Errorf("INV3: the gateway does not run any more: %v", err)
		return
	}
	await(r.t, 5*time.Second, "INV3: the planted value in the access log", func() bool {
		return strings.Contains(r.g.proc.out.String(), mark)
	})
	if len(planted.find(r.g.proc.out.String())) == 0 {
		r.t.Error("INV3: the planted value is not found: the test cannot fail")
	}
	for _, path := range []string{"/metrics", "/oauth/grants", "/oauth/issuers", "/oauth/status", "/config/", "/debug/vars"} {
		r.wantClean("the admin endpoint "+path, r.patientAdminGet(path))
	}
	for _, proc := range r.g.procs {
		r.wantClean("the gateway's output", proc.out.String())
	}
	if _, err := os.Stat(r.path("grants.db")); err == nil { // without a grant there is none
		r.wantClean("the store", r.dump())
	}
}

func (r *rig) wantClean(where, text string) {
	r.t.Helper()
	for n, found := range r.secrets.find(text) {
		if n == 3 {
			break
		}
		r.t.Errorf("INV3: %s shows a %s", where, found)
	}
}

// patientAdminGet waits for a store that a test has made trouble for. It stops
// no cleanup.
func (r *rig) patientAdminGet(path string) string {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, body, err := r.tryAdminGet(path)
		if err == nil && status == http.StatusOK {
			return body
		}
		if time.Now().After(end) {
			r.t.Errorf("the admin endpoint answers %s with %d %s, %v", path, status, body, err)
			return body
		}
	}
}

func (r *rig) tryAdminGet(path string) (status int, body string, err error) {
	resp, err := http.Get("http://" + r.g.admin + path)
	if err != nil {
		return 0, "", err
	}
	defer closeAll(resp.Body)
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// checkNoCrash is INV5.
func (r *rig) checkNoCrash() {
	r.t.Helper()
	for _, proc := range r.g.procs {
		written := proc.out.String()
		for _, bad := range []string{"panic", "goroutine ", `"status":500`, "DATA RACE"} {
			if line := lineWith(written, bad); line != "" {
				r.t.Errorf("INV5: the gateway wrote %q: %.300s", bad, line)
			}
		}
	}
}

func TestTheTapsLedgerTellsAllowedPresentationsFromForbiddenOnes(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	presented := func(fates ...fate) (all calls) {
		for i, f := range fates {
			all = append(all, call{Path: "/token", Grant: "refresh_token", RT: "x", Begin: at(2 * i), End: at(2*i + 1), Fate: f})
		}
		return all
	}
	growing := presented(fateUnknown, fateUnknown, fateUnknown, fateRefused)
	growing[3].Begin, growing[3].End = at(7), at(8)
	overlapping := presented(fateKept, fateKept)
	overlapping[0].End = at(3)
	open := presented(fateOpen, fateKept)
	open[0].End = time.Time{}
	for name, test := range map[string]struct {
		all calls
		ok  bool
	}{
		"once":                    {presented(fateRotated), true},
		"after failures":          {presented(fateKept, fateKept, fateRotated), true},
		"one retry":               {presented(fateKept, fateUnknown, fateRefused), true},
		"one retry and failures":  {presented(fateUnknown, fateKept, fateRotated), true},
		"after it was rotated":    {presented(fateRotated, fateRefused), false},
		"after it was refused":    {presented(fateRefused, fateRefused), false},
		"a second retry":          {presented(fateUnknown, fateUnknown, fateRefused), true},
		"a third after a pause":   {growing, true},
		"a third too soon":        {presented(fateUnknown, fateUnknown, fateUnknown, fateRefused), false},
		"two at a time":           {overlapping, false},
		"while the first is open": {open, false},
	} {
		if err := presentedTwice(test.all); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
