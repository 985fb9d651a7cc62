package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// granter is a fakeIssuer that grants: it logs in whom login_hint names, with the
// session's id behind the name, its access tokens live for some seconds, and refresh
// tokens rotate at each use. One that was rotated is taken again for as long as its
// grace, since its client may have died with the answer; later it ends the grant, as
// issuers have it that watch for reuse.
type granter struct {
	*fakeIssuer
	secret string // of all clients

	mu      sync.Mutex
	rnd     *rand.Rand
	codes   map[string]*granted
	refresh map[string]*granted
	renewed int // refreshes that were granted
	again   int // of those, with a token that was rotated before
	reused  int // presented too late: that ends a grant
}

// granted is a grant of the issuer's.
type granted struct {
	subject, sid, client, nonce string
	tokens                      []rotated // refresh tokens, the one that is good last
	over                        bool
}

type rotated struct {
	text string
	at   time.Time
}

const (
	granterGrace  = 10 * time.Minute
	granterKeeps  = 8 // refresh tokens of a grant, the others are unknown
	shortestGrant = 5 // seconds that an access token lives
	longestGrant  = 15
)

func startGranter(t *testing.T, rnd *rand.Rand) *granter {
	t.Helper()
	g := &granter{fakeIssuer: newFakeIssuer(t), secret: "secret-of-all-clients-of-the-soak", rnd: rnd, codes: map[string]*granted{}, refresh: map[string]*granted{}}
	g.says = map[string]any{
		"authorization_endpoint": g.url + "/auth", "end_session_endpoint": g.url + "/end", "response_types_supported": []string{"code"},
		"grant_types_supported":            []string{"authorization_code", "refresh_token", "client_credentials"},
		"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
		"revocation_endpoint": g.url + "/revoke",
	}
	g.more = map[string]http.Handler{"/auth": http.HandlerFunc(g.serveAuth), "/token": http.HandlerFunc(g.serveToken), "/revoke": http.HandlerFunc(g.serveRevoke)}
	g.start()
	return g
}

func (g *granter) serveAuth(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	subject, sid, _ := strings.Cut(q.Get("login_hint"), " ")
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || subject == "" {
		http.Error(w, "nothing to do", http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	code := g.draw("code")
	g.codes[code] = &granted{subject: subject, sid: sid, client: "gateway", nonce: q.Get("nonce")}
	g.mu.Unlock()
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// draw makes a name up, with the lock held.
func (g *granter) draw(of string) string {
	return fmt.Sprintf("%s-%016x%016x", of, g.rnd.Uint64(), g.rnd.Uint64())
}

func (g *granter) serveToken(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if secret != g.secret {
		writeOAuth(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	g.mu.Lock()
	var of *granted
	switch r.PostFormValue("grant_type") {
	case "client_credentials":
		of = &granted{subject: id, client: id}
	case "authorization_code":
		of = g.codes[r.PostFormValue("code")]
		delete(g.codes, r.PostFormValue("code"))
	case "refresh_token":
		of = g.present(r.PostFormValue("refresh_token"))
	}
	if of == nil {
		g.mu.Unlock()
		writeOAuth(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	life := shortestGrant + g.rnd.IntN(longestGrant-shortestGrant+1)
	said := map[string]any{"token_type": "Bearer", "expires_in": life, "scope": "orders:read"}
	if of.client == "gateway" {
		said["refresh_token"] = g.rotate(of)
	}
	g.mu.Unlock()
	said["access_token"] = g.access(of.subject, of.sid, of.client, life)
	if of.client == "gateway" {
		said["id_token"] = g.key().sign(goodClaims(g.url, map[string]any{
			"aud": "gateway", "sub": of.subject, "sid": of.sid, "nonce": of.nonce, "client_id": nil, "scope": nil,
		}), map[string]any{"typ": "JWT"})
	}
	writeOAuth(w, http.StatusOK, said)
}

func writeOAuth(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// access is a JWT for the API.
func (g *granter) access(subject, sid, client string, seconds int) string {
	claims := map[string]any{"sub": subject, "client_id": client, "exp": time.Now().Unix() + int64(seconds), "sid": nil}
	if sid != "" {
		claims["sid"] = sid
	}
	return g.key().sign(goodClaims(g.url, claims), nil)
}

// present answers the grant that a refresh token renews, or nil. It is called with
// the lock held, like rotate.
func (g *granter) present(text string) *granted {
	of := g.refresh[text]
	if of == nil || of.over { // one that the gateway made up, or one of a grant that is over
		return nil
	}
	i := slices.IndexFunc(of.tokens, func(one rotated) bool { return one.text == text })
	switch last := len(of.tokens) - 1; {
	case i == last:
	case time.Since(of.tokens[i].at) > granterGrace:
		g.reused++
		of.over = true
		return nil
	default:
		g.again++
	}
	g.renewed++
	return of
}

// rotate makes the next refresh token of a grant.
func (g *granter) rotate(of *granted) string {
	if last := len(of.tokens) - 1; last >= 0 {
		of.tokens[last].at = time.Now()
	}
	next := g.draw("rt")
	of.tokens = append(of.tokens, rotated{text: next})
	g.refresh[next] = of
	if len(of.tokens) > granterKeeps {
		delete(g.refresh, of.tokens[0].text)
		of.tokens = slices.Delete(of.tokens, 0, 1)
	}
	return next
}

func (g *granter) serveRevoke(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if of := g.refresh[r.PostFormValue("token")]; of != nil {
		of.over = true
		for _, one := range of.tokens {
			delete(g.refresh, one.text)
		}
	}
	w.WriteHeader(http.StatusOK)
}

// logoutToken ends a session of a browser (OpenID Connect Back-Channel Logout §2.4).
func (g *granter) logoutToken(sid string) string {
	return g.key().sign(goodClaims(g.url, map[string]any{
		"aud": "gateway", "sub": nil, "client_id": nil, "scope": nil, "sid": sid, "exp": time.Now().Unix() + 60,
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}), map[string]any{"typ": "logout+jwt"})
}

// rotateKeys has a new key published, and signs with it once who asks for the set
// may have it: a while later than gateways leave a set alone that they have just got.
// The keys of before stay, for as long as what they signed.
func (g *granter) rotateKeys(t *testing.T, pause func(time.Duration)) {
	next := newSignKey(t)
	g.fakeIssuer.mu.Lock()
	old := slices.Clone(g.keys[:min(len(g.keys), 4)])
	g.fakeIssuer.mu.Unlock()
	g.setKeys(append(slices.Clone(old), next)...)
	pause(fetchFloor + time.Second)
	g.setKeys(append([]signKey{next}, old...)...)
}
