package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// session is what an API client has from the gateway's token endpoint, or what a
// browser has in its cookie.
type session struct {
	access, refresh string
	basic           []string // id and secret, for a confidential client
	public          string   // id, for a public one
	cookie          string   // then it has nothing else
}

// A kind of session: how it begins, and by which grant it is renewed.
type kind struct {
	name    string
	begin   func(r *rig) session
	renewal string
}

// The two ways in which grants of API clients are renewed, and browsers.
var (
	withRT  = kind{"with a refresh token", (*rig).login, "refresh_token"}
	rerun   = kind{"run again", (*rig).runCredentials, "client_credentials"}
	browser = kind{"with a cookie", (*rig).browse, "refresh_token"}
)

// presents reports whether a renewal presents a refresh token.
func (k kind) presents() bool { return k.renewal == "refresh_token" }

// forBothKinds runs a case for either kind of reference token.
func forBothKinds(t *testing.T, set settings, test func(r *rig, k kind)) {
	t.Helper()
	forKinds(t, set, []kind{withRT, rerun}, test)
}

// forAllKinds runs a case for reference tokens and for cookies.
func forAllKinds(t *testing.T, set settings, test func(r *rig, k kind)) {
	t.Helper()
	forKinds(t, set, []kind{withRT, rerun, browser}, test)
}

// forRotating runs a case for the kinds that have refresh tokens at the issuer.
func forRotating(t *testing.T, set settings, test func(r *rig, k kind)) {
	t.Helper()
	forKinds(t, set, []kind{withRT, browser}, test)
}

// forKinds runs a case for each kind, with a deployment of its own.
func forKinds(t *testing.T, set settings, kinds []kind, test func(r *rig, k kind)) {
	t.Helper()
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(newRig(t, set), k)
		})
	}
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// login is a public client's: authorization code with PKCE, the code redeemed
// at the gateway.
func (r *rig) login() session {
	r.t.Helper()
	return r.loginAs("alice")
}

func (r *rig) loginAs(user string) session {
	r.t.Helper()
	code, verifier := r.authorize(user)
	return r.grant(session{public: "app"}, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback},
	})
}

const callback = "http://127.0.0.1:9/callback"

// authorize is what a browser does at the authorization server, whose log-in
// page needs no user. The code belongs to the gateway's client id.
func (r *rig) authorize(user string) (code, verifier string) {
	r.t.Helper()
	verifier = rand.Text() + rand.Text()
	r.secrets.add(kindVerifier, verifier)
	sum := sha256.Sum256([]byte(verifier))
	last := r.followTo(r.tap.url+"/auth?"+url.Values{
		"client_id": {"gateway"}, "response_type": {"code"}, "redirect_uri": {callback}, "prompt": {"consent"},
		"scope": {"openid offline_access orders:read orders:write"}, "resource": {audience}, "login_hint": {user},
		"code_challenge": {b64.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), callback)
	code = last.Query().Get("code")
	r.secrets.add(kindCode, code)
	return code, verifier
}

// runCredentials is a confidential client's session.
func (r *rig) runCredentials() session {
	r.t.Helper()
	return r.grant(session{basic: []string{"robot", r.robotSecret}}, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"orders:read orders:write"},
	})
}

// useDevice is a public client's session by way of another screen.
func (r *rig) useDevice() session {
	r.t.Helper()
	a := r.post("/device", session{public: "app"}, url.Values{
		"scope": {"openid offline_access orders:read orders:write"}, "resource": {audience},
	})
	said := a.reply(r.t)
	if a.status != http.StatusOK || said.DeviceCode == "" {
		r.t.Fatalf("the device authorization endpoint answers %d %s", a.status, said.Error)
	}
	r.secrets.add(kindCode, said.DeviceCode)
	form := url.Values{"grant_type": {deviceGrant}, "device_code": {said.DeviceCode}}
	if early := r.post("/token", session{public: "app"}, form).reply(r.t).Error; early != "authorization_pending" && early != "slow_down" {
		r.t.Errorf("before anybody approved, the token endpoint answers %q", early)
	}
	r.control("approve", "user_code", said.UserCode)
	return r.grant(session{public: "app"}, form)
}

// post asks one of the gateway's own endpoints, as the session's client.
func (r *rig) post(path string, as session, form url.Values) answer {
	r.t.Helper()
	a, err := r.tryPost(path, as, form)
	if err != nil {
		r.t.Fatalf("POST %s: %v", path, err)
	}
	return a
}

func (r *rig) tryPost(path string, as session, form url.Values) (answer, error) {
	body := url.Values{}
	maps.Copy(body, form)
	if as.public != "" {
		body.Set("client_id", as.public)
	}
	req, err := http.NewRequest(http.MethodPost, r.g.url(path), strings.NewReader(body.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if as.basic != nil {
		req.SetBasicAuth(url.QueryEscape(as.basic[0]), url.QueryEscape(as.basic[1]))
	}
	return send(r.client, req)
}

// reply reads the answer of a token endpoint.
func (a answer) reply(t *testing.T) reply {
	t.Helper()
	var said reply
	if err := json.Unmarshal([]byte(a.body), &said); err != nil {
		t.Fatalf("the token endpoint's answer with %d is not JSON: %v", a.status, err)
	}
	return said
}

// grant asks the gateway's token endpoint and checks that its answer is one of
// RFC 6749 §5.1.
func (r *rig) grant(as session, form url.Values) session {
	r.t.Helper()
	a := r.post("/token", as, form)
	said := a.reply(r.t)
	if a.status != http.StatusOK || said.Error != "" {
		r.t.Fatalf("the token endpoint refuses %s: %d %s", form.Get("grant_type"), a.status, a.body)
	}
	r.secrets.add(kindReference, said.AccessToken, said.RefreshToken)
	var seconds int
	if err := json.Unmarshal(said.ExpiresIn, &seconds); err != nil || seconds < 1 {
		r.t.Errorf("expires_in %s, want seconds", said.ExpiresIn)
	}
	if !strings.HasPrefix(said.AccessToken, "oga_") || !strings.HasPrefix(said.RefreshToken, "ogr_") || said.TokenType != "Bearer" {
		r.t.Errorf("%.4s… and %.4s… of type %q, want reference tokens", said.AccessToken, said.RefreshToken, said.TokenType)
	}
	if store := a.header.Get("Cache-Control"); store != "no-store" {
		r.t.Errorf("Cache-Control %q, want no-store", store)
	}
	as.access, as.refresh = said.AccessToken, said.RefreshToken
	return as
}

// refresh is the client's own: it gets other reference tokens.
func (r *rig) refreshAt(s session) answer {
	r.t.Helper()
	return r.post("/token", s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.refresh}})
}

// end is what the owner of a session does who has enough of it.
func (r *rig) end(s session) {
	r.t.Helper()
	if s.cookie != "" {
		r.logOut(s)
		return
	}
	if a := r.revoke(s, s.refresh); a.status != http.StatusOK {
		r.t.Errorf("the revocation endpoint answers %d %s", a.status, a.body)
	}
}

// revoke is RFC 7009's.
func (r *rig) revoke(s session, token string) answer {
	r.t.Helper()
	return r.post("/revoke", s, url.Values{"token": {token}})
}

// wantTokenError checks an error of RFC 6749 §5.2.
func (a answer) wantTokenError(t *testing.T, status int, codes ...string) {
	t.Helper()
	said := a.reply(t)
	if a.status != status || !slices.Contains(codes, said.Error) {
		t.Errorf("the token endpoint answers %d %q, want %d with one of %q", a.status, said.Error, status, codes)
	}
	if store := a.header.Get("Cache-Control"); store != "no-store" {
		t.Errorf("Cache-Control %q, want no-store", store)
	}
}
