package caddyoauth

import (
	"errors"
	"fmt"
	"net/http"
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

	Issuer string // whose token it was, where that is known
	LogIn  bool   // a browser that navigates may log in instead, where login is configured
	Bug    bool   // verifying panicked; refused, but somebody should look
}

// The reasons of this package; those of a token are in internal/token.
const (
	noCredential     = "no_credential"
	otherScheme      = "other_scheme"
	badCredential    = "credential_malformed"
	twoCredentials   = "two_credentials"
	ambiguousPath    = "ambiguous_path"
	ambiguousMethod  = "ambiguous_method"
	ambiguousQuery   = "ambiguous_query"
	ambiguousHost    = "ambiguous_host"
	tunnelRefused    = "tunnel"
	noGrant          = "no_grant"
	refreshPresented = "refresh_token"
	strayToken       = "stray_token"
	crossSite        = "cross_site"
	tooEarly         = "too_early"
	missingScope     = "missing_scope"
	missingClaim     = "missing_claim"
	weakLogin        = "acr_insufficient"
	oldLogin         = "login_too_old"
	unsafeClaim      = "unsafe_claim"
	unavailable      = "issuer_unavailable"

	introspectionUnavailable = "introspection_unavailable"
	introspectionLimited     = "introspection_limited"

	grantUnavailable = "grant_unavailable"
	clientGone       = "client_gone"
	internalFailure  = "internal_error"
	accepted         = "accepted"
	anonymous        = "anonymous"
)

// The error codes of RFC 6750 §3.1, and one of RFC 9470.
const (
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
	insufficientLogin = "insufficient_user_authentication" // RFC 9470 §3
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
	token.BoundToken:    "the access token is bound to a key, and such tokens are not accepted here",
	token.NotJWT:        "the access token is not of a form that is accepted here",
}

// rejectToken makes a token's refusal a rejection and leaves failures alone.
func rejectToken(err error, issuer string) error {
	refusal, ok := errors.AsType[*token.Refusal](err)
	if !ok {
		return err
	}
	rejection := &Rejection{
		Status: http.StatusUnauthorized, Reason: string(refusal.Reason), Code: invalidToken,
		Description: descriptions[refusal.Reason], Detail: refusal.Detail, Issuer: issuer, Bug: refusal.Bug,
	}
	if rejection.Description == "" {
		rejection.Description = "the access token is not valid"
	}
	return rejection
}

// rejectIssuer refuses a token of an issuer that is none of the configured ones.
func rejectIssuer(iss string, configured []string) error {
	return rejectToken(&token.Refusal{
		Reason: token.IssuerUnknown,
		Detail: fmt.Sprintf("iss is %.120q, configured: %.500s", iss, strings.Join(configured, " ")),
	}, "")
}

func malformedCredential(reason, detail string) *Rejection {
	return &Rejection{
		Status: http.StatusBadRequest, Reason: reason, Code: invalidRequest,
		Description: "exactly one access token is expected", Detail: detail,
	}
}

// otherCredential answers a scheme that is not Bearer as if there were none:
// its user may have meant somebody else.
func otherCredential(header string) *Rejection {
	return &Rejection{Status: http.StatusUnauthorized, Reason: otherScheme, Detail: header + " is not Bearer"}
}

// challenge is the value of WWW-Authenticate for a rejection (RFC 6750 §3, RFC
// 9470 §3, RFC 9728 §5.1), with the address of the resource's metadata if there
// are any. This is the one place that writes it.
func (r *Rejection) challenge(realm, metadata string) string {
	var params []string
	maxAge := ""
	if r.MaxAge > 0 {
		maxAge = seconds(r.MaxAge)
	}
	for _, p := range [][2]string{
		{"realm", realm},
		{"error", r.Code},
		{"error_description", r.Description},
		{"scope", strings.Join(r.Scope, " ")},
		{"acr_values", strings.Join(r.ACR, " ")},
		{"max_age", maxAge},
		{"resource_metadata", metadata},
	} {
		if p[1] != "" {
			params = append(params, p[0]+`="`+quote.Replace(p[1])+`"`)
		}
	}
	return strings.TrimSuffix("Bearer "+strings.Join(params, ", "), " ")
}

var quote = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// checkRealm keeps out what a quoted string cannot hold (RFC 9110 §5.6.4).
func checkRealm(realm string) error {
	for _, c := range realm {
		if c < ' ' || c > '~' {
			return fmt.Errorf("realm %q: only visible ASCII and spaces can stand in a challenge", realm)
		}
	}
	return nil
}
