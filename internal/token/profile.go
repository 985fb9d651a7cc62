package token

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Profile is what one issuer's access tokens must be (RFC 9068 §4, RFC 8725).
type Profile struct {
	Issuer     string        // its name, and what iss is, exactly
	Tokens     string        // what iss of its access tokens is, exactly, where that is another text; else ""
	Audience   []string      // one of them must be in aud; none: any audience passes
	ByClient   bool          // of a token without aud, client_id must be one of Audience
	Resource   string        // must be in aud as well; "": nothing more is asked (RFC 8707 §2)
	Algorithms Algorithms    // of the signature
	Strict     bool          // typ must be at+jwt and the claims of RFC 9068 §2.2 be there
	IDTokens   bool          // let ID tokens pass as access tokens
	LoggedIn   bool          // it is of a log-in of our own: marks of an ID token are no reason to refuse it
	NoClients  bool          // none passes: it is not said whom they must be meant for
	Told       bool          // an answer about an opaque token must say that it is an access token
	Statuses   bool          // where its issuer says what became of it counts (Token Status List)
	Skew       time.Duration // how far clocks may differ
	Keys       KeySource
}

// Facts are what an issuer said of one token. They do not change, so they may
// be kept; what depends on the hour, the request or the key's fate is judged
// each time by [Profile.Judge].
type Facts struct {
	Subject   string
	Scope     string
	Audience  []string
	Client    string // client_id, where there is no audience
	Expiry    int64  // seconds since 1970
	NotBefore int64  // the same; 0 when absent
	Mark      string // the claim that marks it as an ID token; "": none does
	Key       *Key   // that verified it; nil: the issuer was asked
	Named     Named
	Status    StatusRef

	Decoded *Decoded // further claims of a token that is remembered; nil: it is not
}

// Size is what the facts take in memory, in bytes, about.
func (f *Facts) Size() int {
	size := sizeOfFacts + len(f.Subject) + len(f.Scope) + len(f.Client) + len(f.Status.List) + f.Decoded.Size()
	for _, aud := range f.Audience {
		size += costOf(aud)
	}
	return size
}

// sizeOfFacts is that of those that say nothing, with what has them found again.
const sizeOfFacts = 352

// Verify proves a token: form, issuer, algorithm, type, claims, and only then
// keys and signature, so that no token causes a fetch or costs a verification
// that could not pass anyway. An error is a [*Refusal], or a failure to judge.
func (p *Profile) Verify(ctx context.Context, u *Unverified, now time.Time) (*Facts, error) {
	return p.verify(ctx, u, now, nil)
}

// Explain is [Profile.Verify] for a token from [Inspect]: it notes every check
// and answers what can be known of the token, whether it passes or not.
func (p *Profile) Explain(ctx context.Context, u *Unverified, now time.Time, rec *Record) *Facts {
	facts, err := p.verify(ctx, u, now, rec)
	if err != nil { // a record ends nothing behind the front door
		return &Facts{}
	}
	return facts
}

func (p *Profile) verify(ctx context.Context, u *Unverified, now time.Time, rec *Record) (*Facts, error) {
	if err := rec.note(CheckIssuer, p.checkIssuer(u)); err != nil {
		return nil, err
	}
	if err := rec.note(CheckAlgorithm, p.checkAlgorithm(u)); err != nil {
		return nil, err
	}
	if err := p.checkType(u, rec); err != nil {
		return nil, err
	}
	if err := rec.note(CheckBound, checkBound(u.Claims)); err != nil {
		return nil, err
	}
	exp, has := seconds(u.Claims["exp"])
	if err := rec.note(CheckExpiry, present("exp", has)); err != nil {
		return nil, err
	}
	nbf, _ := seconds(u.Claims["nbf"])
	facts := &Facts{
		Subject:   strings.Clone(u.Claims.String("sub")),
		Scope:     strings.Clone(u.Claims.Scope()),
		Audience:  u.Claims.Audience(),
		Expiry:    int64(math.Floor(exp)),
		NotBefore: int64(math.Ceil(nbf)),
		Mark:      markOf(u.Claims),
		Named:     namesIn(u.Claims),
	}
	facts.Client = strings.Clone(u.Claims.clientFor(facts.Audience))
	if err := p.judge(facts, now, rec); err != nil {
		return nil, err
	}
	for i, aud := range facts.Audience {
		facts.Audience[i] = strings.Clone(aud) // facts must not hold on to the whole payload
	}
	var err error
	if p.Statuses {
		facts.Status, err = u.Claims.status()
	}
	if err := rec.note(CheckStatus, err); err != nil {
		return nil, err
	}
	if rec.blocked(CheckKeys) {
		return facts, nil // no key could be looked for
	}
	facts.Key, err = p.prove(ctx, u, rec)
	return facts, rec.proof(err)
}

func (p *Profile) checkIssuer(u *Unverified) error {
	if named, want := u.Claims.Issuer(), p.iss(u.Claims); named != want {
		return refuse(IssuerUnknown, "iss is "+clip(named))
	}
	return p.checkSPIFFE(u)
}

func (p *Profile) checkAlgorithm(u *Unverified) error {
	if !p.Algorithms.has(u.alg) {
		return refuse(AlgRefused, "alg is "+clip(u.alg))
	}
	return nil
}

func present(claim string, has bool) error {
	if !has {
		return refuse(ClaimMissing, claim)
	}
	return nil
}

// Judge looks at what may have changed since facts were found: the hour, the
// audience that is asked for, and whether the issuer still stands by the key.
// ok is false for a withdrawn key: then the token must be verified anew.
func (p *Profile) Judge(facts *Facts, now time.Time) (ok bool, err error) {
	if facts.Key != nil && facts.Key.Retired() {
		return false, nil
	}
	// What a log-in of our own may use is no access token to others who bring it.
	if facts.Mark != "" && !p.IDTokens && !p.LoggedIn {
		return true, marked(facts.Mark)
	}
	return true, p.judge(facts, now, nil)
}

func (p *Profile) judge(facts *Facts, now time.Time, rec *Record) error {
	if err := rec.note(CheckExpired, p.checkExpired(facts, now)); err != nil {
		return err
	}
	if err := rec.note(CheckNotBefore, p.checkNotBefore(facts, now)); err != nil {
		return err
	}
	return rec.note(CheckAudience, p.checkAudience(facts))
}

// Times are compared, not subtracted: durations end after 292 years.

func (p *Profile) checkExpired(facts *Facts, now time.Time) error {
	if expiry := time.Unix(facts.Expiry, 0); !now.Add(-p.Skew).Before(expiry) {
		return refuse(Expired, fmt.Sprintf("%s ago, with a skew of %s", now.Sub(expiry).Round(time.Second), p.Skew))
	}
	return nil
}

func (p *Profile) checkNotBefore(facts *Facts, now time.Time) error {
	if start := time.Unix(facts.NotBefore, 0); now.Add(p.Skew).Before(start) {
		return refuse(NotYetValid, fmt.Sprintf("%s early, with a skew of %s", start.Sub(now).Round(time.Second), p.Skew))
	}
	return nil
}

func (p *Profile) checkAudience(facts *Facts) error {
	if p.NoClients {
		return refuse(WrongAudience, "no audience is configured for this issuer, so that no token of a client is taken: it is for browsers that log in alone")
	}
	if p.Resource != "" && !slices.ContainsFunc(facts.Audience, func(aud string) bool { return SameResource(aud, p.Resource) }) {
		return refuse(WrongAudience, fmt.Sprintf("aud is %q, expected %q%s", clip(strings.Join(facts.Audience, " ")), p.Resource, Near(facts.Audience, []string{p.Resource})))
	}
	if len(p.Audience) == 0 {
		return nil
	}
	for _, aud := range facts.Audience {
		if slices.Contains(p.Audience, aud) {
			return nil
		}
	}
	switch {
	case p.ByClient && facts.Client != "" && slices.Contains(p.Audience, facts.Client):
		return nil
	case p.ByClient && facts.Client != "":
		return refuse(WrongAudience, fmt.Sprintf("there is no aud, and client_id is %q, expected one of %q", clip(facts.Client), p.Audience))
	case len(facts.Audience) == 0:
		return refuse(WrongAudience, fmt.Sprintf("there is no aud, expected one of %q", p.Audience))
	}
	return refuse(WrongAudience, fmt.Sprintf("aud is %q, expected one of %q%s", clip(strings.Join(facts.Audience, " ")), p.Audience, Near(facts.Audience, p.Audience)))
}

// SameResource reports whether two texts are the URL of one resource. They are
// compared as texts; but one without a path is the same with a slash and without
// (RFC 3986 §6.2.3), and clients write both.
func SameResource(a, b string) bool { return a == b || withoutRoot(a) == withoutRoot(b) }

// withoutRoot takes the slash off that is the whole path of a URL.
func withoutRoot(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if host, root := strings.CutSuffix(rest, "/"); root && host != "" && !strings.ContainsAny(host, "/?#") {
		return url[:len(url)-1]
	}
	return url
}

// prove finds the key that signed the token. A kid that the set does not have,
// and a token without a kid that no key verifies, ask for a newer set once. A
// bad signature by a known key asks for nothing.
func (p *Profile) prove(ctx context.Context, u *Unverified, rec *Record) (*Key, error) {
	set, err := p.Keys.Keys(ctx)
	if err != nil {
		return nil, err
	}
	rec.saw(set)
	key, err := u.provenBy(set, p.Algorithms)
	if ReasonOf(err) != KeyUnknown {
		return key, err
	}
	newer, failure := p.Keys.Newer(ctx, set)
	if failure != nil {
		return nil, failure
	}
	if newer == set {
		return nil, err
	}
	rec.saw(newer)
	return u.provenBy(newer, p.Algorithms)
}

func (u *Unverified) provenBy(set *KeySet, configured Algorithms) (*Key, error) {
	fit, known, plain := set.candidates(u.kid, u.alg, configured)
	signed := []byte(u.signed)
	for _, key := range fit {
		err := key.verify(u.alg, signed, u.signature)
		if err == nil {
			return key, nil
		}
		if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Bug {
			return nil, err
		}
	}
	switch {
	case plain && len(fit) == 0 && known:
		return nil, refuse(KeyMismatch, set.plainText(u.alg, configured))
	case plain && len(fit) == 0 && u.kid == "": // a newer set may have one
		return nil, refuse(KeyUnknown, "no kid, and "+set.plainText(u.alg, configured))
	case !known && u.kid == "":
		return nil, refuse(KeyUnknown, "no kid, and none of the issuer's keys for "+u.alg+" verifies")
	case !known:
		return nil, refuse(KeyUnknown, "kid is "+clip(u.kid))
	case len(fit) == 0:
		return nil, refuse(KeyMismatch, "the key "+clip(u.kid)+" is not for "+u.alg)
	}
	return nil, refuse(SignatureFailed, "kid is "+clip(u.kid))
}
