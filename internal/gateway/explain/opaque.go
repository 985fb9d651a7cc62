package explain

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

const (
	introspectionStep = "introspection"
	askedClause       = "RFC 7662 §2.2"
)

// ofAnswers say what an issuer's answer about a token should hold, and what to
// change where that is not what helps with a JWT.
var ofAnswers = map[token.Reason]struct{ expected, change string }{
	token.TypeRefused: {
		"that it is an access token: token_type Bearer, token_use access_token, or a typ of Bearer or at+jwt",
		"Client: send the access token and not the refresh token. Issuer: write token_type or token_use into the answers about access tokens. Where they have an aud, name that as audience, and they need none of these. Caddyfile: beside insecure_any_audience, insecure_any_token takes what the issuer says nothing of, refresh tokens among it.",
	},
	token.BoundToken: {"no cnf, and no token_type of DPoP: such a token is good with a proof of its key alone", ""},
	token.IDToken:    {"none of the marks of ID, logout and event tokens", ""},
	token.IssuerUnknown: {
		"no iss, or exactly ",
		"Caddyfile: write the issuer as its answers name it, to the letter. If they name a server that is not meant, the introspection endpoint is another issuer's: correct introspect.",
	},
}

// missingClient is an issuer that cannot be asked from here, since the
// client's secret or key is not here.
type missingClient struct {
	issuer *issuers.Issuer
	asked  introspection.Introspect // what stands in its block
	why    error
}

func (m *missingClient) of(issuer string) bool {
	return m != nil && m.asked.AboutJWTs() && slices.Contains(m.issuer.URL, issuer)
}

// mayKnow reports whether it would be asked about an opaque token, beside others
// or alone.
func (m *missingClient) mayKnow(raw string, others []*issuers.Trust) bool {
	if m == nil {
		return false
	}
	if len(m.asked.TokenPrefix) > 0 {
		return slices.ContainsFunc(m.asked.TokenPrefix, func(text string) bool { return strings.HasPrefix(raw, text) })
	}
	return len(others) == 0 || len(others[0].TokenPrefix) == 0
}

// readOpaque tells what the issuer says of a token that only it can read.
func (e *explaining) readOpaque(ctx context.Context) {
	e.rec, e.u = &token.Record{}, &token.Unverified{}
	size := Step{
		Check: string(token.CheckSize), Result: passed, Clause: "RFC 9110 §5.4",
		Found: fmt.Sprintf("%d bytes", len(e.bare)), Expected: fmt.Sprintf("%d bytes at most", token.MaxSize),
	}
	if len(e.bare) > token.MaxSize {
		e.fail(&size, verdict.OfToken(&token.Refusal{Reason: token.TooLarge}, ""))
	}
	e.Checks = append(e.Checks, size)
	asked := e.gateway.issuers.ForOpaque(e.bare)
	if e.how.missing.mayKnow(e.bare, asked) {
		e.cannotAsk()
		return
	}
	err := e.readForm(asked)
	var facts *token.Facts
	if err == nil && len(e.bare) <= token.MaxSize {
		facts = e.readAnswers(ctx, asked)
	}
	readable := facts != nil
	if !readable {
		facts = &token.Facts{}
	}
	e.readRevoked(ctx, facts)
	e.readPolicy(facts, readable)
}

// readForm tells whether some issuer is asked about a token that looks like this.
func (e *explaining) readForm(asked []*issuers.Trust) error {
	form := Step{
		Check: string(token.CheckForm), Result: passed, Clause: "RFC 7662 §1",
		Found: "no JWT: an opaque token, which only its issuer can read",
	}
	err := introspection.MayAsk(e.bare)
	if len(asked) > 0 {
		e.trust = asked[0]
		e.Issuer = e.trust.Profile.Issuer
		form.Expected = "any token of " + e.Issuer
		for _, other := range asked[1:] {
			form.Expected += " or " + other.Profile.Issuer
		}
	} else {
		form.Expected = "one that begins as those of an issuer do: " + e.gateway.issuers.Prefixes()
		form.Change = "Client: get the token from a configured issuer. Caddyfile: name what its issuer's tokens begin with, token_prefix in introspect; of the tokens without any such prefix, an issuer without the word is asked."
		err = cmp.Or(err, verdict.OfToken(&token.Refusal{Reason: token.NotJWT, Detail: "none of the prefixes that are asked about"}, ""))
	}
	if err != nil {
		form.Found = verdict.DetailOf(err)
		e.fail(&form, err)
	}
	e.Checks = append(e.Checks, form)
	return err
}

// readAnswers asks the issuers as the gateway would, until one takes the token
// for its own. Those before it are notes.
func (e *explaining) readAnswers(ctx context.Context, asked []*issuers.Trust) *token.Facts {
	for i, t := range asked {
		e.trust, e.Issuer = t, t.Profile.Issuer
		if i == len(asked)-1 {
			break
		}
		said, _, err := t.Introspector.Consult(ctx, e.question(nil))
		if err == nil && said.Knows() {
			return e.readAnswer(ctx, nil)
		}
		if err != nil {
			e.unasked = cmp.Or(e.unasked, err)
			e.Notes = append(e.Notes, e.Issuer+" gives no answer: "+err.Error()+". The next one is asked.")
			continue
		}
		e.Notes = append(e.Notes, e.Issuer+" does not know it. The next one is asked.")
	}
	return e.readAnswer(ctx, nil)
}

func (e *explaining) question(jwt *token.Facts) introspection.Request {
	return introspection.Request{Token: e.bare, Digest: sha256.Sum256([]byte(e.bare)), JWT: jwt, Claims: e.u.Claims, Now: e.gateway.issuers.Now}
}

// cannotAsk says what would happen where the issuer cannot be asked from here.
func (e *explaining) cannotAsk() {
	step := Step{
		Check: introspectionStep, Result: notReached, Clause: askedClause, Expected: "active: true",
		Found:  "only its issuer can tell, and it cannot be asked from here: " + e.how.missing.why.Error(),
		Change: "Ask the running gateway: POST /oauth/explain on the admin endpoint. It has the client's secret.",
	}
	if e.Verdict == accepted {
		e.Verdict, e.Check, e.Clause, e.Detail, e.Change = unknown, step.Check, step.Clause, step.Found, step.Change
	}
	e.Checks = append(e.Checks, step)
}

// readAnswer asks the issuer, beside all limits, and judges what it says. jwt
// are the facts of a token that was verified. It answers nil where nothing is
// known.
func (e *explaining) readAnswer(ctx context.Context, jwt *token.Facts) *token.Facts {
	t := e.trust
	what := e.question(jwt)
	said, remembered, err := t.Introspector.Consult(ctx, what)
	step := Step{Check: introspectionStep, Result: passed, Clause: askedClause, Found: "active", Expected: "active: true, as " + e.Issuer + " says"}
	if err == nil && e.unasked != nil && !said.Knows() { // the token may be of the one that did not answer
		err = e.unasked
	}
	if err != nil {
		step.Found = "no answer: " + err.Error()
		e.fail(&step, err)
		e.Checks = append(e.Checks, step)
		return nil
	}
	if said.Refusal != nil {
		refusal := said.Refusal.(*token.Refusal) //nolint:errorlint // it is one, as it was made
		step.Found = refusal.Detail
		if of, ok := ofAnswers[refusal.Reason]; ok {
			step.Expected, step.Change = of.expected, of.change
		}
		if refusal.Reason == token.IssuerUnknown {
			step.Expected += e.Issuer
		}
		e.fail(&step, verdict.OfToken(said.Refusal, e.Issuer))
	}
	if remembered {
		step.Found += fmt.Sprintf("; so it said before, and is asked again in %s", time.Unix(0, said.Until).Sub(what.Now()).Round(time.Second))
	}
	e.Checks = append(e.Checks, step)
	if said.Refusal != nil {
		return nil
	}
	switch {
	case jwt == nil:
		e.u.Claims = token.AnswerClaims(said.Answer)
	case said.Answer != "":
		e.u.Claims = e.u.Claims.Completed(token.AnswerClaims(said.Answer))
	}
	e.Checks = append(e.Checks, e.judged(said.Facts))
	return said.Facts
}

// judged tells what is judged on each request.
func (e *explaining) judged(facts *token.Facts) Step {
	step := Step{
		Check: "exp, nbf, aud", Result: passed, Clause: "RFC 7662 §4",
		Found: fmt.Sprintf("aud is %.200q", facts.Audience), Expected: "now, and one of " + fmt.Sprintf("%.200q", e.trust.Profile.Audience),
	}
	_, err := e.trust.Profile.Judge(facts, e.how.At)
	if refusal, ok := errors.AsType[*token.Refusal](err); ok {
		step.Found = refusal.Detail
		e.fail(&step, verdict.OfToken(err, e.Issuer))
	}
	return step
}
