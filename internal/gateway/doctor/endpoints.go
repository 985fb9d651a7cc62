package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// checkEndpoints looks for what the features configured need of an issuer.
func (d *doctor) checkEndpoints(ctx context.Context, t target, r *as.Report) {
	if !t.grants || r.Endpoints == nil {
		return // nothing is asked there, or that nothing can be has been said
	}
	ends := r.Endpoints
	d.checkTokenEndpoint(ctx, t, r)
	if ends.Revocation == "" {
		d.say(t.url, checkEndpoints, resultWarn, "nothing, if grants may live on at the issuer after they have ended here",
			"the metadata name no usable revocation_endpoint: ended grants cannot be given back")
	} else {
		d.say(t.url, checkEndpoints, resultOK, "", "revocation_endpoint %s", ends.Revocation)
	}
	if slices.Contains(t.grantTypes, tokenrequest.DeviceCode) {
		if ends.DeviceAuthorization == "" {
			d.say(t.url, checkEndpoints, resultFail, "turn device authorization on at the issuer, or take device_code out of grant_types",
				"the metadata name no usable device_authorization_endpoint, which device_code needs")
		} else {
			d.say(t.url, checkEndpoints, resultOK, "", "device_authorization_endpoint %s", ends.DeviceAuthorization)
		}
	}
	d.checkClient(t, ends)
	d.checkGrantTypes(t, ends)
	if t.login != nil {
		d.checkLogin(t, ends)
	}
}

func (d *doctor) checkTokenEndpoint(ctx context.Context, t target, r *as.Report) {
	address := r.Endpoints.Token
	if address == "" {
		d.say(t.url, checkEndpoints, resultFail, "without it nothing can be granted or refreshed: see the issuer's settings, or take token_endpoint and session out",
			"the metadata name no usable token_endpoint")
		return
	}
	status, certificates, err := as.Reach(ctx, t.config, r.Endpoints, address)
	if err != nil {
		d.say(t.url, checkEndpoints, resultFail, issuers.Cure(err), "token_endpoint %s cannot be reached: %v", address, err)
		return
	}
	r.Certificates = append(r.Certificates, certificates...)
	if status >= 500 {
		d.say(t.url, checkEndpoints, resultWarn, "see the issuer's own log", "token_endpoint %s answers with status %d", address, status)
		return
	}
	d.say(t.url, checkEndpoints, resultOK, "", "token_endpoint %s answers", address)
}

// checkClient compares how the gateway, and the clients behind it, prove who
// they are with what the issuer takes.
func (d *doctor) checkClient(t target, ends *as.Endpoints) {
	offered := ends.AuthMethods
	if len(offered) == 0 {
		offered = []string{as.AuthBasic} // what saying nothing means (RFC 8414 §2)
	}
	if t.client != nil {
		method, err := t.client.WouldUse(ends.AuthMethods)
		switch {
		case err != nil:
			d.say(t.url, checkClient, resultFail, "correct the client block", "%v", err)
		case !slices.Contains(offered, method):
			d.say(t.url, checkClient, resultFail, "set auth in the client block to one of: "+strings.Join(usableMethods(offered), ", "),
				"client %s would use %s; the issuer takes %s", t.client.ID, method, strings.Join(offered, ", "))
		case method == as.AuthBasic && t.client.Encoded() && slices.Contains(offered, as.AuthPost):
			d.say(t.url, checkClient, resultWarn, "nothing, if log-ins and grants work; if the issuer says invalid_client, write auth client_secret_post into the client block",
				"client %s uses client_secret_basic, which form-encodes some letters of its id or secret (RFC 6749 §2.3.1): not every server decodes them", t.client.ID)
		default:
			d.say(t.url, checkClient, resultOK, "", "client %s uses %s, which the issuer takes; whether it knows the client can be told by a grant alone", t.client.ID, method)
		}
	}
	if slices.Contains(t.grantTypes, tokenrequest.ClientCredentials) &&
		!slices.Contains(offered, as.AuthBasic) && !slices.Contains(offered, as.AuthPost) {
		d.say(t.url, checkClient, resultFail, "let clients with a secret use the issuer, or take client_credentials out of grant_types",
			"client_credentials: clients send a secret, and the issuer takes %s", strings.Join(offered, ", "))
	}
	if t.client == nil && t.tokens == nil && t.login == nil && t.grants {
		d.say(t.url, checkClient, resultWarn, "nothing, if no grant of this issuer is in the store; else add client <id> {file.…}",
			"no client is configured: its grants cannot be refreshed")
	}
}

// usableMethods are those methods that the word auth takes.
func usableMethods(offered []string) (fit []string) {
	for _, method := range issuers.AuthMethods {
		if slices.Contains(offered, method) {
			fit = append(fit, method)
		}
	}
	if len(fit) == 0 {
		fit = []string{"(none that the gateway has)"}
	}
	return fit
}

// checkGrantTypes compares what clients may ask for with what the issuer says
// it grants.
func (d *doctor) checkGrantTypes(t target, ends *as.Endpoints) {
	if len(t.grantTypes) == 0 {
		return
	}
	if len(ends.GrantTypes) == 0 {
		d.say(t.url, checkGrantTypes, resultWarn, "see the issuer's documentation: the gateway takes "+strings.Join(t.grantTypes, ", "),
			"the metadata do not tell which grant types there are")
		return
	}
	var missing []string
	for _, grant := range t.grantTypes {
		name := grant
		if grant == tokenrequest.DeviceCode {
			name = tokenrequest.DeviceCodeURN
		}
		if !slices.Contains(ends.GrantTypes, name) {
			missing = append(missing, name)
		}
	}
	switch {
	case slices.Equal(missing, []string{tokenrequest.RefreshToken}):
		// The gateway's own clients refresh at the gateway; client_credentials
		// needs no refresh token of the issuer.
		d.say(t.url, checkGrantTypes, resultWarn, "nothing for client_credentials; for other grants, turn refresh tokens on at the issuer",
			"the metadata do not list refresh_token: grants may end with their access token")
	case len(missing) > 0:
		d.say(t.url, checkGrantTypes, resultFail, "turn them on at the issuer, or take them out of grant_types",
			"the issuer does not list %s", strings.Join(missing, ", "))
	default:
		d.say(t.url, checkGrantTypes, resultOK, "", "the issuer lists %s", strings.Join(t.grantTypes, ", "))
	}
	if slices.Contains(t.grantTypes, tokenrequest.AuthorizationCode) && len(ends.ChallengeMethods) > 0 && !slices.Contains(ends.ChallengeMethods, "S256") {
		d.say(t.url, checkGrantTypes, resultWarn, "turn PKCE with S256 on at the issuer (RFC 7636)",
			"authorization_code: the issuer takes code challenges by %s alone", fmt.Sprint(ends.ChallengeMethods))
	}
}
