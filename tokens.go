package caddyoauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
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

// The grant types (RFC 6749, RFC 8628 §3.4).
const (
	grantClientCredentials = "client_credentials"
	grantRefreshToken      = "refresh_token"
	grantAuthorizationCode = "authorization_code"
	grantDeviceCode        = "device_code"
	deviceCodeURN          = "urn:ietf:params:oauth:grant-type:device_code"
)

var (
	grantTypes        = []string{grantClientCredentials, grantRefreshToken, grantAuthorizationCode, grantDeviceCode}
	defaultGrantTypes = []string{grantClientCredentials, grantRefreshToken}
)

// check needs the issuer that new grants are asked of.
func (e *TokenEndpoint) check(first *Issuer) error {
	if err := e.checkWords(); err != nil {
		return err
	}
	url := strings.Join(first.URL, " ")
	switch {
	case e.DefaultGrant != "" && !e.takes(grantClientCredentials):
		return errors.New("token_endpoint: default_grant is not among grant_types")
	case e.needsClient() && len(e.PublicClients) == 0:
		return errors.New("token_endpoint: authorization_code and device_code need public_clients <client_id…>")
	case e.needsClient() && first.Client == nil:
		return fmt.Errorf("token_endpoint: authorization_code and device_code need \"client <id> <secret>\" in the block of issuer %s: the gateway asks there with its own credentials", url)
	case e.DeviceAuthorizationEndpoint != "" && !e.takes(grantDeviceCode):
		return errors.New("token_endpoint: device_authorization_endpoint needs device_code among grant_types")
	case first.JWKS != "":
		return fmt.Errorf("token_endpoint: issuer %s has jwks, and without metadata nobody can tell where its token endpoint is", url)
	}
	return nil
}

// checkWords looks at each word by itself.
func (e *TokenEndpoint) checkWords() error {
	if len(e.Path) == 0 {
		return errors.New("token_endpoint: no path")
	}
	seen := map[string]bool{}
	for _, path := range e.paths() {
		switch {
		case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "*?#%{}\\ ") || strings.Contains(path, "//"):
			return fmt.Errorf("token_endpoint: %q is not a plain path such as /token", path)
		case seen[path]:
			return fmt.Errorf("token_endpoint: the path %s is there twice", path)
		}
		seen[path] = true
	}
	for _, grant := range e.GrantTypes {
		if !slices.Contains(grantTypes, grant) {
			return fmt.Errorf("token_endpoint: grant type %q; it takes %s", grant, strings.Join(grantTypes, ", "))
		}
	}
	switch {
	case e.DefaultGrant != "" && e.DefaultGrant != grantClientCredentials:
		return fmt.Errorf("token_endpoint: default_grant is %q; it takes client_credentials", e.DefaultGrant)
	case slices.Contains(e.PublicClients, ""):
		return errors.New("token_endpoint: an empty public client")
	}
	return nil
}

func (e *TokenEndpoint) takes(grant string) bool {
	if len(e.GrantTypes) == 0 {
		return slices.Contains(defaultGrantTypes, grant)
	}
	return slices.Contains(e.GrantTypes, grant)
}

func (e *TokenEndpoint) needsClient() bool {
	return e.takes(grantAuthorizationCode) || e.takes(grantDeviceCode)
}

// paths are all that the gateway answers itself.
func (e *TokenEndpoint) paths() []string {
	paths := slices.Clone(e.Path)
	for _, path := range []string{e.RevocationEndpoint, e.DeviceAuthorizationEndpoint} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

func (e *TokenEndpoint) provision(repl *caddy.Replacer) (err error) {
	e.PublicClients, err = grammar.ResolveAll(repl, "token_endpoint: public_clients", e.PublicClients)
	return err
}

// serve finds the endpoint at a path.
func (e *TokenEndpoint) serve(g *Gateway, is func(path string) bool) ownHandler {
	switch {
	case slices.ContainsFunc(e.Path, is):
		return g.own(g.serveToken)
	case is(e.RevocationEndpoint):
		return g.own(g.serveRevocation)
	case is(e.DeviceAuthorizationEndpoint):
		return g.own(g.serveDeviceAuthorization)
	}
	return nil
}

// own reads a client's request and makes of what serve answers the one answer,
// log line and metric.
func (g *Gateway) own(serve func(*tokenCall) error) ownHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.RawQuery != "" {
			// Whatever it was meant to be, logs would show it.
			caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
			r.URL.RawQuery, r.RequestURI = "", r.URL.Path
			g.refuseToken(w, r, nil, tokenrequest.Refuse(tokenrequest.InvalidRequest, "parameters belong in the body, not in the URL"))
			return nil
		}
		q, refused := tokenrequest.Read(w, r, "resource")
		if refused != nil {
			g.refuseToken(w, r, nil, refused)
			return nil
		}
		call := &tokenCall{gateway: g, Request: q, w: w, r: r}
		attempts, err := g.limits.Attempt(limits.AtTokenEndpoint, q.ClientID, telemetry.ClientAddress(r))
		if err == nil {
			defer func() {
				if call.leave != nil {
					call.leave()
				}
			}()
			if err = serve(call); failedAttempt(err) {
				attempts.Fail()
			}
		}
		if err != nil {
			g.refuseToken(w, r, call, err)
			return nil
		}
		telemetry.Metrics.TokenRequest(call.issuer(), call.grant, telemetry.Granted)
		g.audit.TokenRequest(r, q.ClientID, call.grant, call.issuer(), telemetry.Granted, http.StatusOK)
		return nil
	}
}

// refuseToken answers, counts and logs a refusal of our own endpoints.
func (g *Gateway) refuseToken(w http.ResponseWriter, r *http.Request, call *tokenCall, err error) {
	refused, wait, level := asRefusal(err)
	issuer, grant, client := g.validator.first().profile.Issuer, "", ""
	if call != nil {
		grant, client = call.grant, call.ClientID
	}
	if r.Context().Err() != nil && refused.Status >= http.StatusInternalServerError {
		refused.Status, refused.Code = verdict.StatusClientGone, verdict.ClientGone
	}
	if wait > 0 {
		w.Header().Set("Retry-After", verdict.Seconds(wait))
	}
	telemetry.Metrics.TokenRequest(issuer, grant, refused.Code)
	g.audit.TokenRequest(r, client, grant, issuer, refused.Code, refused.Status)
	if entry := g.log.Check(level, "token request refused"); entry != nil {
		entry.Write(zap.String("error", refused.Code), zap.Int("status", refused.Status),
			telemetry.Known("detail", detailOfToken(err)), telemetry.Known("grant_type", grant), zap.String("client_id", telemetry.Bounded(client)),
			zap.String("issuer", issuer), zap.String("client_ip", telemetry.ClientAddress(r)), zap.String("path", r.URL.Path))
	}
	refused.Write(w, g.realmOrHost())
}
