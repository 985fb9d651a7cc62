package token

import "errors"

// A Reason is a stable code for why a token does not pass. Operators see it in
// logs and metrics; docs/reasons.md explains each.
type Reason string

// The reasons of this package.
const (
	TooLarge        Reason = "token_too_large"   // over MaxSize bytes
	NotJWT          Reason = "not_jwt"           // not three parts: opaque, encrypted or JSON serialization
	Malformed       Reason = "token_malformed"   // base64url or JSON that strict rules refuse
	HeaderRefused   Reason = "header_refused"    // crit, b64, cty JWT, or a header member of a wrong type
	AlgRefused      Reason = "alg_refused"       // none, HMAC, unknown, or not in the issuer's list
	TypeRefused     Reason = "typ_refused"       // an explicit typ that is no access token
	IDToken         Reason = "id_token"          // carries the marks of an ID or logout token
	BoundToken      Reason = "bound_token"       // bound to a key of its client, whose possession was not proved
	ClaimType       Reason = "claim_type"        // a registered claim of a wrong JSON type
	ClaimMissing    Reason = "claim_missing"     // exp, or what RFC 9068 §2.2 requires
	ClaimWrong      Reason = "claim_wrong"       // of an ID or logout token: not of this log-in, or for another client
	IssuerUnknown   Reason = "issuer_unknown"    // iss is none of the configured issuers
	WrongAudience   Reason = "wrong_audience"    // no member of aud is configured
	Expired         Reason = "token_expired"     // now is at or past exp
	NotYetValid     Reason = "token_not_yet"     // now is before nbf
	Inactive        Reason = "token_inactive"    // its issuer says so at the introspection endpoint
	Outdated        Reason = "token_outdated"    // it is from before something that its issuer knows by now
	Revoked         Reason = "token_revoked"     // it was taken back, and stands in the list of that
	StatusRefused   Reason = "token_status"      // its issuer's status list calls it invalid or suspended
	KeyUnknown      Reason = "key_unknown"       // the issuer publishes no such key
	KeyMismatch     Reason = "key_mismatch"      // the named key cannot have made a signature of this alg
	SignatureFailed Reason = "signature_invalid" // the signature does not verify
)

// A Refusal is a verdict: the token does not pass, and that is its sender's
// affair. Every other error of this package is a failure of ours or of the
// issuer. Tell them apart with errors.As, never by text.
type Refusal struct {
	Reason Reason
	Detail string // what was found and expected, for the operator's log alone; never a token
	Bug    bool   // verifying panicked: refused, and to be looked into
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return string(r.Reason)
	}
	return string(r.Reason) + ": " + r.Detail
}

func refuse(reason Reason, detail string) error {
	return &Refusal{Reason: reason, Detail: detail}
}

// ReasonOf is the reason of a refusal, or "" for any other error.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}

// clip bounds what a stranger wrote before it enters a log line.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
