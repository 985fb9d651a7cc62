package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestAccept22_AnAnswerWithoutARefreshTokenKeepsTheOldOne(t *testing.T) {
	forRotating(t, settings{env: "ROTATE=0"}, func(r *rig, k kind) {
		s := k.begin(r)
		for n := range 2 {
			r.awaitDeath(r.tap.lastIssued(r.t))
			r.tap.once(treatment{change: without("refresh_token")})
			r.get(s).seen(r.t)
			if all := r.tap.all().of("refresh_token"); len(all) != n+1 || all[n].RT != all[0].RT {
				r.t.Errorf("presented: %v", all)
			}
		}
	})
}

func TestAccept22_AMissingOrBadIDTokenDoesNotMatter(t *testing.T) {
	t.Parallel()
	for n, test := range []struct {
		name   string
		change func(map[string]any)
	}{
		{"missing", without("id_token")},
		{"no JWT", with("id_token", "this is no JWT")},
		{"no text", with("id_token", 17)},
		{"dead claims", with("id_token", "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVzLTEifQ."+b64.EncodeToString([]byte(`{"sub":"alice","exp":1}`))+".AAAA")},
	} {
		t.Run(test.name, func(t *testing.T) {
			forKinds(t, settings{}, inTurn(n, withRT, browser), func(r *rig, k kind) {
				s, _, before := r.beginExpired(k)
				r.tap.once(treatment{change: test.change})
				r.get(s).wantPass(r.t, "alice")
				r.get(s).wantPass(r.t, "alice")
				r.wantRenewals(k, before, 1)
			})
		})
	}
}

func TestAccept22_AnotherSubjectInTheAnswerEndsTheSessionAndItsTokensAreRevoked(t *testing.T) {
	forRotating(t, settings{}, func(r *rig, k kind) {
		code, verifier := r.authorize("mallory")
		a, err := r.ask(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback}})
		if err != nil || a.status != http.StatusOK {
			r.t.Fatalf("another user's log-in: %d %v", a.status, err)
		}
		s, _, before := r.beginExpired(k)
		r.tap.once(treatment{change: with("id_token", a.reply(r.t).IDToken)})
		r.wantOver(s)
		r.wantRenewals(k, before, 1)
		r.awaitRevoked(r.tap.all().of("refresh_token")[before].NewRT)
	})
}

// awaitRevoked waits until the gateway has given a token back.
func (r *rig) awaitRevoked(token string) {
	r.t.Helper()
	r.tap.await(r.t, 10*time.Second, "the revocation of the late refresh token", func(all calls) bool {
		return len(all.at("/token/revocation").keep(func(c call) bool { return c.Token == token && c.Status == http.StatusOK })) == 1
	})
}

var needsWrite = settings{site: "@write path /write", oauth: "require scope orders:read\n\t\trequire @write scope orders:write"}

func TestAccept22_LessScopeInTheAnswerIsStored(t *testing.T) {
	forAllKinds(t, needsWrite, func(r *rig, k kind) {
		s := k.begin(r)
		r.control("scope", "scope", "orders:read")
		r.wantOnlyRead(s)
	})
}

// wantOnlyRead checks that a session may write, and after its renewal may not.
func (r *rig) wantOnlyRead(s session) {
	r.t.Helper()
	if a, err := r.tryGetAt("/write", s); err != nil || a.status != http.StatusOK {
		r.t.Errorf("before its renewal the session may not write: %d %v", a.status, err)
	}
	last := r.tap.lastIssued(r.t)
	r.life(60)
	r.awaitDeath(last)
	if a := r.get(s); a.status != http.StatusOK {
		r.t.Errorf("after its renewal the session may not read: %d", a.status)
	}
	a, err := r.tryGetAt("/write", s)
	if err != nil {
		r.t.Fatal(err)
	}
	a.wantChallenge(r.t, http.StatusForbidden, "insufficient_scope")
}

func TestAccept22_AnOddExpiresInMakesNoStormAndNoFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change      func(map[string]any)
		least, most int // renewals in the 5 s that follow
	}{
		"missing":         {without("expires_in"), 0, 0},
		"a text":          {with("expires_in", "300"), 0, 0},
		"a short text":    {with("expires_in", "2"), 1, 4},
		"no number":       {with("expires_in", "soon"), 0, 0},
		"null":            {with("expires_in", nil), 0, 0},
		"one second":      {with("expires_in", 1), 2, 7},
		"zero":            {with("expires_in", 0), 0, 0},
		"negative":        {with("expires_in", -5), 0, 0},
		"beyond all time": {with("expires_in", 1e300), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := patient
			set.life = 600
			// Two kinds that are renewed alike need a tap each.
			api, site := newRig(t, set), newRig(t, set)
			rigs, kinds := []*rig{api, api, site}, []kind{withRT, rerun, browser}
			var loads []*load
			for i, k := range kinds {
				rigs[i].tap.always(treatment{change: test.change})
				s := k.begin(rigs[i])
				loads = append(loads, startLoad(4, 50*time.Millisecond, func(int) (answer, error) { return rigs[i].tryGet(s) }))
			}
			began := time.Now()
			until := began.Add(5 * time.Second)
			awaitClock(t, until)
			for i, k := range kinds {
				samples := slices.DeleteFunc(loads[i].stop(), sample.slow)
				wantAnswers(t, samples, http.StatusOK)
				renewals := rigs[i].tap.all().of(k.renewal).keep(func(c call) bool { return c.Begin.After(began) && c.Begin.Before(until) })
				if n := len(renewals); n < test.least || n > test.most {
					t.Errorf("%s: %d renewals in 5 s, want %d to %d", k.name, n, test.least, test.most)
				}
			}
		})
	}
}

func TestAccept22_AnAnswerThatIsNoneIsAnUnknownOutcome(t *testing.T) {
	forRotating(t, settings{}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.tap.once(treatment{instead: html}) // it never reached the server: the retry works
		await(r.t, 10*time.Second, "the retry", func() bool { return r.get(s).status == http.StatusOK })
		r.wantRenewals(k, before, 2)
	})
}
