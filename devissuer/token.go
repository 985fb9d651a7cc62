package devissuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

const (
	grantClient  = "client_credentials"
	grantRefresh = "refresh_token"
	grantCode    = "authorization_code"
)

// tokenAnswer is an answer of RFC 6749 §5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// serveToken is the token endpoint.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	if tokenrequest.AllowOrigins(w, r, http.MethodPost) {
		return
	}
	answer, err := s.grant(w, r)
	if err == nil {
		tokenrequest.WriteJSON(w, http.StatusOK, answer)
		return
	}
	refused, ok := errors.AsType[*tokenrequest.Error](err)
	if !ok {
		refused = &tokenrequest.Error{Status: http.StatusInternalServerError, Code: tokenrequest.ServerError, Description: err.Error()}
	}
	refused.Write(w, "devissuer")
}

// grant answers one token request. Its error is a *tokenrequest.Error when the
// client is at fault.
func (s *Server) grant(w http.ResponseWriter, r *http.Request) (*tokenAnswer, error) {
	q, refused := tokenrequest.Read(w, r)
	if refused != nil {
		return nil, refused
	}
	if refused := s.authenticate(q); refused != nil {
		return nil, refused
	}
	switch q.Form.Get("grant_type") {
	case grantClient:
		if s.clients[q.ClientID].public {
			return nil, tokenrequest.Refuse(tokenrequest.UnauthorizedClient, "a client without a secret cannot speak for itself (RFC 6749 §4.4)")
		}
		return s.grantClient(q.ClientID, q.Form, false)
	case grantRefresh:
		return s.grantRefresh(q.ClientID, q.Form)
	case grantCode:
		return s.grantCode(q.ClientID, q.Form)
	case "":
		// A client that sends a refresh token means the other grant, and would
		// not notice that it was left unused.
		if s.opts.DefaultGrant == grantClient && q.Form.Get("refresh_token") == "" && !s.clients[q.ClientID].public {
			return s.grantClient(q.ClientID, q.Form, true)
		}
		return nil, tokenrequest.Refuse(tokenrequest.InvalidRequest, "grant_type is missing")
	}
	return nil, tokenrequest.Refuse(tokenrequest.UnsupportedGrantType, "grant_type can be "+grantClient+", "+grantRefresh+" or "+grantCode)
}

// grantClient is RFC 6749 §4.4. §4.4.3 advises against a refresh token here,
// since the client can ask again with the same secret at any time. The
// default grant gives one all the same: the demo shows the life of a token
// pair, and a log-in of a user would only hide it.
func (s *Server) grantClient(clientID string, form url.Values, withRefresh bool) (*tokenAnswer, error) {
	scopes, refused := narrow(form.Get("scope"), s.clients[clientID].scopes)
	if refused != nil {
		return nil, refused
	}
	answer, err := s.issue(clientID, clientID, scopes)
	if err == nil && withRefresh {
		answer.RefreshToken = s.refresh.start(s.opts.Now(), clientID, clientID, scopes)
	}
	return answer, err
}

// grantRefresh is RFC 6749 §6, with a new refresh token each time.
func (s *Server) grantRefresh(clientID string, form url.Values) (*tokenAnswer, error) {
	presented := form.Get("refresh_token")
	if presented == "" {
		return nil, tokenrequest.Refuse(tokenrequest.InvalidRequest, "refresh_token is missing")
	}
	next, subject, scopes, refused := s.refresh.rotate(s.opts.Now(), clientID, presented, form.Get("scope"))
	if refused != nil {
		return nil, refused
	}
	answer, err := s.issue(clientID, subject, scopes)
	if err == nil {
		answer.RefreshToken = next
	}
	return answer, err
}

// issue signs an access token as RFC 9068 §2 has it. Without a user the subject
// is the client itself.
func (s *Server) issue(clientID, subject string, scopes []string) (*tokenAnswer, error) {
	seconds := int64(s.opts.Lifetime / time.Second)
	now := s.opts.Now().Unix()
	claims := map[string]any{
		"iss": s.opts.Issuer, "sub": subject, "client_id": clientID, "aud": s.opts.Audience,
		"iat": now, "exp": now + seconds, "jti": random(12),
	}
	if len(s.opts.Audience) == 1 {
		claims["aud"] = s.opts.Audience[0]
	}
	if len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	maps.Copy(claims, s.opts.Claims)
	text, err := s.signer().Token("at+jwt", claims)
	if err != nil {
		return nil, fmt.Errorf("signing an access token: %w", err)
	}
	return &tokenAnswer{AccessToken: text, TokenType: "Bearer", ExpiresIn: seconds, Scope: strings.Join(scopes, " ")}, nil
}

// authenticate proves who the client is. A public one has no secret, and says who
// it is (RFC 6749 §2.3): what it gets it must prove by a verifier or a refresh token.
func (s *Server) authenticate(q *tokenrequest.Request) *tokenrequest.Error {
	// An unknown client compares with a digest of zeros: it takes as long.
	client, known := s.clients[q.ClientID]
	same := 0
	for _, meant := range q.Secrets() {
		presented := sha256.Sum256([]byte(meant.Reveal()))
		same |= subtle.ConstantTimeCompare(presented[:], client.secret[:])
	}
	if same != 1 || !known {
		return tokenrequest.RefuseClient("unknown client, or wrong or missing secret")
	}
	return nil
}

// narrow is what a scope parameter selects of the scopes that may be given:
// all of them when it is empty.
func narrow(requested string, allowed []string) ([]string, *tokenrequest.Error) {
	if requested == "" {
		return allowed, nil
	}
	var granted []string
	for scope := range strings.SplitSeq(requested, " ") {
		if !slices.Contains(allowed, scope) {
			return nil, tokenrequest.Refuse(tokenrequest.InvalidScope, "the scope is malformed, unknown, or more than the client may have")
		}
		if !slices.Contains(granted, scope) {
			granted = append(granted, scope)
		}
	}
	return granted, nil
}

// isScopeToken is scope-token of RFC 6749 §3.3.
func isScopeToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
