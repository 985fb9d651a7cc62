package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The tests of this file prove tap, server and upstream, with no gateway
// between them: what they cannot see, no other test would.

// bareRig has no gateway.
func bareRig(t *testing.T, env ...string) *rig {
	t.Helper()
	r := &rig{t: t, secrets: &secrets{}, client: newClient(20 * time.Second),
		gatewaySecret: "a gateway's secret", robotSecret: "a robot's secret"}
	r.tap = startTap(t, r.secrets)
	r.as = startRefreshing(t, append(env, "ISSUER="+r.tap.url, "TOKEN_SECONDS=6",
		"GATEWAY_SECRET="+r.gatewaySecret, "ROBOT_SECRET="+r.robotSecret)...)
	r.tap.change(func() { r.tap.target = r.as.url })
	return r
}

// ask is a token request at the tap, as the gateway would make it.
func (r *rig) ask(form url.Values) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, r.tap.url+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("gateway", url.QueryEscape(r.gatewaySecret))
	return send(newClient(5*time.Second), req)
}

func (r *rig) askRefresh(rt string) (answer, error) {
	return r.ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {rt}})
}

// directRT is a refresh token of the real server.
func (r *rig) directRT() reply {
	r.t.Helper()
	code, verifier := r.authorize("alice")
	a, err := r.ask(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback}})
	if err != nil || a.status != http.StatusOK {
		r.t.Fatalf("redeeming a code: %d %v", a.status, err)
	}
	return a.reply(r.t)
}

func TestTheServerRotatesRefreshTokensAndNoticesReuse(t *testing.T) {
	t.Parallel()
	r := bareRig(t)
	if issuer := get(t, r.tap.url+"/.well-known/openid-configuration", "").body; strings.Contains(issuer, r.as.url) || !strings.Contains(issuer, r.tap.url+"/token") {
		t.Errorf("discovery does not lead to the tap: %s", issuer)
	}
	first := r.directRT()
	a, _ := r.askRefresh(first.RefreshToken)
	second := a.reply(t)
	if second.RefreshToken == "" || second.RefreshToken == first.RefreshToken {
		t.Fatalf("no rotation: %d %s", a.status, second.Error)
	}
	for _, rt := range []string{first.RefreshToken, second.RefreshToken} { // reuse ends the whole grant
		if a, _ := r.askRefresh(rt); a.reply(t).Error != "invalid_grant" {
			t.Errorf("after reuse the server answers %d", a.status)
		}
	}
	var fates []fate
	for _, c := range r.tap.all().of("refresh_token") {
		fates = append(fates, c.Fate)
	}
	if len(fates) != 3 || fates[0] != fateRotated || fates[1] != fateRefused || fates[2] != fateRefused {
		t.Errorf("the tap noted %v", fates)
	}
	if err := presentedTwice(r.tap.all()); err == nil {
		t.Error("INV1 does not see that a rotated refresh token was presented again")
	}
}

func TestTheTapMisbehavesAsToldAndKeepsCount(t *testing.T) {
	t.Parallel()
	r := bareRig(t, "REUSE_GRACE=60")
	rt := r.directRT().RefreshToken
	hang := make(chan struct{})
	close(hang)
	for n, test := range []struct {
		how      treatment
		status   int // 0: the connection breaks
		fate     fate
		answered bool // by the real server
	}{
		{treatment{}, 200, fateRotated, true},
		{treatment{delay: time.Millisecond}, 200, fateRotated, true},
		{treatment{reset: true}, 0, fateUnknown, false},
		{treatment{drop: true}, 0, fateUnknown, true},
		{treatment{hang: hang}, 0, fateUnknown, false},
		{treatment{cutAt: `"scope"`}, 0, fateUnknown, true},
		{treatment{instead: unavailable}, 503, fateKept, false},
		{treatment{instead: tooMany}, 429, fateKept, false},
		{treatment{instead: invalidClient}, 401, fateKept, false},
		{treatment{instead: html}, 200, fateUnknown, false},
		{treatment{change: without("refresh_token")}, 200, fateKept, true},
		{treatment{change: with("expires_in", "300")}, 200, fateRotated, true},
	} {
		r.tap.once(test.how)
		a, err := r.askRefresh(rt)
		all := r.tap.await(t, 5*time.Second, "the end of the call", func(all calls) bool { return len(all.ended()) == n+2 })
		c := all[len(all)-1]
		if (err != nil) != (test.status == 0) || a.status != test.status && err == nil {
			t.Errorf("%d: got %d %v, want %d", n, a.status, err, test.status)
		}
		if c.Fate != test.fate || c.Answered != test.answered || c.RT != digest(rt) {
			t.Errorf("%d: the tap noted %v, answered %v; want %s, %v", n, c, c.Answered, test.fate, test.answered)
		}
	}
	if found := r.secrets.find("id=1 token=" + rt); len(found) == 0 {
		t.Error("the ledger does not know the refresh token that the tap saw")
	}
}

func TestTheUpstreamNoticesDeadAndForeignTokensAndReferences(t *testing.T) {
	t.Parallel()
	r := bareRig(t)
	up := startAPI(t, r.as.url)
	token := r.directRT().AccessToken
	get(t, up.server.URL, token)
	if len(up.wrong) != 0 {
		t.Errorf("a live token is wrong: %q", up.wrong)
	}
	get(t, up.server.URL, token[:len(token)-8]+"AAAAAAAA")
	if len(up.wrong) != 1 {
		t.Errorf("a forged token passes")
	}
	await(t, 10*time.Second, "the token to run out", func() bool { return time.Now().After(expiryOf(token).Add(transit())) })
	get(t, up.server.URL+"/?x=oga_found", token)
	if len(up.wrong) != 2 || !strings.Contains(up.saw.String(), "oga_found") {
		t.Errorf("a dead token passes, or a reference is not seen: %q", up.wrong)
	}
}
