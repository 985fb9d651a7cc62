// Package advice says what to change for a reason: at the issuer, at the client
// or in the Caddyfile. It is what explain, the token endpoint and log-ins tell
// operators.
package advice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// advices say what to change for a reason: at the issuer, at the client or in
// the Caddyfile. docs/reasons.md says more.
var advices = map[string]string{
	string(token.TooLarge):           "Issuer: put fewer claims (groups, most often) into access tokens.",
	string(token.Malformed):          "Client: look at what was cut, padded or pasted. If the issuer made it so, it is broken.",
	string(token.HeaderRefused):      "Issuer: access tokens have no crit, b64 or cty of JWT, and alg, kid and typ are strings.",
	string(token.AlgRefused):         "Issuer: sign with one of the algorithms listed. Caddyfile: if this one is right, add it to algorithms in the issuer block; HMAC and none are never taken.",
	string(token.TypeRefused):        "Client: send the access token. Caddyfile: leave token_type out if the issuer does not write at+jwt.",
	string(token.IDToken):            "Client: send the access_token and not the id_token: an ID token tells the client who logged in, and opens no API. Caddyfile: insecure_id_tokens, for issuers that know no other (Dex).",
	string(token.BoundToken):         "Client: ask for a plain Bearer token: send no DPoP proof (and no dpop_jkt) and no client certificate to the token endpoint. Issuer: do not bind access tokens of this client (dpop_bound_access_tokens, tls_client_certificate_bound_access_tokens). The proofs of bound tokens are not checked here, so none is taken.",
	string(token.ClaimType):          "Issuer: correct the claim's type; most often a claim mapper is wrong.",
	string(token.ClaimMissing):       "Issuer: put the claim in. Caddyfile: leave token_type out if only exp is there.",
	string(token.Expired):            "Client: get a new token, or refresh. If it just did, compare the clocks of issuer and gateway.",
	string(token.NotYetValid):        "Compare the clocks of issuer and gateway. Caddyfile: skew takes up to 60s.",
	string(token.Revoked):            "Somebody took it back, or its session, user or client: the detail says what, when and by whom. Client: log in again. Operator: GET /oauth/revocations on the admin endpoint, or caddy oauth revoke --list; --let-in lets it in again.",
	string(token.Inactive):           "The issuer does not know it, or it was revoked, has expired, or is of another client's kind. Client: get a new one. If it is new, look whether it comes from this very issuer, and whether the gateway's client may introspect it there.",
	string(token.StatusRefused):      "Its issuer took it back. Client: get a new one, by a new log-in where this is a user's. If it is new, ask the issuer which place (idx) in its status list the token has, and what stands there.",
	verdict.StatusUnavailable:        "Nothing can be judged without the status list that the token names. Look at its address from here; Caddyfile: status_lists names the origins that lists may be at, as https://<host>.",
	verdict.IntrospectionUnavailable: "Nothing can be judged without the issuer's answer. \"caddy oauth doctor\" asks the introspection endpoint with the gateway's own client, and says what is amiss.",
	string(token.KeyUnknown):         "The issuer does not publish the key: a token of another environment, of a key that was withdrawn, or forged. Issuer: publish the key at jwks_uri. Caddyfile: check jwks, if it is set.",
	string(token.KeyMismatch):        "Issuer: the key's alg, kty or crv does not fit the token's alg. Caddyfile: an RSA key without alg is for RS256, unless algorithms or the metadata name another; if the issuer signs with this one, write algorithms with it. Otherwise it is forged.",
	string(token.SignatureFailed):    "The token was changed or forged, or the issuer uses one kid for two keys. Client: send it as the issuer gave it.",
	verdict.MissingScope:             "Client: ask the issuer for this scope. Issuer: grant it to the client. Caddyfile: correct require scope.",
	verdict.MissingClaim:             "Issuer: give the user or client this value, and put the claim into access tokens. Caddyfile: write the path of a nested claim with dots, or as a JSON pointer; \"caddy oauth explain\" tells what it meets.",
	verdict.ClaimElsewhere:           "Issuer: have it write less, so that there is room in the token. Microsoft Entra leaves the groups of a user out who is in more than 200: under Token configuration choose \"Groups assigned to the application\", or give app roles and require the claim roles.",
	verdict.WeakLogIn:                "Client: send the user to log in again with acr_values, as the challenge lists them. Issuer: support that way to log in, and put acr into access tokens (RFC 9068 §2.2.1).",
	verdict.OldLogIn:                 "Client: send the user to log in again with max_age, as the challenge has it. Issuer: put auth_time into access tokens (RFC 9068 §2.2.1); tokens of a client for itself never have it.",
	verdict.UnsafeClaim:              "Issuer: look at who could write a line break into that claim.",
	verdict.RefreshPresented:         "Client: send the access token (oga_…). The refresh token goes to the token endpoint alone.",
	verdict.NoGrant:                  "Client: send the reference token whole, or get a new one at the token endpoint.",
	verdict.IssuerUnavailable:        "Nothing can be judged without the issuer's keys. Look at its address, TLS and DNS from here.",
	verdict.InternalFailure:          "Please report it.",
}

// Token is a token that was refused, as far as advice depends on it.
type Token struct {
	Raw    string
	Claims token.Claims // nil: they cannot be read
	HMAC   bool         // it says that it is signed with one
	Issuer string       // by whose settings it was judged; "": it is not known
	Nearly string       // what its aud lacks to be one that is accepted, where that is little
}

// JudgedBy notes by what a token was judged.
func (t *Token) JudgedBy(p *token.Profile) {
	t.Issuer = p.Issuer
	names, is := p.Audience, func(aud string) bool { return token.SameResource(aud, p.Resource) }
	if p.Resource != "" && !slices.ContainsFunc(t.Claims.Audience(), is) {
		names = append([]string{p.Resource}, names...)
	}
	t.Nearly = token.Near(t.Claims.Audience(), names)
}

// For says what to change where a token is refused for a reason, in words for
// this token where they are known. resource is what the gateway protects; "":
// it does not say.
func For(reason string, t Token, resource string) string {
	if own := keycloak(reason, t, resource); own != "" {
		return own
	}
	if known := byServer(reason, t); known != "" {
		return known
	}
	switch reason {
	case string(token.NotJWT):
		return notJWTAdvice(t.Raw)
	case string(token.IssuerUnknown):
		iss := t.Claims.Issuer()
		if by := token.DifferBy(iss, t.Issuer); by == "the host" || by == "the port" {
			return fmt.Sprintf("Caddyfile: the issuer's name is compared letter by letter, and %s alone differs. If the token's is right, write it so: %.120q; where the gateway reaches the issuer by another address only, add metadata <url> or jwks <url> with that. Issuer: if it is not, set its public address (Keycloak: hostname).", by, iss)
		}
		if t.Issuer != "" && issuers.Alike(iss, t.Issuer) {
			return fmt.Sprintf("Caddyfile: the issuer's name is compared letter by letter, a slash at the end, the case and the scheme included. Write it as the token has it: %.120q.", iss)
		}
		switch {
		case strings.HasSuffix(iss, "/adfs/services/trust"):
			return fmt.Sprintf("Caddyfile: this is what AD FS calls itself in access tokens. Write access_token_issuer %.120q in the block of its issuer.", iss)
		case iss != "" && !strings.HasPrefix(iss, "https://"):
			return fmt.Sprintf("Client: get the token from a configured issuer. Caddyfile: if the token's is right, configure it as a name: issuer %.120q with audience and jwks <url|path> in its block.", iss)
		}
		return fmt.Sprintf("Client: get the token from a configured issuer. Caddyfile: if the token's is right, configure it: oauth %.120q <audience>.", iss)
	case string(token.WrongAudience):
		switch {
		case t.Nearly != "":
			return "aud is compared letter by letter" + t.Nearly + ". Write it in one way at the issuer and in the Caddyfile."
		case resource != "" && !slices.ContainsFunc(t.Claims.Audience(), func(aud string) bool { return token.SameResource(aud, resource) }):
			return "Client: ask for a token with resource=" + resource + " (RFC 8707). Issuer: put exactly that into aud (Keycloak: an audience mapper). Caddyfile: resource is compared letter by letter; for an issuer that cannot write it, name in audience what it does write, and add resource_not_in_aud."
		case t.Claims["aud"] == nil && t.Claims.String("client_id") != "":
			return "Issuer: put this API into aud, if it can. Caddyfile: where it cannot (Amazon Cognito), audience <client id…> with client_id_as_audience in the issuer block takes the tokens of these clients."
		case t.Claims["aud"] == nil:
			return "Issuer: put this API into aud (Keycloak: an audience mapper; Auth0: the parameter audience; RFC 8707: resource). Caddyfile: audience names what must be there; of Keycloak's lightweight access tokens the issuer tells it when it is asked: introspect { lightweight }."
		}
		return "Client: ask for a token for this API (audience, resource or scope, as the issuer wants it). Caddyfile: if the token is meant for this API, add its aud to audience."
	case string(token.AlgRefused):
		if t.Issuer != "" && t.HMAC {
			return "Issuer: sign with an asymmetric algorithm (RS256, ES256, …). HMAC is never taken: whoever could check it could also forge it."
		}
	}
	return advices[reason]
}

// OnGranted is For about a token that an issuer has just granted, and that would
// not pass.
func OnGranted(set *issuers.Set, resource, reason, raw string) string {
	u, _ := token.Inspect(raw)
	t := Token{Raw: raw, Claims: u.Claims, HMAC: u.HMAC()}
	if trust := set.Nearest(u.Claims.Issuer()); trust != nil {
		t.JudgedBy(&trust.Profile)
	}
	return For(reason, t, resource)
}

// notJWTAdvice knows what people send instead of a JWT.
func notJWTAdvice(text string) string {
	dots := strings.Count(text, ".")
	switch {
	case dots == 4 && !token.LooksOpaque(text):
		return "It is encrypted (a JWE), for its audience alone. Issuer: give signed tokens (JWS) for this API; Auth0 encrypts when no audience is asked for. Caddyfile: if the issuer has an introspection endpoint, introspect in its block has it asked."
	case strings.HasPrefix(text, credential.SessionPrefix):
		return "It is the handle of a browser's session, which counts in its cookie alone. Client: get a token of its own, at the token_endpoint or the issuer."
	case strings.HasPrefix(text, credential.AccessPrefix) || strings.HasPrefix(text, credential.RefreshPrefix):
		return "It is a reference token of a gateway: send it to the site with the token_endpoint that gave it out. Caddyfile: this oauth has neither token_endpoint nor session."
	case token.LooksOpaque(text):
		return "It is opaque: only its issuer can read it. Caddyfile: if the issuer has an introspection endpoint (RFC 7662), introspect in its block has it asked. Issuer: or give JWTs for this API. Auth0 does when the client asks for an audience; Google never does, and GitHub neither, and both have no such endpoint."
	}
	return "It is cut or not a JWT. Client: send the whole access token, with both dots and the part behind the second."
}
