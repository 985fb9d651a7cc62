// Package explain tells why a token passes or not, check by check: "caddy oauth
// explain", and /oauth/explain on Caddy's admin endpoint.
package explain

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/advice"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Options is how to look.
type Options struct {
	At     time.Time
	Grants bool     // reference tokens are taken here
	LogsIn bool     // browsers log in here
	Users  string   // what their sessions stand for, where that is not the access token
	Claims []string // that their sessions have beside those of a token
	Held   bool     // the keys in memory alone: nothing is fetched
	note   string   // of what was given

	missing *missingClient // the gateway asks its issuer about tokens, and that cannot be done here; nil: it can, or need not
}

// optionsOf adds what a configuration takes beside an issuer's tokens.
func optionsOf(c *config.Config, how Options) Options {
	if how.Grants = c.KeepsGrants(); c.Login != nil {
		how.LogsIn, how.Claims = true, c.Login.Claims
		if c.Login.ByUser() {
			how.Users = c.Login.Identity
		}
	}
	return how
}

// explaining is one explanation on its way.
type explaining struct {
	Explanation
	gateway subject
	how     Options
	bare    string // the token without what was pasted around it
	rec     *token.Record
	u       *token.Unverified
	trust   *issuers.Trust // nil: it is not known whose token it is
	unasked error          // why one of the issuers of opaque tokens gave no answer
}

// Explain takes what a client would send behind "Bearer" through the checks of
// the gateway: those that Parse, Verify and the requirements make themselves.
func Explain(ctx context.Context, j Gateway, text string, how Options) *Explanation {
	e := &explaining{how: how}
	e.gateway.Config, e.gateway.issuers, e.gateway.identity = j.JudgesBy()
	e.At, e.Verdict, e.Checks = how.At.UTC(), accepted, []Step{}
	if how.note != "" {
		e.Notes = append(e.Notes, how.note)
	}
	e.readCredential(text)
	switch {
	case !e.readReference():
	case (e.gateway.issuers.AsksAboutOpaque() || how.missing != nil) && token.IsOpaque(e.bare):
		e.readOpaque(ctx)
	default:
		e.readToken(ctx)
	}
	hide(&e.Explanation, text)
	hide(&e.Explanation, e.bare)
	return &e.Explanation
}

// readCredential looks at the text as find does, and takes away what people
// copy along with a token.
func (e *explaining) readCredential(text string) {
	text = strings.TrimSpace(text)
	if name, value, is := strings.Cut(text, ":"); is && strings.EqualFold(name, "Authorization") {
		e.Notes = append(e.Notes, "A whole Authorization field was given; what stands behind Bearer is looked at.")
		text = strings.TrimSpace(value)
		if len(text) > 7 && strings.EqualFold(text[:7], "Bearer ") {
			text = strings.TrimSpace(text[7:])
		}
	}
	step := Step{
		Check: "credential", Result: passed, Found: "one token", Clause: "RFC 6750 §2.1",
		Expected: "letters, digits and -._~+/ alone, with = only at the end",
	}
	e.bare = text
	if !credential.IsToken68(text) {
		step.Found, step.Change = e.wrapping(text)
		e.fail(&step, verdict.Malformed(verdict.BadCredential, step.Found))
	}
	e.Checks = append(e.Checks, step)
}

// wrapping says what stands around a token, and takes it off.
func (e *explaining) wrapping(text string) (found, change string) {
	if len(text) > 7 && strings.EqualFold(text[:7], "Bearer ") {
		e.bare = strings.Trim(strings.TrimSpace(text[7:]), "\"'`")
		return "the word Bearer in front of the token", `Give the token alone. If a client stores it together with "Bearer ", it sends the word twice: take it away there.`
	}
	if bare := strings.Trim(text, "\"'`, "); bare != text && credential.IsToken68(bare) {
		e.bare = bare
		return "quotes or a comma around the token", "Take them away in the client: they are no part of the token. They come along when a token is copied out of JSON or of a shell variable."
	}
	if bare := strings.Join(strings.Fields(text), ""); bare != text && credential.IsToken68(bare) {
		e.bare = bare
		return "white space inside the token", "Send the token in one line. Line breaks come along when a token is copied out of a terminal or a mail."
	}
	return "characters that no token has", "Look at what the client sends: an empty variable, two tokens, JSON instead of its access_token."
}

const referenceStep = "reference token"

// readReference knows the gateway's own tokens. ok tells to go on.
func (e *explaining) readReference() (ok bool) {
	refresh, access := strings.HasPrefix(e.bare, credential.RefreshPrefix), strings.HasPrefix(e.bare, credential.AccessPrefix)
	if !refresh && !access {
		return true
	}
	if !e.how.Grants {
		e.Notes = append(e.Notes, "It looks like a reference token of this gateway (oga_ or ogr_), but no grants are kept here: there is neither token_endpoint, session nor login.")
		return true
	}
	step := Step{Check: referenceStep, Clause: "RFC 6749 §1.5", Expected: "an access token"}
	_, spelled := session.ParseHandle(credential.AccessPrefix, e.bare)
	switch {
	case refresh:
		step.Found = "a reference refresh token of this gateway (ogr_)"
		e.fail(&step, verdict.OfReference(verdict.RefreshPresented, step.Found))
	case !spelled:
		step.Found, step.Expected = "oga_, but not spelled as a reference token is", "oga_ and 64 letters, all of it"
		e.fail(&step, verdict.OfReference(verdict.NoGrant, step.Found))
	default:
		step.Result, step.Found = notReached, "a reference access token of this gateway (oga_)"
		step.Expected = "the issuer's token behind it"
		step.Change = "It says nothing by itself: only the running gateway knows its grant. Ask with GET /oauth/grants on the admin endpoint, and look for the lines \"a grant has ended\" and \"refused\" in the log."
		if e.Verdict == accepted {
			e.Verdict, e.Check, e.Clause, e.Detail, e.Change = unknown, step.Check, step.Clause, step.Found, step.Change
		}
	}
	e.Checks = append(e.Checks, step)
	return false
}

// readToken makes the checks of package token, then those of this gateway.
func (e *explaining) readToken(ctx context.Context) {
	e.u, e.rec = token.Inspect(e.bare)
	if strings.Count(e.bare, ".") == 2 && token.IsOpaque(e.bare) {
		e.Notes = append(e.Notes, "Its first part is no header of a JWT: most likely it is an opaque token that happens to have two dots. With introspect its issuer would be asked.")
	}
	e.chooseTrust()
	facts := &token.Facts{}
	var profile *token.Profile
	if e.trust != nil {
		own := *e.trust.ProfileToVerify(false)
		profile = &own
		if e.how.Held && e.trust.Server != nil {
			profile.Keys = e.trust.Server.Held()
		}
		e.Issuer = profile.Issuer
		facts = profile.Explain(ctx, e.u, e.how.At, e.rec)
	}
	for _, rule := range token.Rules {
		e.Checks = append(e.Checks, e.tokenStep(rule, profile))
	}
	if e.trust != nil && e.rec.Err() == nil {
		e.readStanding(ctx, facts)
		switch {
		case e.how.missing.of(e.Issuer):
			e.cannotAsk()
		case e.trust.AsksAlways():
			if said := e.readAnswer(ctx, facts); said != nil {
				facts = said
			}
		}
	}
	e.readRevoked(ctx, facts)
	e.readPolicy(facts, e.rec.Passed(token.CheckPayloadJSON) && e.trust != nil)
}

// chooseTrust finds whose settings judge. The verdict comes from the exact
// issuer alone; that of a near one only tells what else is wrong.
func (e *explaining) chooseTrust() {
	set := e.gateway.issuers
	iss := e.u.Claims.Issuer()
	e.trust = set.Nearest(iss)
	if set.Named(iss) != nil {
		return
	}
	refusal, _ := errors.AsType[*verdict.Rejection](verdict.UnknownIssuer(iss, set.Names()))
	e.rec.Refuse(token.CheckIssuer, &token.Refusal{Reason: token.IssuerUnknown, Detail: refusal.Detail})
	if e.trust != nil && e.u.Claims != nil {
		e.Notes = append(e.Notes, "The token is of no configured issuer. The other checks are those of "+e.trust.Profile.Issuer+".")
	}
}

// tokenStep tells how one check of package token went.
func (e *explaining) tokenStep(rule token.Rule, profile *token.Profile) Step {
	step := Step{Check: string(rule.Check), Clause: rule.Clause, Result: passed}
	if errs := e.rec.Errors(rule.Check); len(errs) > 0 {
		step.Found, step.Expected = e.rec.Describe(rule.Check, e.bare, e.u, profile, e.how.At)
		if step.Found == "" {
			step.Found, step.Expected = errs[0].(*token.Refusal).Detail, "a configured issuer" //nolint:errorlint // Refuse got it as it is
		}
		e.fail(&step, verdict.OfToken(errs[0], e.Issuer))
		return step
	}
	if !e.rec.Passed(rule.Check) {
		step.Result = notReached
		switch missing := e.rec.Missing(rule.Check); {
		case missing != "":
			step.Found = "not reached: " + string(missing) + " is not there or not right"
		case e.trust == nil:
			step.Found = "not reached: nobody knows by whose settings"
		}
		return step
	}
	step.Found, step.Expected = e.rec.Describe(rule.Check, e.bare, e.u, profile, e.how.At)
	if rule.Check == token.CheckAudience && e.trust.Introspector != nil && e.trust.Introspector.Completes {
		step.Expected = "any: the issuer's answer says it (lightweight)"
	}
	return step
}

// fail marks a step, and makes it the verdict when it is the first. A failure
// to judge is no refusal.
func (e *explaining) fail(step *Step, err error) {
	step.Result = failed
	judged, status, reason, code := unknown, http.StatusServiceUnavailable, verdict.FailureOf(err).Reason, ""
	if rejection, ok := errors.AsType[*verdict.Rejection](err); ok {
		judged, status, reason, code = refused, rejection.Status, rejection.Reason, rejection.Code
	}
	step.Reason = reason
	if step.Change == "" {
		step.Change = e.advice(reason)
	}
	if e.Verdict != accepted {
		return
	}
	e.Verdict, e.Status, e.Reason, e.Error = judged, status, reason, code
	e.Check, e.Clause, e.Change = step.Check, step.Clause, step.Change
	e.Detail = fmt.Sprintf("%s: %s; expected: %s", step.Check, step.Found, step.Expected)
}

// advice is what to change, in words for this token where they are known.
func (e *explaining) advice(reason string) string {
	t := advice.Token{Raw: e.bare}
	if e.u != nil { // it has been looked into
		t.Claims, t.HMAC = e.u.Claims, e.u.HMAC()
	}
	if e.trust != nil {
		t.JudgedBy(&e.trust.Profile)
	}
	return advice.For(reason, t, e.gateway.ResourceInAud())
}
