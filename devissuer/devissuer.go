// Package devissuer is a small authorization server for the demo and for
// tests: random keys, an in-memory list of refresh tokens, users who are who they
// say, and no storage. It is for development only.
//
// It comes as an [http.Handler] ([New]) and as a Caddy module ([Handler]).
// The gateway never imports it: a production build cannot mint tokens.
package devissuer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

const (
	defaultAlgorithm       = "ES256"
	defaultLifetime        = 5 * time.Minute
	defaultRefreshLifetime = time.Hour
)

// Options say what the server issues, and to whom.
type Options struct {
	// The issuer URL, as it stands in tokens and in the discovery document,
	// to the letter. The endpoints lie below its path.
	Issuer string

	// Who the access tokens are for: the aud claim. A list of one becomes
	// a string. At least one.
	Audience []string

	// Who may ask for tokens. At least one.
	Clients []Client

	// How long access tokens live, in whole seconds. Default: 5m.
	Lifetime time.Duration

	// How long a refresh token and its successors live together.
	// Default: 1h.
	RefreshLifetime time.Duration

	// Further paths of the same host where the token endpoint answers.
	TokenPaths []string

	// The grant to assume when a request names none: empty (an error, as
	// RFC 6749 has it) or client_credentials.
	DefaultGrant string

	// Further claims of every access token.
	Claims map[string]any

	// How access tokens are signed. Default: ES256.
	Algorithm string

	// The clock. Default: time.Now.
	Now func() time.Time
}

// Client is a client.
type Client struct {
	ID string `json:"id"`

	// Without a secret the client is public: a program on a user's machine or
	// in a browser, which can keep none. It gets tokens for users alone, and
	// its redirect URIs on loopback addresses may have any port (RFC 8252
	// §7.3), since such a program takes one that is free.
	Secret string `json:"secret,omitempty"`

	// What the client may ask for. A request without a scope parameter
	// gets all of it.
	Scopes []string `json:"scopes,omitempty"`

	// Where the client lets browsers be sent back to, after a log-in or a
	// log-out, to the letter. Without any no user can log in for it.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
}

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	opts     Options
	issuer   *url.URL
	clients  map[string]registered
	routes   map[string]http.HandlerFunc
	metadata []byte
	refresh  *families
	codes    *codes

	mu   sync.Mutex
	keys []*jwssign.Key // the one that signs is last
}

// registered is a client as the server keeps it: the secret only as a digest,
// so that all secrets compare in the same time whatever their length.
type registered struct {
	secret       [sha256.Size]byte
	public       bool
	scopes       []string
	redirectURIs []string
}

// New makes a server with a new random key.
func New(opts Options) (*Server, error) {
	issuer, err := parseIssuer(opts.Issuer)
	if err != nil {
		return nil, err
	}
	if err := opts.fill(); err != nil {
		return nil, err
	}
	s := &Server{
		opts:    opts,
		issuer:  issuer,
		clients: make(map[string]registered, len(opts.Clients)),
		refresh: &families{byID: map[string]*family{}, lifetime: opts.RefreshLifetime},
		codes:   &codes{byID: map[string]*login{}},
	}
	for _, c := range opts.Clients {
		if err := checkClient(c); err != nil {
			return nil, err
		}
		if _, twice := s.clients[c.ID]; twice {
			return nil, fmt.Errorf("client %q is listed twice", c.ID)
		}
		s.clients[c.ID] = registered{sha256.Sum256([]byte(c.Secret)), c.Secret == "", slices.Clone(c.Scopes), slices.Clone(c.RedirectURIs)}
	}
	if err := s.route(); err != nil {
		return nil, err
	}
	return s, s.Rotate()
}

// fill sets the defaults and checks what has none. It takes its own copies:
// the caller's lists may change later.
func (o *Options) fill() error {
	o.Audience, o.Claims = slices.Clone(o.Audience), maps.Clone(o.Claims)
	if len(o.Audience) == 0 {
		return errors.New("audience is missing: say which API the tokens are for")
	}
	if len(o.Clients) == 0 {
		return errors.New("client is missing: nobody could ask for a token")
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	if err := checkLifetime(o.Lifetime); err != nil {
		return err
	}
	if o.RefreshLifetime == 0 {
		o.RefreshLifetime = defaultRefreshLifetime
	}
	if err := checkDefaultGrant(o.DefaultGrant); err != nil {
		return err
	}
	for name := range o.Claims {
		if err := checkClaim(name); err != nil {
			return err
		}
	}
	if o.Algorithm == "" {
		o.Algorithm = defaultAlgorithm
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Rotate makes a new key and signs with it from now on. The old keys stay
// published until [Server.Retire], for the tokens that they have signed.
func (s *Server) Rotate() error {
	key, err := jwssign.Generate(random(9), s.opts.Algorithm)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, key)
	return nil
}

// Retire stops publishing every key but the one that signs.
func (s *Server) Retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = []*jwssign.Key{s.keys[len(s.keys)-1]}
}

// published are the keys of the JWK Set, as they are now.
func (s *Server) published() []*jwssign.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// signer is the key that signs now.
func (s *Server) signer() *jwssign.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1]
}

// random is a base64url text of n random bytes.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseIssuer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("issuer: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("issuer %q: must be a URL such as http://127.0.0.1:8080/issuer", text)
	case strings.ContainsAny(text, "?#"), u.User != nil:
		return nil, fmt.Errorf("issuer %q: must have no user, query or fragment", text)
	}
	return u, nil
}

func checkClient(c Client) error {
	if c.ID == "" {
		return errors.New("client: the id must not be empty")
	}
	for _, scope := range c.Scopes {
		if !isScopeToken(scope) {
			return fmt.Errorf("client %q: scope %q: must be visible ASCII without quotes and backslashes", c.ID, scope)
		}
	}
	for _, uri := range c.RedirectURIs {
		if !checkRedirectURI(uri) {
			return fmt.Errorf("client %q: redirect_uri %q: must be a whole URL without a fragment", c.ID, uri)
		}
	}
	return nil
}

func checkLifetime(d time.Duration) error {
	if d < time.Second || d%time.Second != 0 {
		return fmt.Errorf("lifetime %s: must be whole seconds, one at least", d)
	}
	return nil
}

func checkTokenPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("token_path %q: must begin with a slash", path)
	}
	return nil
}

func checkDefaultGrant(grant string) error {
	if grant != "" && grant != grantClient {
		return fmt.Errorf("default_grant %q: can only be %s", grant, grantClient)
	}
	return nil
}

// checkClaim keeps the claims that the server makes itself from being
// overwritten by configured ones.
func checkClaim(name string) error {
	switch name {
	case "":
		return errors.New("claim: the name must not be empty")
	case "iss", "sub", "aud", "client_id", "exp", "iat", "jti", "scope":
		return fmt.Errorf("claim %q: the server sets it itself", name)
	}
	return nil
}
