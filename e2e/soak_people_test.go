package e2e

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// enduring is one session of a soak: a browser's, an API client's, or a JWT that its
// client brings itself.
type enduring struct {
	how     enduringKind
	subject string
	sid     string // at the issuer; none for clients that act for themselves
	jti     string // of a JWT
	began   time.Time
	expiry  time.Time // of a JWT
	session
	beside *enduring // another session of the same user

	mu      sync.Mutex
	taking  time.Time // when somebody began to take it back
	taken   time.Time // when the gateway said that it is
	gone    bool      // it is to be asked with no more
	streams map[*openStream]struct{}
}

type enduringKind int

const (
	aBrowser enduringKind = iota
	anApp                 // a reference token, with a refresh token behind it
	aRobot                // a reference token, of client_credentials
	aJWT
)

func (k enduringKind) String() string {
	return [...]string{"a browser", "an app", "a robot", "a JWT"}[k]
}

// jwtLives is how long JWTs live that clients bring themselves: less than the list
// of what was taken back remembers them.
const jwtLives = 2 * time.Minute

// back tells since when it is being taken back, and since when it is.
func (x *enduring) back() (taking, taken time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.taking, x.taken
}

// living reports whether requests with it have to be served.
func (x *enduring) living() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.taking.IsZero() && !x.gone && !x.runsOut()
}

// runsOut reports whether it is soon over by itself.
func (x *enduring) runsOut() bool { return x.how == aJWT && time.Until(x.expiry) < 15*time.Second }

// begin begins a session at a node.
func (s *soak) begin(n *soakNode, how enduringKind, subject string) (*enduring, error) {
	x := &enduring{how: how, subject: subject, streams: map[*openStream]struct{}{}}
	if how != aRobot {
		x.sid = "sid-" + rand.Text()
	}
	var err error
	switch how {
	case aBrowser:
		err = s.beginBrowser(n, x)
	case anApp:
		err = s.beginApp(n, x)
	case aRobot:
		x.basic = []string{subject, s.issuer.secret}
		err = n.grant(x, url.Values{"grant_type": {"client_credentials"}})
	case aJWT:
		x.expiry = time.Now().Add(jwtLives)
		x.access = s.issuer.access(subject, x.sid, "shop", int(jwtLives/time.Second))
		x.jti = claimOf(x.access, "jti")
	}
	x.began = time.Now()
	return x, err
}

func claimOf(token, name string) string {
	var claims map[string]any
	raw, _ := b64.DecodeString(strings.Split(token, ".")[1])
	_ = json.Unmarshal(raw, &claims)
	text, _ := claims[name].(string)
	return text
}

// logIn asks the issuer as a browser does, and answers where it is sent.
func (s *soak) logIn(address string, x *enduring) (url.Values, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	q := at.Query()
	q.Set("login_hint", x.subject+" "+x.sid)
	at.RawQuery = q.Encode()
	resp, err := s.browser.Get(at.String())
	if err != nil {
		return nil, err
	}
	closeAll(resp.Body)
	back, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("the issuer answers with %d", resp.StatusCode)
	}
	return back.Query(), nil
}

func (s *soak) beginBrowser(n *soakNode, x *enduring) error {
	req, _ := http.NewRequest(http.MethodGet, n.url("/orders"), nil)
	asNavigation(req)
	sent, err := send(n.client, req)
	if err != nil || sent.status != http.StatusFound || len(sent.cookies()) != 1 {
		return fmt.Errorf("a navigation gets %d: %w", sent.status, cmp.Or(err, errNot))
	}
	back, err := s.logIn(sent.header.Get("Location"), x)
	if err != nil {
		return err
	}
	req, _ = http.NewRequest(http.MethodGet, n.url("/_oauth/callback?"+back.Encode()), nil)
	asNavigation(req)
	begun := sent.cookies()[0]
	req.AddCookie(&http.Cookie{Name: begun.Name, Value: begun.Value})
	a, err := send(n.client, req)
	if err != nil {
		return err
	}
	for _, c := range a.cookies() {
		if c.Name == sessionCookie && c.MaxAge == 0 {
			x.cookie = c.Value
			return nil
		}
	}
	return fmt.Errorf("the callback gets %d: %w", a.status, errNot)
}

var errNot = errors.New("not what was wanted")

func (s *soak) beginApp(n *soakNode, x *enduring) error {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	back, err := s.logIn(s.issuer.url+"/auth?"+url.Values{
		"client_id": {"gateway"}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid offline_access orders:read"},
		"code_challenge": {b64.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), x)
	if err != nil {
		return err
	}
	x.public = "app"
	return n.grant(x, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "code_verifier": {verifier}, "redirect_uri": {callback},
	})
}

// grant asks the node's token endpoint.
func (n *soakNode) grant(x *enduring, form url.Values) error {
	a, err := n.post("/token", x.session, form)
	if err != nil {
		return err
	}
	var said reply
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || a.status != http.StatusOK {
		return fmt.Errorf("the token endpoint answers %d %s: %w", a.status, said.Error, errNot)
	}
	x.access, x.refresh = said.AccessToken, said.RefreshToken
	return nil
}

func (n *soakNode) post(path string, as session, form url.Values) (answer, error) {
	r := &rig{g: n.gateway, client: n.client}
	return r.tryPost(path, as, form)
}
