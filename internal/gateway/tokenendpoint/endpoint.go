// Package tokenendpoint is where clients get their tokens through the gateway:
// its own token, revocation and device authorization endpoints.
package tokenendpoint

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/limits"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Endpoint is the token endpoint of one gateway, with those for revocation and
// for devices. Nil: there is none.
type Endpoint struct {
	Block    *TokenEndpoint  // provisioned
	Trust    *issuers.Trust  // the issuer that new grants are asked of
	Keeper   *grants.Keeper  // keeps the grants
	Limits   *limits.Limiter // of that issuer
	Log      *zap.Logger
	Audit    *telemetry.Audit // nil: off
	Realm    string           // of Basic challenges; "": one is made up
	Resource string           // what tokens have to be for; "": that has no name

	// Prove judges a token of an issuer as if it came with a request.
	Prove func(ctx context.Context, raw string, r *http.Request, issuer string) (*token.Principal, error)

	// Lacks is scope that every request here needs, and that a token does not
	// have.
	Lacks func(p *token.Principal) []string

	// Advise is what an operator is told to change when a token is refused for a
	// reason.
	Advise func(raw, reason string) string
}

// answering reads a client's request and makes of what serve answers the one
// answer, log line and metric.
func (e *Endpoint) answering(serve func(*call) error) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		misplaced := r.URL.RawQuery != ""
		if misplaced { // whatever it was meant to be, logs would show it
			caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
			r.URL.RawQuery, r.RequestURI = "", r.URL.Path
		}
		if tokenrequest.AllowOrigins(w, r, http.MethodPost) {
			return nil
		}
		if misplaced {
			e.refuse(w, r, nil, tokenrequest.Refuse(tokenrequest.InvalidRequest, "parameters belong in the body, not in the URL"))
			return nil
		}
		q, refused := tokenrequest.Read(w, r, "resource")
		if refused != nil {
			e.refuse(w, r, nil, refused)
			return nil
		}
		call := &call{endpoint: e, Request: q, w: w, r: r}
		attempts, err := e.Limits.Attempt(limits.AtTokenEndpoint, q.ClientID, telemetry.ClientAddress(r))
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
			e.refuse(w, r, call, err)
			return nil
		}
		telemetry.Metrics.TokenRequest(call.issuer(), call.grant, telemetry.Granted)
		e.Audit.TokenRequest(r, q.ClientID, call.grant, call.issuer(), telemetry.Granted, http.StatusOK)
		return nil
	}
}

// refuse answers, counts and logs a refusal of our own endpoints.
func (e *Endpoint) refuse(w http.ResponseWriter, r *http.Request, call *call, err error) {
	refused, wait, level := asRefusal(err)
	issuer, grant, client := e.Trust.Profile.Issuer, "", ""
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
	e.Audit.TokenRequest(r, client, grant, issuer, refused.Code, refused.Status)
	if entry := e.Log.Check(level, "token request refused"); entry != nil {
		entry.Write(zap.String("error", refused.Code), zap.Int("status", refused.Status),
			telemetry.Known("detail", detailOfToken(err)), telemetry.Known("grant_type", grant), zap.String("client_id", telemetry.Bounded(client)),
			zap.String("issuer", issuer), zap.String("client_ip", telemetry.ClientAddress(r)), zap.String("path", r.URL.Path))
	}
	refused.Write(w, e.realm())
}
