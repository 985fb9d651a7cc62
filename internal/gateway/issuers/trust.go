package issuers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/user"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// Trust is one issuer as one gateway sees it: what every gateway that names it
// shares, under the profile of this configuration. Its Server is nil where its
// keys come from a file.
type Trust struct {
	*authority
	Profile      token.Profile               // what its tokens must be; Profile.Issuer is its name
	loggedIn     token.Profile               // the same for those of the gateway's own log-ins
	Reach        string                      // a digest of what says who the issuer is
	Require      []*policy.Requirement       // of its tokens: the gateway's, and those of its issuer block
	Client       *as.Client                  // who the gateway is there; nil: there is no client
	Introspector *introspection.Introspector // asks about tokens; nil: they are not asked about
	User         *user.User                  // says who a log-in's user is, where there is no OpenID Connect; nil: there is
	Signals      *signals.Receiver           // of a transmitter's events about it; nil: there is none
	TokenPrefix  []string                    // what its opaque tokens begin with; none: it is not said
	Metrics      telemetry.IssuerMetrics
	now          func() time.Time // the set's

	remember bool // use the cache
}

// ProfileFor is what a token must be that comes with a request, or that the issuer
// granted to a log-in of the gateway's own.
func (t *Trust) ProfileFor(logIn bool) *token.Profile {
	if logIn {
		return &t.loggedIn
	}
	return &t.Profile
}

// ProfileToVerify is what a JWT must be before its issuer is asked about it, if it
// is asked.
func (t *Trust) ProfileToVerify(logIn bool) *token.Profile {
	profile := t.ProfileFor(logIn)
	if t.Introspector != nil && t.Introspector.Completes {
		return profile.Unaddressed()
	}
	return profile
}

// Recall is what is remembered of a JWT, and the answer that completes it. Where
// the issuer is asked about each, only what it said counts.
func (t *Trust) Recall(key token.Digest, now time.Time) (facts *token.Facts, answer string) {
	switch {
	case t.AsksAlways():
		if said := t.Introspector.Recall(key, now); said != nil {
			return said.Facts, said.Answer // nil for one that is inactive: verified first, all the same
		}
	case t.remember:
		if facts, hit := t.cache.GetIfPresent(key); hit {
			if facts.Decoded.Grew() {
				t.cache.Set(key, facts) // has it weighed again
			}
			return facts, ""
		}
	}
	return nil, ""
}

// Keep remembers a JWT that was verified. Only such a one may be: strangers
// could fill the cache with others.
func (t *Trust) Keep(key token.Digest, facts *token.Facts) {
	if t.remember {
		facts.Decoded = new(token.Decoded)
		t.cache.Set(key, facts)
	}
}

// AsksAlways reports whether the issuer is asked about JWTs, too.
func (t *Trust) AsksAlways() bool { return t.Introspector != nil && t.Introspector.Always }

// MethodsFor are the ways to present a caller's secret to the issuer, best first:
// as the caller presented it, unless the issuer says that it does not take that,
// or in the issuer's own order where anyOrder says that the caller's way tells
// nothing. "" is what the metadata offer.
func (t *Trust) MethodsFor(ctx context.Context, method tokenrequest.Method, anyOrder bool) []string {
	ends, err := t.Server.Endpoints(ctx)
	if err != nil || len(ends.AuthMethods) == 0 {
		if method == tokenrequest.Basic {
			return []string{as.AuthBasic, as.AuthPost}
		}
		return []string{string(method)}
	}
	var methods []string
	for _, offered := range ends.AuthMethods {
		switch {
		case offered != as.AuthBasic && offered != as.AuthPost || slices.Contains(methods, offered):
		case offered == string(method) && !anyOrder:
			methods = slices.Insert(methods, 0, offered)
		default:
			methods = append(methods, offered)
		}
	}
	if len(methods) == 0 {
		return []string{""}
	}
	return methods
}

// IsClient reports whether the gateway is this client at the issuer.
func (t *Trust) IsClient(client string) bool { return t.Client != nil && t.Client.ID == client }

// reachOf is a digest of what says who an issuer is: a refresh token, or a
// secret, that goes to one goes to no other. What a token must be to pass here
// is not in it. A file of certificates counts by its name, so that it can be
// renewed.
func reachOf(url string, set Settings, insecureHTTP bool) string {
	var certificates bytes.Buffer
	_ = json.Compact(&certificates, set.trustPool) // it was read before
	words := []any{url, set.Metadata, certificates.String(), insecureHTTP}
	if set.Named.Token != "" || set.Named.UserInfo != "" { // where grants and secrets go
		words = append(words, set.Named.Token, set.Named.UserInfo)
	}
	if set.User != nil { // where access tokens go
		words = append(words, set.Named.Authorization, set.User)
	}
	all, _ := json.Marshal(words)
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:16])
}
