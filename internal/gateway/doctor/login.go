package doctor

import (
	"net"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// checkLogout looks for what a log-out needs.
func (d *doctor) checkLogout(t target, ends *as.Endpoints) {
	say := func(result, do, text string, args ...any) { d.say(t.url, checkLogin, result, do, text, args...) }
	_, named := t.login.LogoutParameter["logout_uri"]
	switch {
	case ends.EndSession != "" && strings.Contains(t.url, "//cognito-idp.") && !named:
		say(resultWarn, "add logout_parameter logout_uri /_oauth/logged_out to login, and "+strings.Join(t.addresses("/_oauth/logged_out"), " ")+" to the app client's sign-out URLs",
			"Amazon Cognito's log-out wants logout_uri, and answers 400 without it")
	case ends.EndSession != "":
		say(resultOK, "", "end_session_endpoint %s", ends.EndSession)
	case t.login.PostLogout != "" || len(t.login.LogoutParameter) > 0:
		say(resultWarn, "take post_logout and logout_parameter out, or turn RP-initiated logout on at the issuer",
			"the metadata name no usable end_session_endpoint: post_logout and logout_parameter have no effect, and a log-out ends the session here alone")
	default:
		say(resultWarn, "nothing, if users may stay logged in at the issuer", "the metadata name no usable end_session_endpoint: a log-out ends the session here alone")
	}
}

// checkLogin looks for what logging browsers in needs of the issuer.
func (d *doctor) checkLogin(t target, ends *as.Endpoints) {
	say := func(result, do, text string, args ...any) { d.say(t.url, checkLogin, result, do, text, args...) }
	if ends.Authorization == "" {
		say(resultFail, "see the issuer's settings, or take login out", "the metadata name no usable authorization_endpoint: nobody can log in")
	} else {
		say(resultOK, "", "authorization_endpoint %s; whether it knows the redirect URI can be told by a log-in alone: register %s", ends.Authorization, strings.Join(t.addresses(t.login.CallbackPath()), " "))
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
	d.checkLogout(t, ends)
	switch {
	case t.set.User != nil:
		say(resultOK, "", "user %s; what it tells depends on the scope that login asks for", t.set.User.URL)
	case !t.login.AsksUserInfo():
	case ends.UserInfo == "":
		say(resultFail, "have the issuer's metadata name a userinfo_endpoint, or write userinfo_endpoint <url> in the issuer block, or take userinfo out of claims, or identity",
			"userinfo: the metadata name no usable userinfo_endpoint: no browser can log in")
	default:
		say(resultOK, "", "userinfo_endpoint %s; which claims it has depends on the scope that login asks for", ends.UserInfo)
	}
	if slices.Contains(t.login.Scope, "offline_access") && len(ends.GrantTypes) > 0 && !slices.Contains(ends.GrantTypes, tokenrequest.RefreshToken) {
		say(resultWarn, "turn refresh tokens on at the issuer", "the metadata do not list refresh_token: sessions may end with their access token")
	}
}

// addresses are those of a path for browsers, as far as the configuration tells.
func (t *target) addresses(path string) (all []string) {
	for _, host := range t.place.Hosts {
		if strings.ContainsAny(host, "*{") {
			continue
		}
		scheme := "https://"
		if host == "localhost" || net.ParseIP(host).IsLoopback() {
			scheme = "http://"
		}
		if port := t.place.Port(); port != "" {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		all = append(all, scheme+host+path)
	}
	if len(all) == 0 {
		return []string{"https://<this site>" + path}
	}
	return all
}
