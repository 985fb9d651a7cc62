package doctor

import (
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// checkKnown says what servers need that its metadata do not tell, where the
// addresses show which server it is.
func (d *doctor) checkKnown(t target, ends *as.Endpoints) {
	if ends == nil {
		return
	}
	at := func(address, path string) bool { return strings.HasSuffix(address, path) }
	switch {
	case at(ends.Authorization, "/oauth2/auth") && at(ends.Token, "/oauth2/token") && at(ends.Revocation, "/oauth2/revoke"):
		d.checkHydra(t, ends)
	case ends.Introspection == strings.TrimSuffix(t.url, "/")+"/token/introspect": // Keycloak's only ends like it
		d.checkDex(t)
	}
}

func (d *doctor) checkHydra(t target, ends *as.Endpoints) {
	if t.client != nil && t.grants {
		if method, err := t.client.WouldUse(ends.AuthMethods); err == nil && method != as.AuthBasic {
			d.say(t.url, checkClient, resultWarn, "leave auth out, or set token_endpoint_auth_method of the client at Hydra",
				"Ory Hydra takes a client by one method, client_secret_basic unless its token_endpoint_auth_method says otherwise; here it is %s", method)
		}
	}
	if t.login != nil && t.login.Parameter["audience"] == "" && len(t.issuer.Audience) > 0 {
		d.say(t.url, checkLogin, resultWarn, "add parameter audience "+t.issuer.Audience[0]+" to login, and put it into the client's list audience at Hydra",
			"Ory Hydra puts an API into aud that is asked for with audience; this log-in asks for none")
	}
	if t.issuer.Introspect != nil && t.set.Introspect == "" && ends.Introspection == "" {
		d.say(t.url, checkIntrospect, resultWarn, "write introspect http://<its admin port>/admin/oauth2/introspect",
			"Ory Hydra answers at its admin port, which its metadata do not name")
	}
}

func (d *doctor) checkDex(t target) {
	if t.login == nil && !t.issuer.InsecureIDTokens {
		d.say(t.url, checkSettings, resultWarn, "write insecure_id_tokens, with a client of its own for this API",
			"Dex's access tokens are ID tokens: none passes here")
	}
	if slices.Contains(t.grantTypes, tokenrequest.DeviceCode) && t.client != nil && t.client.Method != as.AuthPost {
		d.say(t.url, checkClient, resultWarn, "write auth client_secret_post, and /device/callback among the client's redirectURIs",
			"Dex begins the device flow for a client that has its id and secret in the body")
	}
}
