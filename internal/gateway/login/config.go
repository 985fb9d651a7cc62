package login

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/providers"
)

// Login lets browsers log in at the first issuer (OpenID Connect, authorization
// code with PKCE). A browser holds a cookie with a random handle; the tokens
// stay with the gateway, which puts a fresh access token on each request.
type Login struct {
	// The path below which the gateway answers itself: login, callback, logout,
	// backchannel_logout and sessions, whatever matcher the directive has.
	// Nothing below it is ever forwarded. Default: /_oauth.
	Prefix string `json:"prefix,omitempty"`

	// What is asked for beside openid. With offline_access, where the issuer
	// knows it, sessions outlive their first access token. Default: nothing.
	Scope []string `json:"scope,omitempty"`

	// The APIs that the access token is to be for (RFC 8707), in the words of
	// the issuer. Default: the gateway's own resource, if it has one; else none,
	// and the issuer chooses.
	Resource []string `json:"resource,omitempty"`

	// Further parameters of the authorization request, such as audience at
	// Auth0, or prompt.
	Parameter map[string]string `json:"parameter,omitempty"`

	// How the issuer sends a browser back: "query", or "form_post", where it posts a form,
	// as Apple wants it where scope is asked for. Default: query.
	ResponseMode string `json:"response_mode,omitempty"`

	// Send no code challenge (RFC 7636), for an issuer that takes none, such as LinkedIn:
	// a code that somebody stole, or planted, is told from the browser's own by the
	// state alone.
	InsecureNoPKCE bool `json:"insecure_no_pkce,omitempty"`

	// Where the issuer sends a browser back to after a log-out: a URL, or a
	// path of this site. It must be registered there. Default: nowhere; the
	// issuer's own page is the last one.
	PostLogout string `json:"post_logout,omitempty"`

	// Further parameters of the log-out request, for issuers that want an address
	// to come back to under a name of their own, such as logout_uri at Amazon
	// Cognito or returnTo at Auth0. A value that begins with a slash is a path of
	// this site, and is sent as its URL. Default: nothing.
	LogoutParameter map[string]string `json:"logout_parameter,omitempty"`

	// What is known of a user beside the access token: "id_token" for the claims
	// of the ID token, "userinfo" for those of the issuer's userinfo endpoint,
	// which is asked once for each access token. require, copy_claims and
	// placeholders find there, in this order, what the access token of a session
	// does not have. A token that a client brings has its own claims alone.
	// Default: nothing.
	Claims []string `json:"claims,omitempty"`

	// What a session stands for. "access_token": its access token, which is judged
	// with each request, as a client's is. "id_token": the user whom the ID token
	// names, by its claims; it is proven at the log-in, and with each refresh that
	// brings another one. "userinfo": the same, with the claims of the userinfo
	// endpoint for what the ID token does not have. With the last two the access
	// token may be of any kind and for any audience, its issuer alone reads it, and
	// the scope is what the log-in was granted. Clients that bring tokens are judged
	// by audience as ever. Default: access_token.
	Identity string `json:"identity,omitempty"`

	// What the upstream gets in Authorization: "access_token", "id_token" or "none".
	// Default: the access token where a session stands for it, else none.
	Forward string `json:"forward,omitempty"`

	// The name of the session's cookie, which must begin with __Host-. Sites
	// under one host name need different ones. Default: __Host-oauth.
	Cookie string `json:"cookie,omitempty"`

	scope  string
	filled bool // with the words of a provider
	plain  bool // the issuer speaks no OpenID Connect
}

// An underscore begins few applications' paths, and traefik-forward-auth's
// users know this one.
const (
	defaultPrefix = "/_oauth"
	defaultCookie = "__Host-oauth"
)

// ownParameters are set by the gateway alone.
var ownParameters = []string{
	"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "resource", "request", "request_uri",
}

// What "claims" takes.
const (
	OfIDToken  = "id_token"
	OfUserInfo = "userinfo"
)

// ownLogoutParameters are set by the gateway, or by a word of its own.
var ownLogoutParameters = []string{"id_token_hint", "post_logout_redirect_uri", "state"}

// PathPrefix is the path below which the gateway answers itself.
func (l *Login) PathPrefix() string {
	if l.Prefix == "" {
		return defaultPrefix
	}
	return l.Prefix
}

// CookieName is that of the session's cookie, or "" if there is no block. Those of
// log-ins that have begun begin with it.
func (l *Login) CookieName() string {
	if l == nil {
		return ""
	}
	if l.Cookie == "" {
		return defaultCookie
	}
	return l.Cookie
}

// Fill adds the words of the provider of the issuer where browsers log in, once.
func (l *Login) Fill(all []*issuers.Issuer) error {
	if l == nil || l.filled || len(all) == 0 || all[0] == nil {
		return nil
	}
	l.filled = true
	return providers.FillLogin(all[0].Provider, l)
}

// Check looks at the block, and at the issuer where browsers log in.
func (l *Login) Check(first *issuers.Issuer) error {
	if err := l.checkWords(); err != nil {
		return err
	}
	url := strings.Join(first.URL, " ")
	switch {
	case first.Client == nil:
		return fmt.Errorf("login: needs \"client <id> <secret>\" in the block of issuer %s: the gateway logs browsers in as that client", url)
	case !first.LogsIn():
		return fmt.Errorf("login: issuer %s has jwks, and without metadata nobody can tell where to log in: write metadata <url>, or authorization_endpoint <url> and token_endpoint <url>, in its block", url)
	case first.Plain() && l.Identity != UserInfo:
		return fmt.Errorf("login: issuer %s speaks no OpenID Connect (user): what it says of its users is all there is: write identity userinfo", url)
	case first.Plain() && l.Forward == IDToken:
		return fmt.Errorf("login: forward id_token: issuer %s speaks no OpenID Connect (user), and has none", url)
	case l.AsksUserInfo() && !first.Plain() && !first.HasMetadata() && first.UserinfoEndpoint == "":
		return fmt.Errorf("login: userinfo needs userinfo_endpoint <url> in the block of issuer %s: it has jwks, and no metadata to find it in", url)
	}
	return nil
}

func (l *Login) checkWords() error {
	if p := l.Prefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") ||
		strings.ContainsAny(p, "*?#%{}\\ ;") || strings.Contains(p, "//") || strings.Contains(p, "/.")) {
		return fmt.Errorf("login: %q is not a plain path such as /_oauth", p)
	}
	for _, scope := range l.Scope {
		if !policy.IsScopeWord(scope) {
			return fmt.Errorf("login: scope: %q is not one scope word", scope)
		}
	}
	for name := range l.Parameter {
		if name == "" || slices.Contains(ownParameters, name) {
			return fmt.Errorf("login: parameter %q is set by the gateway, or by a word of its own", name)
		}
	}
	if p := l.PostLogout; p != "" && !strings.HasPrefix(p, "https://") && !strings.HasPrefix(p, "http://") &&
		!strings.HasPrefix(p, "{") && (!strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//")) {
		return fmt.Errorf("login: post_logout is %q; it takes a URL or a path of this site", p)
	}
	if err := errors.Join(l.checkLogoutAndClaims(), l.checkIdentity()); err != nil {
		return err
	}
	if c := l.Cookie; c != "" && (!strings.HasPrefix(c, "__Host-") || len(c) > 64 || !httpguts.ValidHeaderFieldName(c) || c == "__Host-") {
		return fmt.Errorf("login: cookie is %q; it takes a name that begins with __Host-, which keeps other hosts from setting it", c)
	}
	if credential.IsBegunName(l.Cookie) {
		return fmt.Errorf("login: cookie is %q; with %s and %d letters end the names of log-ins that have begun: take another, such as __Host-app", l.Cookie, credential.PendingMark, credential.NameLength)
	}
	return nil
}

func (l *Login) checkLogoutAndClaims() error {
	for name, value := range l.LogoutParameter {
		switch {
		case name == "" || slices.Contains(ownLogoutParameters, name):
			return fmt.Errorf("login: logout_parameter %q is set by the gateway, or by post_logout", name)
		case strings.HasPrefix(value, "//"):
			return fmt.Errorf("login: logout_parameter %s is %q; it takes a text, a URL, or a path of this site such as /_oauth/logged_out", name, value)
		}
	}
	for n, from := range l.Claims {
		if from != OfIDToken && from != OfUserInfo || slices.Contains(l.Claims[:n], from) {
			return fmt.Errorf("login: claims: %q is unknown, or there twice; it takes id_token, userinfo or both, in the order in which they count", from)
		}
	}
	return nil
}

// Provision fills placeholders in, if there is a block. own is the URL of the
// gateway's own resource, or "".
func (l *Login) Provision(repl *caddy.Replacer, own string, first *issuers.Issuer) error {
	if l == nil {
		return nil
	}
	l.plain = first.Plain()
	if len(l.Resource) == 0 && own != "" && !l.plain {
		l.Resource = []string{own}
	}
	scope, err := grammar.ResolveAll(repl, "login: scope", l.Scope)
	if err != nil {
		return err
	}
	if l.Resource, err = grammar.ResolveAll(repl, "login: resource", l.Resource); err != nil {
		return err
	}
	for name, value := range l.Parameter {
		if l.Parameter[name], err = grammar.Resolve(repl, "login: parameter "+name, value); err != nil {
			return err
		}
	}
	for name, value := range l.LogoutParameter {
		if l.LogoutParameter[name], err = grammar.Resolve(repl, "login: logout_parameter "+name, value); err != nil {
			return err
		}
	}
	if l.PostLogout, err = grammar.Resolve(repl, "login: post_logout", l.PostLogout); err != nil {
		return err
	}
	words := []string{"openid"}
	if l.plain {
		words = nil
	}
	for _, word := range scope {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	l.scope = strings.Join(words, " ")
	return nil
}

// CallbackPath is where the issuer sends a browser back to.
func (l *Login) CallbackPath() string { return l.PathPrefix() + pathCallback }

// Owns reports whether a path is below the prefix. Case does not count,
// as it does not for Caddy's own path matcher.
func (l *Login) Owns(path string) bool {
	n := len(l.PathPrefix())
	return len(path) > n && path[n] == '/' && strings.EqualFold(path[:n], l.PathPrefix())
}
