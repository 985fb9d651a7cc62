package devissuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	grantClient  = "client_credentials"
	grantRefresh = "refresh_token"

	maxBody = 16 << 10
)

// tokenError is an answer of RFC 6749 §5.2.
type tokenError struct {
	status      int
	code        string
	description string
}

func (e *tokenError) Error() string { return e.code + ": " + e.description }

func badRequest(code, description string) *tokenError {
	return &tokenError{http.StatusBadRequest, code, description}
}

// tokenAnswer is an answer of RFC 6749 §5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// serveToken is the token endpoint.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache") // RFC 6749 §5.1 wants both
	h.Set("Content-Type", "application/json")

	answer, err := s.grant(w, r)
	if err == nil {
		_ = json.NewEncoder(w).Encode(answer) // the client's hanging up is its own affair
		return
	}
	var refused *tokenError
	if !errors.As(err, &refused) {
		refused = &tokenError{http.StatusInternalServerError, "server_error", err.Error()}
	}
	switch refused.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="devissuer"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	}
	w.WriteHeader(refused.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": refused.code, "error_description": refused.description})
}

// grant answers one token request. Its error is a *tokenError when the client
// is at fault.
func (s *Server) grant(w http.ResponseWriter, r *http.Request) (*tokenAnswer, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	clientID, err := s.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	switch form.Get("grant_type") {
	case grantClient:
		return s.grantClient(clientID, form, false)
	case grantRefresh:
		return s.grantRefresh(clientID, form)
	case "":
		// Whoever sends a refresh token means the other grant, and would
		// not notice that it was left unused.
		if s.opts.DefaultGrant == grantClient && form.Get("refresh_token") == "" {
			return s.grantClient(clientID, form, true)
		}
		return nil, badRequest("invalid_request", "grant_type is missing")
	}
	return nil, badRequest("unsupported_grant_type", "grant_type can be "+grantClient+" or "+grantRefresh)
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
	answer, err := s.issue(clientID, scopes)
	if err == nil && withRefresh {
		answer.RefreshToken = s.refresh.start(s.opts.Now(), clientID, scopes)
	}
	return answer, err
}

// grantRefresh is RFC 6749 §6, with a new refresh token each time.
func (s *Server) grantRefresh(clientID string, form url.Values) (*tokenAnswer, error) {
	presented := form.Get("refresh_token")
	if presented == "" {
		return nil, badRequest("invalid_request", "refresh_token is missing")
	}
	next, scopes, refused := s.refresh.rotate(s.opts.Now(), clientID, presented, form.Get("scope"))
	if refused != nil {
		return nil, refused
	}
	answer, err := s.issue(clientID, scopes)
	if err == nil {
		answer.RefreshToken = next
	}
	return answer, err
}

// issue signs an access token as RFC 9068 §2 has it. There is no user: the
// subject is the client itself.
func (s *Server) issue(clientID string, scopes []string) (*tokenAnswer, error) {
	seconds := int64(s.opts.Lifetime / time.Second)
	now := s.opts.Now().Unix()
	claims := map[string]any{
		"iss": s.opts.Issuer, "sub": clientID, "client_id": clientID, "aud": s.opts.Audience,
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

// readForm reads the body, and the body alone: RFC 6749 §2.3.1 forbids
// secrets in the URL.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, &tokenError{http.StatusMethodNotAllowed, "invalid_request", "the token endpoint takes POST only"}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest("invalid_request", "the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, &tokenError{http.StatusRequestEntityTooLarge, "invalid_request", "the body is too large"}
		}
		return nil, badRequest("invalid_request", "the request cannot be read as a form")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 { // RFC 6749 §3.2
			return nil, badRequest("invalid_request", fmt.Sprintf("parameter %q occurs more than once", name))
		}
	}
	return r.PostForm, nil
}

// authenticate is RFC 6749 §2.3.1: either the header or the body, not both.
func (s *Server) authenticate(r *http.Request, form url.Values) (clientID string, err error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if r.Header.Get("Authorization") != "" {
		if secret != "" {
			return "", badRequest("invalid_request", "the client authenticates in two ways at once")
		}
		user, password, _ := r.BasicAuth()
		// RFC 6749 §2.3.1 has both form-encoded before they are joined.
		user, errID := url.QueryUnescape(user)
		password, errSecret := url.QueryUnescape(password)
		if errID != nil || errSecret != nil || (id != "" && id != user) {
			return "", badRequest("invalid_request", "the client's id and secret cannot be read, or differ from the body's")
		}
		id, secret = user, password
	}
	// An unknown client compares with a digest of zeros: it takes as long.
	client, known := s.clients[id]
	presented := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(presented[:], client.secret[:]) != 1 || !known {
		return "", &tokenError{http.StatusUnauthorized, "invalid_client", "unknown client, or wrong or missing secret"}
	}
	return id, nil
}

// narrow is what a scope parameter selects of the scopes that may be given:
// all of them when it is empty.
func narrow(requested string, allowed []string) ([]string, *tokenError) {
	if requested == "" {
		return allowed, nil
	}
	var granted []string
	for scope := range strings.SplitSeq(requested, " ") {
		if !slices.Contains(allowed, scope) {
			return nil, badRequest("invalid_scope", "the scope is malformed, unknown, or more than the client may have")
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
