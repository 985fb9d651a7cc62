package as

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// How a client proves who it is (RFC 7591 §2, token_endpoint_auth_method).
const (
	AuthBasic = "client_secret_basic"
	AuthPost  = "client_secret_post"
	AuthKey   = "private_key_jwt"
	AuthNone  = "none"
)

// assertionLife is how long a client assertion may be used. It is used once, at
// once; the rest is for clocks that differ.
const assertionLife = time.Minute

// Client is who asks at an authorization server.
type Client struct {
	ID     string
	Secret secret.Text // for client_secret_basic and client_secret_post
	// Method is one of those above. "": private_key_jwt if there is a key, none
	// if there is no secret, else what the metadata offer: client_secret_basic
	// before client_secret_post. It is never found out by trying: a grant that
	// is presented a second time may be taken for a stolen one.
	Method string
	Key    *jwssign.Key // for private_key_jwt (RFC 7523)
	// SecretIssuer is the iss of a secret that is a JWT, signed by Key for each call
	// (Sign in with Apple). "": the secret is what it is.
	SecretIssuer string
	// Audience of the client's assertions. "": the issuer, as OpenID Connect
	// Core's errata and RFC 7523's successor have it. Okta and Entra want the
	// address of their token endpoint. It is one string and never a list: with
	// two, one server could use at the other what was sent to it.
	Audience string
}

// method is the one that will be used, after a look at what it needs.
func (c Client) method(offered []string) (string, error) {
	method := c.Method
	if method == "" {
		method = c.usualMethod(offered)
	}
	switch {
	case c.ID == "":
		return "", errors.New("the client has no id")
	case method == AuthKey && c.Key == nil:
		return "", fmt.Errorf("client %.100q: %s needs a key", c.ID, method)
	case (method == AuthBasic || method == AuthPost) && c.SecretIssuer != "" && c.Key == nil:
		return "", fmt.Errorf("client %.100q: a secret that is signed needs a key", c.ID)
	case (method == AuthBasic || method == AuthPost) && c.SecretIssuer == "" && c.Secret.Empty():
		return "", fmt.Errorf("client %.100q: %s needs a secret", c.ID, method)
	case !slices.Contains([]string{AuthBasic, AuthPost, AuthKey, AuthNone}, method):
		return "", fmt.Errorf("client %.100q: unknown authentication method %.100q", c.ID, method)
	}
	return method, nil
}

func (c Client) usualMethod(offered []string) string {
	switch {
	case c.SecretIssuer != "":
		return AuthPost
	case c.Key != nil:
		return AuthKey
	case c.Secret.Empty():
		return AuthNone
	case len(offered) == 0 || slices.Contains(offered, AuthBasic):
		return AuthBasic // also what RFC 8414 §2 means by saying nothing
	}
	return AuthPost
}

// Encoded reports whether the id or the secret looks different in Basic, which
// has them form-encoded (RFC 6749 §2.3.1). Some servers do not decode them.
func (c Client) Encoded() bool {
	return url.QueryEscape(c.ID) != c.ID || url.QueryEscape(c.Secret.Reveal()) != c.Secret.Reveal()
}

// Print tells clients apart, the secret and the key included, and shows neither.
func (c Client) Print() string {
	var public []byte
	if c.Key != nil {
		public, _ = x509.MarshalPKIXPublicKey(c.Key.Private.Public()) // of a kind that was parsed before
	}
	words := []any{c.ID, c.Method, c.Audience, c.Secret.Reveal(), public}
	if c.SecretIssuer != "" { // else it is what it was before there were such
		words = append(words, c.SecretIssuer, c.Key.ID)
	}
	all, _ := json.Marshal(words) // strings always encode
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}

// authenticate answers a copy of form with the client's proof in it, or sets
// the header that proves it.
func (s *Server) authenticate(header http.Header, form url.Values, c Client, offered []string) (url.Values, error) {
	method, err := c.method(offered)
	if err != nil {
		return nil, err
	}
	proven := url.Values{}
	maps.Copy(proven, form)
	// Whatever stood in the form, the client is this one and no other.
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		proven.Del(name)
	}
	if c.SecretIssuer != "" {
		text, err := s.signedSecret(c)
		if err != nil {
			return nil, fmt.Errorf("client %.100q: signing its secret: %w", c.ID, err)
		}
		c.Secret = secret.New(text)
	}
	switch method {
	case AuthBasic:
		// RFC 6749 §2.3.1: both are form-encoded first, or a colon in an id
		// would end it.
		pair := http.Request{Header: header}
		pair.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret.Reveal()))
		return proven, nil
	case AuthPost:
		proven.Set("client_secret", c.Secret.Reveal())
	case AuthKey:
		assertion, err := s.assertion(c)
		if err != nil {
			return nil, fmt.Errorf("client %.100q: signing its assertion: %w", c.ID, err)
		}
		proven.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		proven.Set("client_assertion", assertion)
	}
	proven.Set("client_id", c.ID)
	return proven, nil
}

// secretLife is how long a secret that was signed may be used: it is made anew for
// each call, so that none runs out.
const secretLife = 5 * time.Minute

// signedSecret is the secret that Apple's documents ask for ("Creating a client
// secret").
func (s *Server) signedSecret(c Client) (string, error) {
	audience, now := c.Audience, s.cfg.Now()
	if audience == "" {
		audience = s.cfg.Issuer
	}
	return c.Key.Token("", map[string]any{
		"iss": c.SecretIssuer, "sub": c.ID, "aud": audience, "iat": now.Unix(), "exp": now.Add(secretLife).Unix(),
	})
}

// assertion proves possession of the client's key once (RFC 7523 §3).
func (s *Server) assertion(c Client) (string, error) {
	audience, now := c.Audience, s.cfg.Now()
	if audience == "" {
		audience = s.cfg.Issuer
	}
	return c.Key.Token("JWT", map[string]any{
		"iss": c.ID, "sub": c.ID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
}

// WouldUse is the method the client authenticates with at a server whose
// metadata list these (none: they say nothing).
func (c Client) WouldUse(offered []string) (string, error) { return c.method(offered) }
