package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAccept05_AnExpiredForeignTokenIsRefusedAndNoIssuerIsAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	token := askToken(t, r.as.url+"/token", "robot", r.robotSecret, url.Values{"grant_type": {"client_credentials"}})
	r.secrets.add(kindAccessToken, token)
	get(t, r.g.url("/"), token).wantPass(t, "robot")
	awaitClock(t, expiryOf(token).Add(1500*time.Millisecond)) // beyond the skew
	get(t, r.g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	if calls := r.tap.all(); len(calls) != 0 {
		t.Errorf("the gateway asked: %v", calls)
	}
}

// misplaced is a request with a reference token where it does not belong.
type misplaced struct {
	path   string // after the site's address
	header []string
}

func places(token string) map[string]misplaced {
	escaped := strings.Replace(token, "og", "%6f%67", 1)
	return map[string]misplaced{
		"header of another name":   {"/", []string{"X-Refresh-Token", token}},
		"header amid other text":   {"/", []string{"X-Note", "see " + token + ", please"}},
		"cookie":                   {"/", []string{"Cookie", "session=" + token}},
		"query":                    {"/?refresh_token=" + token, nil},
		"query of another name":    {"/?a=b&q=" + token, nil},
		"query, escaped":           {"/?refresh_token=" + escaped, nil},
		"path":                     {"/orders/" + token, nil},
		"path, escaped":            {"/orders/" + escaped, nil},
		"Authorization, as Basic":  {"/", []string{"Authorization", "Basic " + b64.EncodeToString([]byte("x:"+token))}},
		"Authorization, no scheme": {"/", []string{"Authorization", token}},
	}
}

func (r *rig) misplace(m misplaced, credential string) answer {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.g.url(m.path), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	if m.header != nil {
		req.Header.Set(m.header[0], m.header[1])
	}
	a, err := send(r.client, req)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func TestAccept06_ARefreshTokenOnAResourceRequestIsNoCredentialAndInNoLog(t *testing.T) {
	forBothKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s := k.begin(r)
		all := places(s.refresh)
		all["Authorization, as Bearer"] = misplaced{"/", []string{"Authorization", "Bearer " + s.refresh}}
		for name, m := range all {
			for credential, with := range map[string]string{"alone": "", "beside a good credential": s.access} {
				before := r.api.requests.Load()
				a := r.misplace(m, with)
				if strings.Contains(a.body, s.refresh[8:]) { // and the upstream answers with all that it got
					r.t.Errorf("%s, %s: the answer repeats it", name, credential)
				}
				if name == "cookie" && with != "" { // browsers send it unasked: it is taken off
					a.seen(r.t)
					continue
				}
				if a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest {
					r.t.Errorf("%s, %s: %d", name, credential, a.status)
				}
				if r.api.requests.Load() != before && (with == "" || !strings.HasPrefix(name, "Authorization")) {
					r.t.Errorf("%s, %s: the request reached the upstream", name, credential)
				}
			}
		}
		r.get(s).seen(r.t) // nothing of it harmed the session
	})
}

func TestAccept06_AReferenceTokenOutsideTheCredentialsPlaceIsRefusedAndInNoLog(t *testing.T) {
	forBothKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s := k.begin(r)
		before := r.api.requests.Load()
		for name, m := range places(s.access) {
			if a := r.misplace(m, ""); a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest {
				r.t.Errorf("%s: %d", name, a.status)
			}
		}
		if n := r.api.requests.Load() - before; n != 0 {
			r.t.Errorf("%d requests reached the upstream", n)
		}
		r.get(s).seen(r.t)
	})
}

func TestAccept06_TheServersOwnRefreshTokenIsNoCredential(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{life: 60})
	code, verifier := r.authorize("alice")
	a, err := r.ask(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback}})
	if err != nil {
		t.Fatal(err)
	}
	get(t, r.g.url("/"), a.reply(t).RefreshToken).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	if calls := r.tap.all(); len(calls) != 1 {
		t.Errorf("the gateway asked: %v", calls)
	}
}

func TestAccept26_BehindAReferenceTokenTheAccessTokenIsRenewedAndStaysUnseen(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(r *rig) session{
		"authorization code": (*rig).login, "device code": (*rig).useDevice, "client credentials": (*rig).runCredentials,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := kind{name, begin, "refresh_token"}
			if name == "client credentials" {
				k = rerun
			}
			r := newRig(t, settings{})
			s, first, before := r.beginExpired(k)
			if token := r.get(s).tokenSeen(t); token == first.token {
				t.Error("the upstream saw the old token")
			}
			r.wantRenewals(k, before, 1)
			// The issuer's own token is dead, and does not come back because
			// the gateway could renew it.
			awaitClock(t, first.expiry.Add(1500*time.Millisecond))
			get(t, r.g.url("/"), first.token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
			r.wantRenewals(k, before, 1)
		})
	}
}

func TestAccept26_ReferenceTokensAndTheIssuersOwnAreTakenSideBySide(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{life: 60})
	s := r.login()
	get(t, r.g.url("/"), r.tap.lastIssued(t).token).wantPass(t, "alice")
	r.get(s).wantPass(t, "alice")
	forged := s.access[:len(s.access)-4] + "AAAA"
	for _, token := range []string{forged, "oga_", "oga_x", s.access + "A", "ogx_" + s.access[4:]} {
		get(t, r.g.url("/"), token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	}
}

func TestAccept27_AReferenceRefreshTokenRotatesAndARepeatedOneHasTheSameSuccessor(t *testing.T) {
	forBothKinds(t, settings{life: 60}, func(r *rig, k kind) {
		first := k.begin(r)
		second := r.grant(first, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.refresh}})
		if second.access != first.access || second.refresh == first.refresh {
			r.t.Error("want the same access token and another refresh token")
		}
		again := r.grant(first, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.refresh}})
		if again.refresh != second.refresh {
			r.t.Error("the same refresh token again has another successor")
		}
		r.get(second).seen(r.t)
		third := r.grant(second, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {second.refresh}})
		// Now the second was used: a client that still has the first is not its
		// owner.
		r.refreshAt(first).wantTokenError(r.t, http.StatusBadRequest, "invalid_grant")
		r.wantOver(first)
		r.refreshAt(third).wantTokenError(r.t, http.StatusBadRequest, "invalid_grant")
		if lines := r.g.logLines(func(entry map[string]any) bool {
			text, _ := entry["msg"].(string)
			return entry["level"] == "warn" && entry["sref"] != nil && strings.Contains(text, "used twice")
		}); len(lines) != 1 {
			r.t.Errorf("%d log lines say that a refresh token was used twice, want 1", len(lines))
		}
	})
}

func TestAccept27_AReferenceRefreshTokenBelongsToItsClient(t *testing.T) {
	forBothKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s := k.begin(r)
		calls := len(r.tap.all())
		stranger, wrong, anonymous := s, s, s
		stranger.basic, stranger.public = nil, "other"
		anonymous.basic, anonymous.public = nil, ""
		if s.basic == nil {
			r.refreshAt(stranger).wantTokenError(r.t, http.StatusBadRequest, "invalid_grant")
		} else {
			r.refreshAt(stranger).wantTokenError(r.t, http.StatusUnauthorized, "invalid_client")
		}
		r.refreshAt(anonymous).wantTokenError(r.t, http.StatusUnauthorized, "invalid_client")
		if s.basic != nil {
			wrong.basic = []string{"robot", "another robot's secret"}
			r.refreshAt(wrong).wantTokenError(r.t, http.StatusUnauthorized, "invalid_client")
			wrong.basic, wrong.public = nil, "robot"
			r.refreshAt(wrong).wantTokenError(r.t, http.StatusUnauthorized, "invalid_client")
		}
		if more := len(r.tap.all()) - calls; more != 0 {
			r.t.Errorf("refusing strangers made %d calls", more)
		}
		r.get(s).seen(r.t)
		r.secrets.add(kindReference, r.refreshAt(s).reply(r.t).RefreshToken)
	})
}

// A token for another API, as the server gives it to a client that asks for
// that, is no use behind a reference.
func TestATokenForAnotherAPIIsNotHandedOutAsAReference(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	a := r.post("/token", session{basic: []string{"robot", r.robotSecret}}, url.Values{"grant_type": {"client_credentials"}, "resource": {"api://other"}})
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, `"invalid_target"`) || !strings.Contains(a.body, "another audience") {
		r.t.Errorf("%d %s", a.status, a.body)
	}
	await(t, 10*time.Second, "the log to say why", func() bool {
		return strings.Contains(r.g.proc.out.String(), "wrong_audience: aud is")
	})
	r.get(r.runCredentials())
}
