package token

import (
	"cmp"
	"math"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// Named is what a token is known by where something is taken back, beside its
// issuer and subject. It is kept with each token that is remembered: marks are
// small.
type Named struct {
	ID, Session, Client revoked.Mark
	Issued              int64 // iat, in milliseconds since 1970; 0: it does not say
}

// namesIn reads what a token, or an answer about one, is known by. Issuers write
// the client as RFC 9068 §2.2 has it, as OpenID Connect does (azp), or in words of
// their own (cid at Okta, appid at Entra); and Keycloak wrote the session as
// session_state once.
func namesIn(c Claims) Named {
	n := Named{
		ID:      revoked.MarkOf(c.String("jti")),
		Session: revoked.MarkOf(cmp.Or(c.String("sid"), c.String("session_state"))),
		Client:  revoked.MarkOf(cmp.Or(c.String("client_id"), c.String("azp"), c.String("cid"), c.String("appid"))),
	}
	if iat, has := seconds(c["iat"]); has {
		n.Issued = int64(math.Floor(iat)) * 1000
	}
	return n
}

// or takes from other what n does not say.
func (n Named) or(other Named) Named {
	return Named{cmp.Or(n.ID, other.ID), cmp.Or(n.Session, other.Session), cmp.Or(n.Client, other.Client), cmp.Or(n.Issued, other.Issued)}
}

// Revocable is what the list of what was taken back is asked about a token.
func (p *Principal) Revocable() revoked.Token {
	t := revoked.Token{Issuer: revoked.MarkOf(p.Issuer), Subject: revoked.MarkOf(p.Subject)}
	if p.named != nil {
		t.ID, t.Session, t.Client, t.Issued = p.named.ID, p.named.Session, p.named.Client, p.named.Issued
	}
	return t
}
