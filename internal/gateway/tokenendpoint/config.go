package tokenendpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// TokenEndpoint lets API clients get their tokens through the gateway, which
// keeps what the issuer granted and hands out reference tokens. New grants are
// asked of the first issuer; those of the others go on.
type TokenEndpoint struct {
	// The paths of the endpoint, one or more. They answer whatever matcher the
	// directive has, and are never forwarded.
	Path []string `json:"path,omitempty"`

	// The grant types that are taken, of client_credentials, refresh_token,
	// authorization_code and device_code (RFC 6749, RFC 8628). Default:
	// client_credentials and refresh_token.
	GrantTypes []string `json:"grant_types,omitempty"`

	// The ids of clients without a secret, which may use authorization_code
	// and device_code. At the issuer the gateway's own client stands for them.
	PublicClients []string `json:"public_clients,omitempty"`

	// What a request without grant_type means. Only client_credentials can be
	// chosen. Default: such a request is an error.
	DefaultGrant string `json:"default_grant,omitempty"`

	// The path where clients end their grants (RFC 7009). Default: none.
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`

	// The path where devices begin (RFC 8628 §3.1). Default: none.
	DeviceAuthorizationEndpoint string `json:"device_authorization_endpoint,omitempty"`
}

// GrantTypes are those that can be taken, and DefaultGrantTypes those that are
// where nothing is said.
var (
	GrantTypes        = []string{tokenrequest.ClientCredentials, tokenrequest.RefreshToken, tokenrequest.AuthorizationCode, tokenrequest.DeviceCode}
	DefaultGrantTypes = []string{tokenrequest.ClientCredentials, tokenrequest.RefreshToken}
)

// Check finds what is wrong without looking outside. first is the issuer that new
// grants are asked of.
func (e *TokenEndpoint) Check(first *issuers.Issuer) error {
	if err := e.CheckWords(); err != nil {
		return err
	}
	url := strings.Join(first.URL, " ")
	switch {
	case e.DefaultGrant != "" && !e.Takes(tokenrequest.ClientCredentials):
		return errors.New("token_endpoint: default_grant is not among grant_types")
	case e.needsClient() && len(e.PublicClients) == 0:
		return errors.New("token_endpoint: authorization_code and device_code need public_clients <client_id…>")
	case e.needsClient() && first.Client == nil:
		return fmt.Errorf("token_endpoint: authorization_code and device_code need \"client <id> <secret>\" in the block of issuer %s: the gateway asks there with its own credentials", url)
	case e.DeviceAuthorizationEndpoint != "" && !e.Takes(tokenrequest.DeviceCode):
		return errors.New("token_endpoint: device_authorization_endpoint needs device_code among grant_types")
	case !first.GrantsTokens():
		return fmt.Errorf("token_endpoint: issuer %s has jwks, and without metadata nobody can tell where its token endpoint is: write metadata <url> or token_endpoint <url> in its block", url)
	}
	return nil
}

// CheckWords finds what is wrong with each word by itself.
func (e *TokenEndpoint) CheckWords() error {
	if len(e.Path) == 0 {
		return errors.New("token_endpoint: no path")
	}
	seen := map[string]bool{}
	for _, path := range e.Paths() {
		switch {
		case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "*?#%{}\\ ") || strings.Contains(path, "//"):
			return fmt.Errorf("token_endpoint: %q is not a plain path such as /token", path)
		case seen[path]:
			return fmt.Errorf("token_endpoint: the path %s is there twice", path)
		}
		seen[path] = true
	}
	for _, grant := range e.GrantTypes {
		if !slices.Contains(GrantTypes, grant) {
			return fmt.Errorf("token_endpoint: grant type %q; it takes %s", grant, strings.Join(GrantTypes, ", "))
		}
	}
	switch {
	case e.DefaultGrant != "" && e.DefaultGrant != tokenrequest.ClientCredentials:
		return fmt.Errorf("token_endpoint: default_grant is %q; it takes client_credentials", e.DefaultGrant)
	case slices.Contains(e.PublicClients, ""):
		return errors.New("token_endpoint: an empty public client")
	}
	return nil
}

// Takes reports whether a grant type is taken.
func (e *TokenEndpoint) Takes(grant string) bool {
	if len(e.GrantTypes) == 0 {
		return slices.Contains(DefaultGrantTypes, grant)
	}
	return slices.Contains(e.GrantTypes, grant)
}

func (e *TokenEndpoint) needsClient() bool {
	return e.Takes(tokenrequest.AuthorizationCode) || e.Takes(tokenrequest.DeviceCode)
}

// Provision replaces the placeholders, if there is a block.
func (e *TokenEndpoint) Provision(repl *caddy.Replacer) (err error) {
	if e == nil {
		return nil
	}
	e.PublicClients, err = grammar.ResolveAll(repl, "token_endpoint: public_clients", e.PublicClients)
	return err
}
