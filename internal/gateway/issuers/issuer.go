// Package issuers is the authorization servers whose tokens a gateway takes: the
// issuer block, the [Set] of a gateway's issuers, and what of them sites share
// and outlives a reload, which is their keys and the tokens that were verified.
package issuers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/gateway/user"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Issuer is one authorization server, or several with the same settings: the
// unit of trust.
type Issuer struct {
	// The exact text of the tokens' iss claim. Several URLs share the settings
	// below, and each has keys of its own (the tenants of Microsoft Entra).
	// https, or plain http on a loopback address. With jwks or metadata it is a
	// name that is never dialled, and may be any text: my-issuer, urn:…, a
	// plain http address. spiffe://<trust domain> takes JWT-SVIDs of that domain,
	// with iss or without.
	URL []string `json:"url,omitempty"`

	// The name of a provider, such as github or google, and what it takes behind it: the
	// values of words that it is known to need, here and in login where browsers log in
	// here. What is written beside it comes first. Default: none.
	Provider []string `json:"provider,omitempty"`

	// The exact text of iss in access tokens, where it is another than the
	// issuer of the metadata and of ID tokens (the member access_token_issuer of
	// AD FS). Default: the issuer.
	AccessTokenIssuer string `json:"access_token_issuer,omitempty"`

	// Who the token must be meant for: one of these must be in its aud claim
	// (RFC 9068 §4). Required, unless the gateway has a resource, or browsers log in
	// here and their sessions stand for users (identity): then no token is taken
	// that a client brings.
	Audience []string `json:"audience,omitempty"`

	// Take tokens that have no aud, if their client_id is one of audience, as
	// Amazon Cognito's access tokens. Whatever else such a client gets tokens
	// for, they open this API too. Where there is an aud, it decides.
	ClientIDAsAudience bool `json:"client_id_as_audience,omitempty"`

	// The signature algorithms taken, of RS256 RS384 RS512 PS256 PS384 PS512
	// ES256 ES384 ES512 EdDSA Ed25519. Default: all of these; but an RSA key
	// without an alg of its own is for those alone that are named here, or else
	// in the issuer's metadata (id_token_signing_alg_values_supported), or else
	// for RS256.
	Algorithms []string `json:"algorithms,omitempty"`

	// "at+jwt" takes only tokens of the JWT profile for access tokens
	// (RFC 9068). Default: at+jwt, JWT or no type, and no marks of an ID token.
	TokenType string `json:"token_type,omitempty"`

	// How far the issuer's clock may differ, at most 60s. Default: 30s.
	Skew *caddy.Duration `json:"skew,omitempty"`

	// The URL of the issuer's metadata, if it is not at one of the well-known
	// places (RFC 8414 §3, OpenID Connect Discovery §4). Addresses in metadata
	// may be on loopback, or link-local, only where the metadata came from such
	// an address themselves.
	Metadata string `json:"metadata,omitempty"`

	// The issuer's keys: the URL of a JWK Set, or a file. Without metadata as well
	// nothing is discovered.
	JWKS string `json:"jwks,omitempty"`

	// Endpoints of the issuer, where its metadata lack them, or name what cannot
	// be asked from here. They are asked wherever they are.
	AuthorizationEndpoint string `json:"authorization_endpoint,omitempty"`
	TokenEndpoint         string `json:"token_endpoint,omitempty"`
	UserinfoEndpoint      string `json:"userinfo_endpoint,omitempty"`
	EndSessionEndpoint    string `json:"end_session_endpoint,omitempty"`

	// Ask who the user of a log-in is as here, at an issuer that speaks OAuth 2.0 and
	// no OpenID Connect, such as GitHub. It has no keys and no ID tokens, so that its
	// endpoints are named by hand, and browsers alone log in there. Without jwks and
	// metadata the issuer is a name that is never dialled. Default: it speaks OpenID
	// Connect.
	User *user.User `json:"user,omitempty"`

	// A file with a token that is shown to who has the metadata and keys, as
	// Authorization: Bearer. It is read for each fetch, so that it may change.
	// It goes to the addresses of this block, and where metadata lead at the same
	// host. A Kubernetes API server shows its keys to service accounts alone.
	BearerTokenFile string `json:"bearer_token_file,omitempty"`

	// Ask the issuer about opaque tokens (RFC 7662). Default: they are refused.
	Introspect *introspection.Introspect `json:"introspect,omitempty"`

	// Where the issuer's status lists may be, as origins: https://host[:port].
	// A token that names its place in one (Token Status List) is refused when the
	// list calls it invalid or suspended, and cannot be judged without the list.
	// Lists are signed with the issuer's keys, and fetched as those are, in the
	// background. Tokens that name none pass. Default: none are looked at.
	StatusLists []string `json:"status_lists,omitempty"`

	// Take what a transmitter of security events tells of this issuer's users,
	// sessions and tokens (OpenID Shared Signals Framework), so that what is taken
	// back stops counting before it runs out. Default: none is listened to.
	Signals *signals.Signals `json:"signals,omitempty"`

	// What a request needs if its token is this issuer's, beyond what every
	// request does. Two issuers' groups are two things of one name: what
	// one of them alone may grant belongs here. Default: nothing more.
	Require []*policy.Requirement `json:"require,omitempty"`

	// Who the gateway is at the issuer, for what it asks there: about opaque
	// tokens, and on behalf of clients that have no secret.
	Client *Client `json:"client,omitempty"`

	// The certificate authorities trusted for connections to the issuer.
	// Default: the system's.
	TrustPool json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// Take keys over plain http from hosts other than loopback: an attacker on
	// the way can forge every token.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	// Take tokens whatever they are meant for: any service that gets a token of
	// this issuer can use it here.
	InsecureAnyAudience bool `json:"insecure_any_audience,omitempty"`

	// Take ID tokens as access tokens: any site that a user logs in to can act as
	// the user here. Dex needs it.
	InsecureIDTokens bool `json:"insecure_id_tokens,omitempty"`

	filled bool            // with the words of its provider
	line   caddyfile.Token // where its block begins, if it came from a Caddyfile
}

// The bounds of skew, and the type of RFC 9068.
const (
	DefaultSkew = 30 * time.Second
	MaxSkew     = 60 * time.Second
	StrictType  = "at+jwt"
)

// provision makes a trust of each URL. What it acquired is released by the
// functions it returns, also with an error.
func (i *Issuer) provision(ctx caddy.Context, repl *caddy.Replacer, with Options) (trusts []*Trust, release []func(), err error) {
	urls, err := grammar.ResolveAll(repl, "issuer", i.URL)
	if err != nil {
		return nil, nil, err
	}
	set, err := i.Resolve(ctx, repl)
	var client *as.Client
	if err == nil && i.Client != nil {
		client, err = i.Client.Resolve(repl)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("issuer %s: %w", strings.Join(urls, " "), err)
	}
	tellSkipped(with.Log, set.Skipped, zap.String("file", set.JWKS))
	var done func()
	for _, url := range urls {
		if err := i.CheckURL(url); err != nil { // now that its placeholders are known
			return nil, release, err
		}
		l := i.acquire(ctx, url, set, with.Capacity, with.Log)
		release = append(release, l.release)
		t := &Trust{
			authority: l.authority,
			Reach:     reachOf(url, set, i.InsecureHTTP),
			remember:  with.Capacity > 0,
			Require:   slices.Concat(with.Require, i.Require),
			Profile: token.Profile{
				Issuer: url, Tokens: set.Tokens, Resource: with.Resource, Audience: set.Audience, ByClient: i.ClientIDAsAudience, Algorithms: set.Algorithms, Keys: telemetry.TraceKeys(l.keys),
				Strict: i.TokenType == StrictType, IDTokens: i.InsecureIDTokens, NoClients: len(set.Audience) == 0 && with.Resource == "" && !i.InsecureAnyAudience, Skew: i.Leeway(), Statuses: len(set.StatusLists) > 0,
			},
			Client:  client,
			User:    set.User,
			Metrics: telemetry.Metrics.ForIssuer(url),
		}
		t.loggedIn = t.Profile
		t.loggedIn.LoggedIn = true
		trusts = append(trusts, t)
		if i.Introspect != nil && client != nil {
			t.Introspector, done = i.Introspect.Open(introspection.Settings{
				Authority: l.key, Server: l.Server, Config: l.config, Endpoint: set.Introspect, Client: *client, Tokens: set.Tokens, Keys: l.keys, Algorithms: set.Algorithms,
				IDTokens: i.InsecureIDTokens, ByClient: i.ClientIDAsAudience, WantsType: i.wantsType(), Entries: with.Capacity,
			})
			t.TokenPrefix = i.Introspect.TokenPrefix
			// Before the authority, whose server it asks.
			release = slices.Insert(release, len(release)-1, done)
		}
		if i.Signals != nil {
			t.Signals, done = i.Receive(url, set, client, l.Server, l.key+" "+t.Reach)
			release = slices.Insert(release, len(release)-1, done)
		}
	}
	return trusts, release, nil
}

// Leeway is how far the issuer's clock may differ.
func (i *Issuer) Leeway() time.Duration {
	if i.Skew == nil {
		return DefaultSkew
	}
	return time.Duration(*i.Skew)
}

// wantsType reports whether an answer has to say what an opaque token is. An
// audience tells access tokens of this API from all else. Where none is asked
// for, a refresh token passed, and reached the upstream, at issuers whose
// answers are alike for both kinds.
func (i *Issuer) wantsType() bool { return i.InsecureAnyAudience && !i.Introspect.InsecureAnyToken }

// heldAuthority is an authority out of the pool, until release is called.
type heldAuthority struct {
	*authority
	config  as.Config
	release func()
}

// acquire gets the authority of one URL from the pool, where it may have been
// since an earlier configuration.
func (i *Issuer) acquire(ctx caddy.Context, url string, set Settings, capacity int, log *zap.Logger) (l heldAuthority) {
	mark := i.fingerprint(url, set)
	key, storeAs := mark, "oauth/keys/"+mark+".json"
	if set.opaque {
		key, storeAs = fmt.Sprintf("%s %d", mark, trustIndex(set.Roots)), "" // what was trusted could not be told later
	}
	if storesNoKeys(ctx) {
		storeAs = ""
	}
	l.config = i.Server(url, set)
	l.config.StoreAs, l.config.Now, l.config.Jitter = storeAs, time.Now, rand.Float64
	l.authority, l.release = acquire(key, capacity, &set, l.config, as.Env{Storage: ctx.Storage(), Observe: telemetry.NewEvents(ctx, log).Watching(url, observer(log, url))})
	return l
}

// fingerprint is the same where an issuer means the same in two configurations.
// What is judged on each request (audience, skew) is not in it.
func (i *Issuer) fingerprint(url string, set Settings) string {
	words := []any{
		url, set.Metadata, set.JWKS, set.content, set.Algorithms,
		i.TokenType, set.trusted, i.InsecureHTTP, i.InsecureIDTokens,
	}
	if set.Tokens != "" || set.Named != (as.Named{}) || set.bearer != "" { // else the keys that are stored keep their place
		words = append(words, set.Tokens, set.Named, set.bearer)
	}
	if len(set.StatusLists) > 0 {
		words = append(words, "status_lists", set.StatusLists)
	}
	if set.User != nil {
		words = append(words, "plain")
	}
	all, err := json.Marshal(words)
	if err != nil {
		panic("caddyoauth: a fingerprint that cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:16])
}
