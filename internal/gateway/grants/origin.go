package grants

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Origin is what a grant remembers of its beginning, sealed with it. Another
// site may name the same issuer and mean another server, or have another secret
// for the same client, perhaps a stale one: neither may see what this grant is
// refreshed with, nor spoil it.
type Origin struct {
	Client    string `json:"client,omitempty"`     // who the gateway was at the issuer, for a grant by refresh token: no other client may refresh it
	IDSubject string `json:"id_subject,omitempty"` // of the ID token that came with it
	IDToken   string `json:"id_token,omitempty"`   // itself, of a browser's, for logging out, and for its claims: a refresh that brings another one replaces it
	Claims    bool   `json:"claims,omitempty"`     // these are used
	ByUser    bool   `json:"by_user,omitempty"`    // it stands for the user who logged in, and not for its access token, which is for the issuer alone to read

	// None of these are there in a grant from before they were remembered.
	Server string `json:"server,omitempty"` // what said who the issuer is, as a digest
	Proof  string `json:"proof,omitempty"`  // what the gateway proved itself with, as a digest
	Site   string `json:"site,omitempty"`   // where it began
}

// Seal is how it stands in a grant.
func (o Origin) Seal() secret.Text {
	text, _ := json.Marshal(o) // strings always encode
	return secret.New(string(text))
}

// OriginOf is that of a grant.
func OriginOf(g *session.Grant) (o Origin) {
	_ = json.Unmarshal([]byte(g.App.Reveal()), &o) // a grant by running again had none
	return o
}

// IDClaims are those of the ID token, which was verified when it came.
func (o *Origin) IDClaims() token.Claims {
	claims, err := token.PayloadClaims(o.IDToken)
	if err != nil {
		return nil // there is none
	}
	return claims
}

// known is what is asked for of an origin with each request. It is decoded once, as
// long as the grant is kept open.
type known struct {
	idSubject string
	client    string        // that it began as
	server    string        // and where
	claims    token.Decoded // of the ID token

	once    sync.Once
	user    *token.Facts // whom it speaks of
	idToken string
}

func (f Source) known() *known {
	if f.Made != nil {
		if before, ok := f.Made.Load().(*known); ok {
			return before
		}
	}
	from := f.Origin()
	k := &known{idSubject: strings.Clone(from.IDSubject), client: strings.Clone(from.Client), server: strings.Clone(from.Server)}
	if f.Made != nil {
		f.Made.Store(k)
	}
	return k
}

// IDSubject is the sub of the ID token that came with the grant.
func (f Source) IDSubject() string { return f.known().idSubject }

// User is whom the grant's log-in speaks of, with the ID token that says so, if there
// is one. nil: that is not known.
func (f Source) User() (user *token.Facts, idToken string) {
	k := f.known()
	k.once.Do(func() {
		origin := f.Origin()
		switch facts, err := token.FactsOfID(origin.IDToken); {
		case err == nil && facts.Subject == k.idSubject:
			k.user, k.idToken = facts, strings.Clone(origin.IDToken)
		case origin.IDToken == "" && origin.ByUser && k.idSubject != "":
			k.user = token.FactsOfUser(k.idSubject)
		}
	})
	return k.user, k.idToken
}

// Of reports whether the grant began at a server as the client that a site has there:
// the issuer decides who may log in for each client.
func (f Source) Of(t *issuers.Trust) bool {
	k := f.known()
	return t.Client != nil && k.client == t.Client.ID && k.server == t.Reach
}

// IDClaims looks for what the grant's ID token says of its user.
func (f Source) IDClaims() func(path string) any {
	k := f.known()
	decode := sync.OnceValue(func() token.Claims {
		origin := f.Origin()
		return origin.IDClaims().OfUser()
	})
	return func(path string) any { return k.claims.Lookup(path, decode) }
}

// Origin is that of a grant that begins now at this site, in the words of its
// issuer's trust.
func (k *Keeper) Origin(t *issuers.Trust) Origin {
	o := k.OriginOfCaller(t)
	o.Client, o.Proof = t.Client.ID, t.Client.Print()
	return o
}

// OriginOfCaller is that of a grant that is run again as the client that asked for it.
func (k *Keeper) OriginOfCaller(t *issuers.Trust) Origin {
	return Origin{Server: t.Reach, Site: k.site}
}

// renewedAt names the server that a grant is refreshed at: what fails there,
// and who waits for it, is no matter of another server of the same name.
func renewedAt(g *session.Grant) string {
	if from := OriginOf(g); from.Server != "" {
		return from.Server
	}
	return g.Issuer
}

// renewedAs names whom a grant is refreshed as there, its secret included: one
// site's stale secret is no matter of another's.
func renewedAs(g *session.Grant) string {
	from := OriginOf(g)
	return from.Client + " " + from.Proof // neither, where the caller's own credentials are used
}

var (
	errNoIssuer = errors.New("no configuration has its issuer, with the settings and the client that it began with")
	errSecrets  = errors.New("the site where it began is not configured any more, and those that have its issuer and client have different secrets for it, none of them the one that it began with")
)

// candidate is a site that has an issuer by the name that a grant has.
type candidate struct {
	issuer *issuers.Trust
	site   string
	server string // as in an Origin
	client string // "": there is none
	proof  string
}

// issuerOf finds how to speak to a grant's issuer as the client that it began with.
func (v *vault) issuerOf(g *session.Grant) (*issuers.Trust, error) {
	var all []candidate
	v.mu.Lock()
	for _, k := range slices.Backward(v.keepers) {
		t := k.issuer(g.Issuer)
		if t == nil || t.Server == nil {
			continue
		}
		one := candidate{issuer: t, site: k.site, server: t.Reach}
		if t.Client != nil {
			one.client, one.proof = t.Client.ID, t.Client.Print()
		}
		all = append(all, one)
	}
	v.mu.Unlock()
	found, err := choose(OriginOf(g), g.Kind == session.ByRefreshToken, all)
	if err != nil {
		return nil, err
	}
	return found.issuer, nil
}

// choose finds the settings that a grant is refreshed with; the newest candidate
// comes first. The site where the grant began comes before others, with whatever
// settings it has now: a secret that was changed there, or metadata, end no grant.
// Then others that mean the same server and have the same secret. A grant from
// before this was remembered goes by issuer and client alone, the newest
// configuration first. asClient: the gateway's own client is asked for.
func choose(from Origin, asClient bool, all []candidate) (*candidate, error) {
	var own, same []*candidate
	for n := range all {
		one := &all[n]
		switch {
		case asClient && (one.client == "" || one.client != from.Client):
		case from.Server == "" || from.Site != "" && one.site == from.Site:
			own = append(own, one)
		case one.server == from.Server:
			same = append(same, one)
		}
	}
	began := func(one *candidate) bool {
		return one.server == from.Server && (!asClient || one.proof == from.Proof)
	}
	// While a reload is under way there may be two of the site.
	switch n := slices.IndexFunc(own, began); {
	case n >= 0:
		return own[n], nil
	case len(own) > 0:
		return own[0], nil
	}
	if n := slices.IndexFunc(same, began); n >= 0 {
		return same[n], nil
	}
	// Its site has gone, or has changed its address and its secret at once.
	switch {
	case len(same) == 0:
		return nil, errNoIssuer
	case slices.ContainsFunc(same, func(one *candidate) bool { return asClient && one.proof != same[0].proof }):
		return nil, errSecrets
	}
	return same[0], nil
}
