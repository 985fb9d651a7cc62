package doctor

import (
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// checkLogin looks for what logging browsers in needs of the issuer.
func (d *doctor) checkLogin(t target, ends *as.Endpoints) {
	say := func(result, do, text string, args ...any) { d.say(t.url, checkLogin, result, do, text, args...) }
	if ends.Authorization == "" {
		say(resultFail, "see the issuer's settings, or take login out", "the metadata name no usable authorization_endpoint: nobody can log in")
	} else {
		say(resultOK, "", "authorization_endpoint %s; whether it knows the redirect URI can be told by a log-in alone: register https://<this site>%s", ends.Authorization, t.login.CallbackPath())
	}
	if len(ends.ResponseTypes) > 0 && !slices.Contains(ends.ResponseTypes, "code") {
		say(resultFail, "turn the authorization code flow on at the issuer", "the issuer answers %s, not code", strings.Join(ends.ResponseTypes, ", "))
	}
	switch {
	case len(ends.ChallengeMethods) == 0:
		say(resultWarn, "see the issuer's documentation: the gateway always sends a challenge by S256, which a server without PKCE leaves alone",
			"the metadata do not say that there is PKCE (RFC 7636)")
	case !slices.Contains(ends.ChallengeMethods, "S256"):
		say(resultFail, "turn PKCE with S256 on at the issuer", "the issuer takes code challenges by %s alone", strings.Join(ends.ChallengeMethods, ", "))
	default:
		say(resultOK, "", "the issuer knows PKCE with S256")
	}
	if !ends.NamesItself {
		say(resultWarn, "nothing, with one issuer for a client", "the issuer does not name itself in its answers (RFC 9207)")
	}
	switch {
	case ends.EndSession != "":
		say(resultOK, "", "end_session_endpoint %s", ends.EndSession)
	case t.login.PostLogout != "":
		say(resultWarn, "take post_logout out, or turn RP-initiated logout on at the issuer",
			"the metadata name no usable end_session_endpoint: post_logout has no effect, and a log-out ends the session here alone")
	default:
		say(resultWarn, "nothing, if users may stay logged in at the issuer", "the metadata name no usable end_session_endpoint: a log-out ends the session here alone")
	}
	if slices.Contains(t.login.Scope, "offline_access") && len(ends.GrantTypes) > 0 && !slices.Contains(ends.GrantTypes, tokenrequest.RefreshToken) {
		say(resultWarn, "turn refresh tokens on at the issuer", "the metadata do not list refresh_token: sessions may end with their access token")
	}
}
