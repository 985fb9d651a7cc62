package devissuer

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

const (
	codeLife = time.Minute
	maxCodes = 1000
)

// login is what an authorization code stands for.
type login struct {
	clientID, redirectURI string
	challenge, nonce      string
	subject               string
	scopes                []string // what the access token gets
	openid, offline       bool
	expires               time.Time
}

// codes are the authorization codes of a server that have not been used.
type codes struct {
	mu    sync.Mutex
	byID  map[string]*login
	order []string
}

func (c *codes) start(l *login) (code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.order) >= maxCodes {
		delete(c.byID, c.order[0])
		c.order = c.order[1:]
	}
	code = random(24)
	c.byID[code] = l
	c.order = append(c.order, code)
	return code
}

// take uses a code up.
func (c *codes) take(code string) *login {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.byID[code]
	delete(c.byID, code)
	return l
}

// grantCode is RFC 6749 §4.1.3 with PKCE (RFC 7636 §4.6).
func (s *Server) grantCode(clientID string, form url.Values) (*tokenAnswer, error) {
	l := s.codes.take(form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if l == nil || l.clientID != clientID || l.redirectURI != form.Get("redirect_uri") || !s.opts.Now().Before(l.expires) ||
		l.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return nil, tokenrequest.Refuse(tokenrequest.InvalidGrant, "the code is unknown, expired, used already, or not for this request")
	}
	answer, err := s.issue(clientID, l.subject, l.scopes)
	if err != nil {
		return nil, err
	}
	if l.offline {
		answer.RefreshToken = s.refresh.start(s.opts.Now(), clientID, l.subject, l.scopes)
	}
	if l.openid {
		answer.IDToken, err = s.idToken(l)
	}
	return answer, err
}

// idToken says who has logged in (OpenID Connect Core §2).
func (s *Server) idToken(l *login) (string, error) {
	now := s.opts.Now().Unix()
	claims := map[string]any{
		"iss": s.opts.Issuer, "sub": l.subject, "aud": l.clientID, "iat": now, "exp": now + int64(time.Hour/time.Second),
		"auth_time": now, "sid": random(12),
	}
	if l.nonce != "" {
		claims["nonce"] = l.nonce
	}
	return s.signer().Token("JWT", claims)
}

// asked splits the scope of an authorization request.
func (l *login) asked(scope string, allowed []string) *tokenrequest.Error {
	words := strings.Fields(scope)
	l.openid, l.offline = slices.Contains(words, "openid"), slices.Contains(words, "offline_access")
	words = slices.DeleteFunc(words, func(word string) bool { return word == "openid" || word == "offline_access" })
	var refused *tokenrequest.Error
	l.scopes, refused = narrow(strings.Join(words, " "), allowed)
	return refused
}
