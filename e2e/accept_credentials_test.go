package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestAccept28_EachTimeTheTokenRunsOutUnderLoadTheGrantIsRunAgain(t *testing.T) {
	t.Parallel()
	times := long(10, 3)
	r := newRig(t, settings{})
	s := r.runCredentials()
	current := r.tap.lastIssued(t)
	before := r.renewals(rerun)
	following := func(i int) issued {
		r.tap.await(t, 20*time.Second, "the next token", func(calls) bool { return len(r.tap.allIssued()) > i })
		return r.tap.allIssued()[i]
	}
	l := bearerLoad(r.client, 20, 50*time.Millisecond, r.g.url("/orders"), s.access)
	for n := range times {
		r.awaitDeath(current)
		current = following(n + 1)
	}
	r.wantRenewals(rerun, before, times)
	samples := l.stop()
	wantAnswers(t, samples, http.StatusOK)
	if len(samples) < 100*times {
		t.Errorf("%d requests: the test shows little", len(samples))
	}
}

// In "make test" the server thinks better of it after three calls.
func TestAccept28_AClientThatTheServerRevokedIsServedWhileItsTokenLivesAndOutAfterTwoMinutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{life: 10, session: "refresh_wait 1s"})
	s := r.runCredentials()
	first := r.tap.lastIssued(t)
	before := r.renewals(rerun)
	r.control("secret", "client", "robot", "secret", "nobody knows this one")
	l := bearerLoad(r.client, 4, 100*time.Millisecond, r.g.url("/orders"), s.access)
	all := r.tap.await(t, 200*time.Second, "the two minutes to be over", func(all calls) bool {
		again := all.of(rerun.renewal)[before:].ended()
		return len(again) >= 3 && (!soaking || again[len(again)-1].End.Sub(again[0].Begin) >= 2*time.Minute)
	}).of(rerun.renewal)[before:]
	if soaking {
		await(t, 10*time.Second, "the end of the grant", func() bool { return r.get(s).status == http.StatusUnauthorized })
		r.wantOver(s)
	} else {
		r.control("secret", "client", "robot", "secret", r.robotSecret)
		r.awaitServed(s)
	}
	over := all[len(all)-1].End
	for _, one := range l.stop() {
		want := []int{http.StatusServiceUnavailable}
		switch {
		case one.end.Before(first.expiry.Add(-2 * time.Second)): // it may take the last one for over
			want = []int{http.StatusOK}
		case one.start.Before(first.expiry):
			want = append(want, http.StatusOK)
		case one.end.After(over):
			want = append(want, long(http.StatusUnauthorized, http.StatusOK))
		}
		if one.err != nil || !slices.Contains(want, one.status) {
			t.Fatalf("%v after the token's end: %d %v, want one of %d", one.start.Sub(first.expiry), one.status, one.err, want)
		}
	}
	if n := r.renewals(rerun) - before; n < 3 || n > 6 {
		t.Errorf("%d failing calls, want at most six", n)
	}
	for _, failing := range all {
		if failing.Error != "invalid_client" {
			t.Errorf("a failing call: %v", failing)
		}
	}
}

// A server whose database fails says invalid_client to everybody, in "make soak"
// for a minute.
func TestAccept28_ADatabaseOutageThatSaysInvalidClientEndsNoGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{session: "refresh_wait 1s"})
	var robots []session
	for range 5 {
		robots = append(robots, r.runCredentials())
	}
	last := r.tap.lastIssued(t)
	r.tap.always(treatment{instead: invalidClient})
	began := time.Now()
	r.awaitDeath(last)
	for time.Since(began) < long(time.Minute, 15*time.Second) {
		for _, s := range robots {
			r.get(s).wantUnavailable(t)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
	r.tap.well()
	for _, s := range robots {
		await(t, 45*time.Second, "the grant to go on", func() bool {
			a := r.get(s)
			if a.status == http.StatusUnauthorized {
				t.Fatal("the outage ended a grant")
			}
			return a.status == http.StatusOK
		})
	}
}

func TestAccept28_TheTokenEndpointMintsNothingForWhoIsNotAClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{life: 60})
	form := url.Values{"grant_type": {"client_credentials"}}
	inBody := url.Values{"grant_type": {"client_credentials"}, "client_id": {"gateway"}}
	for name, test := range map[string]struct {
		as     session
		form   url.Values
		status int
		codes  []string
		silent bool // nothing at all is asked of the server
	}{
		"without credentials":             {session{}, form, 401, []string{"invalid_client"}, true},
		"an id alone":                     {session{public: "robot"}, form, 401, []string{"invalid_client"}, true},
		"a public client's id":            {session{public: "app"}, form, 401, []string{"invalid_client"}, true},
		"a wrong secret":                  {session{basic: []string{"robot", "a wrong secret, long enough"}}, form, 401, []string{"invalid_client"}, false},
		"an empty secret":                 {session{basic: []string{"robot", ""}}, form, 401, []string{"invalid_client"}, true},
		"an unknown client":               {session{basic: []string{"nobody", "a wrong secret, long enough"}}, form, 401, []string{"invalid_client"}, false},
		"the gateway's id":                {session{public: "gateway"}, form, 401, []string{"invalid_client"}, true},
		"the gateway's id in the body":    {session{}, inBody, 401, []string{"invalid_client"}, true},
		"the gateway's id, wrong secret":  {session{basic: []string{"gateway", "a wrong secret, long enough"}}, form, 401, []string{"invalid_client"}, false},
		"the gateway's id, a stolen code": {session{public: "gateway"}, url.Values{"grant_type": {"authorization_code"}, "code": {"a code of somebody"}, "code_verifier": {"x"}}, 401, []string{"invalid_client"}, true},
		"an unknown public client's code": {session{public: "nobody"}, url.Values{"grant_type": {"authorization_code"}, "code": {"a code of somebody"}, "code_verifier": {"x"}}, 401, []string{"invalid_client"}, true},
		"a code without a verifier":       {session{public: "app"}, url.Values{"grant_type": {"authorization_code"}, "code": {"a code of somebody"}}, 400, []string{"invalid_request", "invalid_grant"}, true},
		"a grant that is not offered":     {session{public: "app"}, url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"x"}}, 400, []string{"unsupported_grant_type"}, true},
		"no grant at all":                 {session{basic: []string{"robot", r.robotSecret}}, url.Values{}, 400, []string{"invalid_request"}, true},
		"client authentication done twice": {session{basic: []string{"robot", r.robotSecret}},
			url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {r.robotSecret}}, 400, []string{"invalid_request"}, true},
	} {
		calls := len(r.tap.all())
		a := r.post("/token", test.as, test.form)
		if said := a.reply(t); a.status != test.status || !slices.Contains(test.codes, said.Error) {
			t.Errorf("%s: %d %q, want %d with one of %q", name, a.status, said.Error, test.status, test.codes)
		}
		asked := r.tap.all()[calls:]
		if test.silent && len(asked) != 0 {
			t.Errorf("%s: the gateway asked %v", name, asked)
		}
		for _, c := range asked {
			if c.Status == http.StatusOK || c.Grant != "client_credentials" {
				t.Errorf("%s: the gateway asked what could mint: %v", name, c)
			}
		}
	}
	if n := r.api.requests.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}
