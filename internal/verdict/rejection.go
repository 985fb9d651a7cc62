// Package verdict is what is said to a request that does not pass: the
// rejection, its reasons, and the challenge (RFC 6750 §3).
package verdict

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Rejection is a verdict: the request does not pass, and that is its sender's
// affair. Every other error is a failure of ours or of the issuer.
type Rejection struct {
	Status      int      // 400, 401 or 403; or 425, without a challenge
	Reason      string   // a stable code for logs, metrics and placeholders
	Code        string   // the error of RFC 6750 §3.1, or "" where there is no credential
	Description string   // for the client; never anything it sent
	Detail      string   // for the operator's log
	Scope       []string // what the request would need (RFC 6750 §3)

	// How the user would have to log in: in one of these ways, best first, and
	// no longer ago than this; none or 0: that does not matter (RFC 9470 §3).
	ACR    []string
	MaxAge time.Duration

	Issuer string    // whose token it was, where that is known
	Since  time.Time // of a token that is outdated: since when that is known
	LogIn  bool      // a browser that navigates may log in instead, where login is configured
	Bug    bool      // verifying panicked; refused, but it should be looked into
}

// The reasons of this package; those of a token are in internal/token.
const (
	NoCredential      = "no_credential" //nolint:gosec // a reason, and no credential
	OtherScheme       = "other_scheme"
	BadCredential     = "credential_malformed" //nolint:gosec // a reason, and no credential
	TwoCredentials    = "two_credentials"
	AmbiguousPath     = "ambiguous_path"
	AmbiguousMethod   = "ambiguous_method"
	AmbiguousQuery    = "ambiguous_query"
	AmbiguousHost     = "ambiguous_host"
	TunnelRefused     = "tunnel"
	NoGrant           = "no_grant"
	RefreshPresented  = "refresh_token"
	strayToken        = "stray_token"
	CrossSite         = "cross_site"
	TooEarly          = "too_early"
	MissingScope      = "missing_scope"
	MissingClaim      = "missing_claim"
	ClaimElsewhere    = "claim_elsewhere"
	WeakLogIn         = "acr_insufficient"
	OldLogIn          = "login_too_old"
	UnsafeClaim       = "unsafe_claim"
	IssuerUnavailable = "issuer_unavailable"

	IntrospectionUnavailable = "introspection_unavailable"
	IntrospectionLimited     = "introspection_limited"

	UserInfoUnavailable = "userinfo_unavailable"

	SignalsSilent = "signals_silent"

	StatusUnavailable = "status_unavailable"

	GrantUnavailable = "grant_unavailable"

	RevocationsUnavailable = "revocations_unavailable"

	ClientGone      = "client_gone"
	InternalFailure = "internal_error"
	Accepted        = "accepted"
	Anonymous       = "anonymous"
)

// StatusClientGone is what Caddy logs for a client that did not wait.
const StatusClientGone = 499

// The error codes of RFC 6750 §3.1, and one of RFC 9470.
const (
	InvalidRequest    = "invalid_request"
	InvalidToken      = "invalid_token"
	InsufficientScope = "insufficient_scope"
	InsufficientLogIn = "insufficient_user_authentication" // RFC 9470 §3
)

// Error is the reason alone: it may end up on a page ({err.message}) or raw in
// a log, where what a stranger wrote must not.
func (r *Rejection) Error() string { return r.Reason }

// descriptions tell a client what it can act on, and a forger nothing.
var descriptions = map[token.Reason]string{
	token.Expired:       "the access token has expired",
	token.NotYetValid:   "the access token is not valid yet",
	token.WrongAudience: "the access token is not meant for this resource",
	token.IssuerUnknown: "the issuer of the access token is not accepted here",
	token.Inactive:      "the access token is not active",
	token.Outdated:      "the access token is out of date: get a new one",
	token.Revoked:       "the access token was revoked",
	token.StatusRefused: "the access token was revoked or suspended",
	token.BoundToken:    "the access token is bound to a key, and such tokens are not accepted here",
	token.NotJWT:        "the access token is not of a form that is accepted here",
}

// OfToken makes a token's refusal a rejection and leaves failures alone.
func OfToken(err error, issuer string) error {
	refusal, ok := errors.AsType[*token.Refusal](err)
	if !ok {
		return err
	}
	rejection := &Rejection{
		Status: http.StatusUnauthorized, Reason: string(refusal.Reason), Code: InvalidToken,
		Description: descriptions[refusal.Reason], Detail: refusal.Detail, Issuer: issuer, Bug: refusal.Bug,
	}
	if rejection.Description == "" {
		rejection.Description = "the access token is not valid"
	}
	return rejection
}

// UnknownIssuer refuses a token of an issuer that is none of the configured ones.
func UnknownIssuer(iss string, configured []string) error {
	return OfToken(&token.Refusal{
		Reason: token.IssuerUnknown,
		Detail: fmt.Sprintf("iss is %.120q, configured: %.500s%s", iss, strings.Join(configured, " "), token.Near([]string{iss}, configured)),
	}, "")
}

// Malformed refuses what is not exactly one credential (RFC 6750 §3.1).
func Malformed(reason, detail string) *Rejection {
	return &Rejection{
		Status: http.StatusBadRequest, Reason: reason, Code: InvalidRequest,
		Description: "exactly one access token is expected", Detail: detail,
	}
}

// NotBearer answers a scheme that is not Bearer as if there were none:
// its user may have meant another server.
func NotBearer(header string) *Rejection {
	return &Rejection{Status: http.StatusUnauthorized, Reason: OtherScheme, Detail: header + " is not Bearer"}
}

// OfReference refuses one of the gateway's own tokens: NoGrant or
// RefreshPresented is the reason.
func OfReference(reason, detail string) *Rejection {
	return &Rejection{
		Status: http.StatusUnauthorized, Reason: reason, Code: InvalidToken,
		Description: descriptionOf[reason], Detail: detail,
	}
}

var descriptionOf = map[string]string{
	NoGrant:          "the access token is unknown, or its grant has ended",
	RefreshPresented: "a refresh token is not an access token",
}

// StrayToken refuses a request with one of the gateway's own tokens where none
// belongs.
func StrayToken() *Rejection {
	return &Rejection{
		Status: http.StatusBadRequest, Reason: strayToken, Code: InvalidRequest,
		Description: "a token stands where none belongs", Detail: "a reference token outside of its place, or a reference refresh token",
	}
}

// Seconds writes a wait, rounded up and never none.
func Seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second)))
}

// DetailOf is what the operator's log says of an error: a rejection's detail, or
// the text of a failure.
func DetailOf(err error) string {
	if rejection, ok := errors.AsType[*Rejection](err); ok {
		return rejection.Detail
	}
	return err.Error()
}
