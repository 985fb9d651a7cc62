package e2e

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestAccept28_TenTimesTheTokenRunsOutUnderLoadAndTenTimesTheGrantIsRunAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	s := r.runCredentials()
	current := r.tap.lastIssued(t)
	before := r.renewals(rerun)
	following := func(i int) issued {
		r.tap.await(t, 20*time.Second, "the next token", func(calls) bool { return len(r.tap.allIssued()) > i })
		return r.tap.allIssued()[i]
	}
	l := bearerLoad(r.client, 20, 50*time.Millisecond, r.g.url("/orders"), s.access)
	for n := range 10 {
		r.awaitDeath(current)
		current = following(n + 1)
	}
	r.wantRenewals(rerun, before, 10)
	samples := l.stop()
	if counts := statuses(samples); counts[http.StatusOK] != len(samples) || len(samples) < 1000 {
		t.Errorf("of %d requests: %v", len(samples), counts)
	}
}

func TestAccept28_AClientThatTheServerRevokedIsOutWithinOneTokensLife(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	s := r.runCredentials()
	first := r.tap.lastIssued(t)
	before := r.renewals(rerun)
	r.control("secret", "client", "robot", "secret", "nobody knows this one")
	l := startLoad(20, 20*time.Millisecond, func(int) (answer, error) {
		a, err := try(r.client, r.g.url("/orders"), s.access)
		if err == nil && a.status != http.StatusOK && a.status != http.StatusUnauthorized {
			err = errors.New(http.StatusText(a.status))
		}
		return a, err
	})
	r.awaitDeath(first)
	r.wantOver(s)
	for _, one := range l.stop() {
		if one.err != nil {
			t.Fatal(one.err)
		}
	}
	r.wantRenewals(rerun, before, 1)
	if failing := r.tap.all()[before]; failing.Error != "invalid_client" {
		t.Errorf("the failing call: %v", failing)
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
