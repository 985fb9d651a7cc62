package as

import (
	"net/http"
	"slices"
)

// The grant types that renew what was granted before.
const (
	grantRefreshToken      = "refresh_token"
	grantClientCredentials = "client_credentials"
)

// definiteRefusals are the codes of a server that has looked at what is to be renewed,
// and will not: asking again brings the same answer. Of others it is unknown what
// they mean for a grant, so they are as good as an outage.
var definiteRefusals = []string{
	"invalid_request", "unsupported_grant_type", "invalid_scope", // RFC 6749 §5.2
	"access_denied",                                                                            // RFC 6749 §4.1.2.1
	"interaction_required", "login_required", "account_selection_required", "consent_required", // OpenID Connect Core §3.1.2.6
	"invalid_target",                   // RFC 8707 §2
	"invalid_authorization_details",    // RFC 9396 §5
	"insufficient_user_authentication", // RFC 9470 §3
}

// otherWords are codes of servers that have words of their own for those of RFC 6749
// §5.2: GitHub, which sends them with 200, and Slack.
var otherWords = map[string]string{
	"bad_verification_code": "invalid_grant", "bad_refresh_token": "invalid_grant", "incorrect_client_credentials": "invalid_client",
	"invalid_code": "invalid_grant", "code_already_used": "invalid_grant", "code_expired": "invalid_grant", "invalid_refresh_token": "invalid_grant",
	"invalid_client_id": "invalid_client", "bad_client_secret": "invalid_client",
}

// fate tells what an answer means for the grant that was presented. An outage
// is one with whatever code: a proxy, or half a server, may have made it up.
func fate(status int, code, grant string) Fate {
	if known := otherWords[code]; known != "" {
		code = known
	}
	good := status >= 200 && status < 300
	renews := grant == grantRefreshToken || grant == grantClientCredentials
	switch {
	case status < 200 || status > 599, good && code == "":
		return Unknown
	case status >= 500, status == http.StatusTooManyRequests, status >= 300 && status < 400:
		return Unconsumed
	case code == "invalid_grant", renews && slices.Contains(definiteRefusals, code), grant == grantRefreshToken && code == "unauthorized_client":
		return Refused // with whatever 4xx: Auth0 says 403
	case code == "invalid_client", code == "unauthorized_client":
		return BadClient
	}
	return Unconsumed
}

// Busy reports whether the server, by its own word, could not answer any client
// now.
func (e *CallError) Busy() bool {
	return e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests ||
		slices.Contains([]string{"server_error", "temporarily_unavailable", "slow_down"}, e.Code)
}

// Guess reports whether the server's answer to what the gateway presented with
// its own credentials counts as a failure of whoever brought it: servers have
// several names for a code that was made up. One that is busy or does not know
// the gateway is not their fault, and a device that waits for its user was not
// refused (RFC 8628 §3.5).
func (e *CallError) Guess() bool {
	if e.Code == "" || e.Status >= http.StatusInternalServerError || e.Fate == Unknown || e.Fate == BadClient {
		return false
	}
	return !slices.Contains([]string{"temporarily_unavailable", "authorization_pending", "slow_down"}, e.Code)
}

// Broken reports whether a call that failed says something against the endpoint
// itself: it did not answer, broke off, or could not answer at all.
func (e *CallError) Broken() bool { return e.Status == 0 || e.Status == http.StatusOK || e.Busy() }
