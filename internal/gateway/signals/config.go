package signals

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/secevent"
	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Signals is how a transmitter tells what an issuer's users, sessions and tokens
// have come to (OpenID Shared Signals Framework 1.0): what it takes back stops
// counting at once. Its word counts for this issuer alone.
type Signals struct {
	// The transmitter: iss of its events, and where its metadata are found.
	// Default: the issuer.
	URL string `json:"url,omitempty"`

	// The URL of the transmitter's metadata, if it is not at the well-known place
	// (SSF §7.2).
	Metadata string `json:"metadata,omitempty"`

	// Who the events must be meant for: one of these must be in their aud, which is
	// what the transmitter has set for the stream. Required.
	Audience []string `json:"audience,omitempty"`

	// The path where the transmitter posts its events (RFC 8935). It is the
	// gateway's own, whatever matcher the directive has.
	Push string `json:"push,omitempty"`

	// What the transmitter has to show there as its Authorization header, whole, as
	// "Bearer …": the stream's authorization_header. Best as {file.…} or {env.…}.
	// Default: nothing; the signature of an event proves it all the same.
	AuthorizationHeader string `json:"authorization_header,omitempty"`

	// Fetch the events from the transmitter (RFC 8936), instead of push.
	Poll bool `json:"poll,omitempty"`

	// Where. Default: the stream says it.
	PollEndpoint string `json:"poll_endpoint,omitempty"`

	// The stream's id at the transmitter, where the gateway has several there.
	Stream string `json:"stream,omitempty"`

	// What the transmitter is shown as Bearer, when the gateway asks it for events,
	// for a verification, or about the stream. Best as {file.…} or {env.…}.
	// Default: an access token that the issuer's client gets for itself
	// (client_credentials).
	Token string `json:"token,omitempty"`

	// The scope that is asked for with that. Keycloak wants ssf.manage and
	// ssf.read; other issuers say what.
	Scope []string `json:"scope,omitempty"`

	// How often the transmitter is asked for a verification event, by which it is
	// seen that the stream works: 10s to 24h. Default: 5m.
	Verify caddy.Duration `json:"verify,omitempty"`

	// What it means that three verifications did not come. "refuse" answers 503 to
	// the issuer's tokens until an event comes: what was taken back meanwhile is not
	// known. Default: keep, which takes them, and warns.
	Silent string `json:"silent,omitempty"`

	// What types of event do, where that is to be another thing than the default:
	// by the last word of the type, revoke, renew or note.
	On map[string]string `json:"on,omitempty"`

	// Which claim of the issuer's tokens has what a subject of a format is, such as
	// email for subjects of the format email. Default: subjects are matched by
	// iss_sub, jwt_id and session alone.
	Match map[string]string `json:"match,omitempty"`
}

// The bounds and defaults of the block.
const (
	DefaultVerify = 5 * time.Minute
	leastVerify   = 10 * time.Second
	mostVerify    = 24 * time.Hour
	mostMissed    = 3 // verifications

	keep   = "keep"
	refuse = "refuse"
)

// Check finds what is wrong without looking at placeholders. hasClient: the issuer
// has a client that can ask for access tokens.
func (s *Signals) Check(hasClient bool) error {
	switch {
	case len(s.Audience) == 0:
		return errors.New(`signals: no audience: write "audience <aud…>", the aud that the transmitter has set for the stream ("caddy oauth signals" shows it)`)
	case slices.Contains(s.Audience, ""):
		return errors.New("signals: an empty audience")
	case s.Push == "" && !s.Poll:
		return errors.New(`signals: write "push <path>" where the transmitter posts its events, or "poll" where they are fetched from it`)
	case s.Push != "" && s.Poll:
		return errors.New("signals: push and poll exclude each other: a stream delivers in one way")
	case s.Push != "" && (!strings.HasPrefix(s.Push, "/") || strings.ContainsAny(s.Push, "*?#%{}\\ ") || strings.Contains(s.Push, "//")):
		return fmt.Errorf("signals: push is %q; it takes a plain path such as /signals", s.Push)
	case s.AuthorizationHeader != "" && s.Push == "":
		return errors.New("signals: authorization_header is what the transmitter shows at push, and there is no push")
	case s.PollEndpoint != "" && !s.Poll:
		return errors.New("signals: poll_endpoint is for poll, and there is none")
	case s.Poll && s.Token == "" && !hasClient:
		return errors.New(`signals: poll needs something to show the transmitter: write "token <secret>" here, or "client <id> <secret>" in the issuer block`)
	case len(s.Scope) > 0 && (s.Token != "" || !hasClient):
		return errors.New("signals: scope is for the access token that the issuer's client gets for itself, and none is asked for")
	case s.Silent != "" && s.Silent != keep && s.Silent != refuse:
		return fmt.Errorf("signals: silent is %q; it takes keep or refuse", s.Silent)
	case s.Silent == refuse && s.Token == "" && !hasClient:
		return errors.New(`signals: silent refuse needs verifications, and those have to be asked for: write "token <secret>" here, or "client <id> <secret>" in the issuer block`)
	case s.Verify != 0 && (s.verify() < leastVerify || s.verify() > mostVerify):
		return fmt.Errorf("signals: verify is %s; it takes 10s to 24h", s.verify())
	}
	return s.checkWords()
}

func (s *Signals) checkWords() error {
	for name, effect := range s.On {
		if _, known := secevent.Effects[effect]; !known {
			return fmt.Errorf("signals: on %s is %q; it takes revoke, renew or note", name, effect)
		}
		if !slices.Contains(secevent.Names(), name) && !strings.Contains(name, ":") {
			return fmt.Errorf("signals: on: %q is no type of event that is known here%s; others are written whole, as a URI", name, didYouMean(name, secevent.Names()))
		}
	}
	for format, claim := range s.Match {
		if !slices.Contains(matchable(), format) {
			return fmt.Errorf("signals: match: %q is no format of a subject%s; it takes %s", format, didYouMean(format, matchable()), strings.Join(matchable(), ", "))
		}
		if claim == "" {
			return fmt.Errorf("signals: match %s: no claim", format)
		}
	}
	return nil
}

func didYouMean(word string, among []string) string {
	if near := grammar.Nearest(word, among); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// matchable are the formats, and the members of complex subjects, that a claim may
// stand for. iss_sub and jwt_id name an issuer's own sub and jti.
func matchable() []string {
	formats := slices.DeleteFunc(secevent.Formats(), func(format string) bool { return format == secevent.IssSub || format == secevent.JWTID })
	return append(formats, secevent.Session, secevent.Tenant, secevent.OrgUnit, secevent.Group, secevent.Device, secevent.Application)
}

func (s *Signals) verify() time.Duration {
	if s.Verify == 0 {
		return DefaultVerify
	}
	return time.Duration(s.Verify)
}

// Resolved is the block with its placeholders replaced.
type Resolved struct {
	URL, Metadata string // "": the issuer; the well-known places
	Audience      []string
	Header        secret.Text // the Authorization header; empty: none is asked for
	PollEndpoint  string
	Stream        string
	Token         secret.Text
}

// Resolve replaces the placeholders.
func (s *Signals) Resolve(repl *caddy.Replacer, allowHTTP bool) (r Resolved, err error) {
	var header, token string
	for word, one := range map[string]struct {
		value string
		to    *string
	}{
		"url": {s.URL, &r.URL}, "metadata": {s.Metadata, &r.Metadata}, "poll_endpoint": {s.PollEndpoint, &r.PollEndpoint},
		"stream": {s.Stream, &r.Stream}, "authorization_header": {s.AuthorizationHeader, &header}, "token": {s.Token, &token},
	} {
		if *one.to, err = grammar.Resolve(repl, "signals: "+word, one.value); err != nil {
			return r, err
		}
	}
	for word, address := range map[string]string{"signals": r.URL, "signals: metadata": r.Metadata, "signals: poll_endpoint": r.PollEndpoint} {
		if address == "" {
			continue
		}
		if err := as.CheckURL(address, allowHTTP); err != nil {
			return r, fmt.Errorf("%s: %w", word, err)
		}
	}
	r.Header, r.Token = secretOf(header), secretOf(token)
	r.Audience, err = grammar.ResolveAll(repl, "signals: audience", s.Audience)
	return r, err
}

func secretOf(text string) secret.Text {
	if text = grammar.TrimLine(text); text == "" {
		return secret.Text{}
	}
	return secret.New(text)
}

// effects are those that the operator has set, by the short name of the type.
func (s *Signals) effects() map[string]secevent.Effect {
	set := map[string]secevent.Effect{}
	for _, name := range slices.Sorted(maps.Keys(s.On)) {
		set[name] = secevent.Effects[s.On[name]]
	}
	return set
}
