package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// checkIntrospection asks the introspection endpoint about a token that was
// made up, as the gateway would: it is there, it takes the client, and it says no.
func (d *doctor) checkIntrospection(ctx context.Context, t target, ends *as.Endpoints, keys *token.KeySet) {
	if t.issuer.Introspect == nil || t.client == nil {
		return // not asked, or what is wrong with the client has been said
	}
	address, client, named := t.set.Introspect, *t.client, (*as.Endpoints)(nil)
	if ends != nil {
		if address == "" {
			address, named = ends.Introspection, ends
		}
		method, err := client.WouldUse(ends.AskMethods)
		if err != nil {
			d.say(t.url, checkClient, resultFail, "correct the client block", "%v", err)
			return
		}
		client.Method = method
	}
	if address == "" {
		d.say(t.url, checkIntrospect, resultFail, "write its address as introspect <url>; where the issuer has none, opaque tokens cannot be taken: take introspect out",
			"the metadata name no usable introspection_endpoint")
		return
	}
	at := as.Introspection{Endpoint: address, Named: named, Client: client}
	if t.issuer.Introspect.JWTResponse {
		if keys == nil {
			return // what is wrong with them has been said
		}
		at.Signed = &token.SignedAnswer{Issuer: t.url, Client: client.ID, Algorithms: t.set.Algorithms, Keys: keys}
	}
	s := as.New(t.config)
	defer s.Close()
	answer, _, err := s.Introspect(ctx, at, secret.New(rand.Text()))
	switch failed, asked := errors.AsType[*as.CallError](err); {
	case asked && (failed.Status == http.StatusUnauthorized || failed.Status == http.StatusForbidden || failed.Code == "invalid_client"):
		d.say(t.url, checkIntrospect, resultFail, "correct the client's id, its secret or key, or auth; and have the issuer let it introspect",
			"%s does not take the client %s: %v", address, client.ID, err)
	case asked && failed.Status == http.StatusOK && at.Signed != nil:
		d.say(t.url, checkIntrospect, resultFail, "have the issuer sign its answers for this client (introspection_signed_response_alg; oidc-provider: features.jwtIntrospection too), or take jwt_response out: until then no token that it is asked about passes", "%s: %v", address, err)
	case asked && failed.Status > 0:
		d.say(t.url, checkIntrospect, resultFail, "see the issuer's own log, and whether this is its introspection endpoint", "%s: %v", address, err)
	case err != nil:
		d.say(t.url, checkIntrospect, resultFail, issuers.Cure(err), "%s cannot be reached: %v", address, err)
	case answer.Active:
		d.say(t.url, checkIntrospect, resultFail, "do not use it: whoever invents a token would pass", "%s calls a token active that was made up just now", address)
	default:
		d.say(t.url, checkIntrospect, resultOK, "", "%s takes the client %s, and does not know a token that was made up", address, client.ID)
		if t.issuer.Introspect.Lightweight {
			d.say(t.url, checkIntrospect, resultOK, "", "its answers complete JWTs (lightweight); at Keycloak \"Add to token introspection\" of a mapper says which claims they have")
		}
	}
}
