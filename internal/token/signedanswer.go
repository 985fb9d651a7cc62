package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SignedAnswer is what an issuer's answers about tokens must be that come as JWTs
// (RFC 9701 §5).
type SignedAnswer struct {
	Issuer     string // iss, exactly
	Client     string // must be in aud: who asked
	Algorithms Algorithms
	Keys       KeySource
}

// The bounds of iat, by which an answer of yesterday is no answer today.
const (
	answerFresh = 5 * time.Minute
	answerSkew  = time.Minute
)

// Read proves a signed answer, and gives what it says of the token that was asked
// about, as JSON. An error is a failure and never a [*Refusal]: it says something of
// the issuer and nothing of the token.
func (s *SignedAnswer) Read(ctx context.Context, raw, about string, now time.Time) (doc string, err error) {
	doc, err = s.read(ctx, raw, about, now)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		err = errors.New(refusal.Error())
	}
	if err != nil {
		return "", fmt.Errorf("%w: the signed answer does not pass (RFC 9701 §5): %w", ErrNoAnswer, err)
	}
	return doc, nil
}

func (s *SignedAnswer) read(ctx context.Context, raw, about string, now time.Time) (string, error) {
	switch {
	case strings.HasPrefix(raw, "{"):
		return "", errors.New("it is plain JSON; the issuer signs for this client only if it is told to (introspection_signed_response_alg)")
	case strings.Count(raw, ".") == 4:
		return "", errors.New("it is encrypted; the issuer is to sign alone for this client (no introspection_encrypted_response_alg)")
	}
	u, err := Parse(raw)
	if err != nil {
		return "", err
	}
	p := Profile{Issuer: s.Issuer, Algorithms: s.Algorithms, Keys: s.Keys}
	said, is := u.Claims["token_introspection"].(map[string]any)
	iat, issued := seconds(u.Claims["iat"])
	exp, ends := seconds(u.Claims["exp"])
	switch {
	case !isType(u.typ, "token-introspection+jwt"):
		return "", refuse(TypeRefused, "typ is "+clip(u.typ))
	case u.Claims.String("iss") != s.Issuer:
		return "", refuse(IssuerUnknown, "iss is "+clip(u.Claims.String("iss")))
	case !slices.Contains(u.Claims.Audience(), s.Client):
		return "", refuse(WrongAudience, "aud does not name the client "+s.Client)
	case !issued:
		return "", refuse(ClaimMissing, "iat")
	case now.Add(answerSkew).Before(time.Unix(int64(iat), 0)) || now.Add(-answerFresh-answerSkew).After(time.Unix(int64(iat), 0)):
		return "", refuse(Expired, "iat is not of the last minutes: an old answer, or clocks that differ")
	case ends && now.Add(-answerSkew).After(time.Unix(int64(exp), 0)):
		return "", refuse(Expired, "exp is over")
	case !is:
		return "", refuse(ClaimMissing, "token_introspection")
	case ofAnother(said, about):
		return "", refuse(ClaimWrong, "jti in token_introspection is another's than that of the token that was asked about")
	}
	if err := p.checkAlgorithm(u); err != nil {
		return "", err
	}
	if _, err := p.prove(ctx, u, nil); err != nil {
		return "", err
	}
	doc, err := json.Marshal(said)
	return string(doc), err
}

// ofAnother reports whether an answer is about another token, signed a moment ago,
// as far as can be told: nothing in RFC 9701 binds an answer to its question but
// the members that both have.
func ofAnother(said Claims, about string) bool {
	u, err := Parse(about)
	if err != nil {
		return false // an opaque token has nothing to compare
	}
	id, own := said.String("jti"), u.Claims.String("jti")
	return id != "" && own != "" && id != own
}
