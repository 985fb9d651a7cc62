package token

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// Login is what the ID tokens and logout tokens of one issuer must be that are
// meant for one client there (OpenID Connect Core §3.1.3.7, Back-Channel Logout
// §2.6). They pass the same front door as access tokens.
type Login struct {
	Issuer     string // iss, exactly
	ClientID   string // must be in aud
	Algorithms Algorithms
	Skew       time.Duration
	Keys       KeySource
}

// ID is who an ID token says has logged in.
type ID struct {
	Subject string
	Session string // sid, or ""
}

// Logout is what a logout token ends: a session, all of a user's, or a session
// of that user. One of the two may be "".
type Logout struct {
	Subject, Session string
	ID               string // jti
	Issued           time.Time
}

// LogoutFresh is how old a logout token may be by its iat, and how long one lives
// that has no exp (Ory Hydra's have none).
const LogoutFresh = 5 * time.Minute

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	mostSubject = 255 // OpenID Connect Core §2
)

// VerifyID proves an ID token: that it answers the log-in with this nonce and,
// where it says so, came with this access token. An error is a [*Refusal], or a
// failure to judge.
func (l *Login) VerifyID(ctx context.Context, raw, nonce, accessToken string, now time.Time) (*ID, error) {
	return l.verifyID(ctx, raw, accessToken, now, func(c Claims) error {
		if subtle.ConstantTimeCompare([]byte(c.String("nonce")), []byte(nonce)) != 1 || nonce == "" {
			return refuse(ClaimWrong, "nonce is not that of this log-in")
		}
		return nil
	})
}

// VerifyIDAgain proves the ID token of a refresh: that it speaks of the same user
// as the one before it, and of the same log-in where it says so (OpenID Connect
// Core §12.2). Errors are as with VerifyID.
func (l *Login) VerifyIDAgain(ctx context.Context, raw string, before Claims, accessToken string, now time.Time) error {
	_, err := l.verifyID(ctx, raw, accessToken, now, func(c Claims) error {
		switch {
		case c.String("sub") != before.String("sub"):
			return refuse(ClaimWrong, "sub is another's")
		case c["nonce"] != nil && before["nonce"] != nil && c["nonce"] != before["nonce"]:
			return refuse(ClaimWrong, "nonce is another log-in's")
		}
		return nil
	})
	return err
}

func (l *Login) verifyID(ctx context.Context, raw, accessToken string, now time.Time, fits func(Claims) error) (*ID, error) {
	u, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	c := u.Claims
	id := &ID{Subject: strings.Clone(c.String("sub")), Session: strings.Clone(c.String("sid"))}
	_, hasSession := c["sid"]
	switch {
	case u.typed && !isType(u.typ, "jwt"):
		return nil, refuse(TypeRefused, "typ is "+clip(u.typ))
	case c["events"] != nil || slices.Contains(notID, strings.ToLower(c.String("typ"))):
		return nil, refuse(TypeRefused, "it is no ID token")
	case id.Subject == "" || len(id.Subject) > mostSubject:
		return nil, refuse(ClaimMissing, "sub")
	case hasSession && id.Session == "": // else a log-out of that session would not find it
		return nil, refuse(ClaimType, "sid is not a string, or empty")
	case fits(c) != nil:
		return nil, fits(c)
	case len(c.Audience()) > 1 && c["azp"] == nil:
		return nil, refuse(ClaimMissing, "azp, with more than one audience")
	case c["azp"] != nil && c["azp"] != l.ClientID:
		return nil, refuse(ClaimWrong, "azp is "+clip(c.String("azp")))
	}
	if hash, has := c["at_hash"]; has && hash != leftHash(u.alg, accessToken) {
		return nil, refuse(ClaimWrong, "at_hash is not that of the access token")
	}
	if err := l.verify(ctx, u, now, 0); err != nil {
		return nil, err
	}
	return id, nil
}

// Kinds of token that Keycloak names in the payload.
var notID = []string{"bearer", "refresh", "offline", "logout"}

// VerifyLogout proves a logout token. That its jti was not seen before is left
// to the caller. An error is a [*Refusal], or a failure to judge.
func (l *Login) VerifyLogout(ctx context.Context, raw string, now time.Time) (*Logout, error) {
	u, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	c := u.Claims
	out := &Logout{Subject: strings.Clone(c.String("sub")), Session: strings.Clone(c.String("sid")), ID: strings.Clone(c.String("jti")), Issued: c.Times().Issued}
	events, _ := c["events"].(map[string]any)
	event, isLogout := events[logoutEvent]
	if _, object := event.(map[string]any); !object && event != nil { // null is nothing more to say of it, as {} is
		isLogout = false
	}
	iat, _ := seconds(c["iat"])
	_, odd := c["sid"]
	_, hasNonce := c["nonce"]
	switch {
	case u.typed && !isType(u.typ, "logout+jwt") && !isType(u.typ, "jwt"):
		return nil, refuse(TypeRefused, "typ is "+clip(u.typ))
	case !isLogout:
		return nil, refuse(TypeRefused, "its events name no log-out")
	case hasNonce:
		return nil, refuse(ClaimWrong, "nonce is there: it may be an ID token")
	case odd && out.Session == "" || out.Subject == "" && out.Session == "":
		return nil, refuse(ClaimMissing, "sub and sid")
	case out.ID == "":
		return nil, refuse(ClaimMissing, "jti")
	case now.Add(-LogoutFresh - l.Skew).After(time.Unix(int64(iat), 0)):
		return nil, refuse(Expired, "iat is too old")
	}
	if err := l.verify(ctx, u, now, LogoutFresh); err != nil {
		return nil, err
	}
	return out, nil
}

// verify makes the checks that both have, the costly ones last. A token without
// exp lives for life from its iat; none: it has to have one.
func (l *Login) verify(ctx context.Context, u *Unverified, now time.Time, life time.Duration) error {
	p := Profile{Issuer: l.Issuer, Audience: []string{l.ClientID}, Algorithms: l.Algorithms, Skew: l.Skew, Keys: l.Keys}
	if err := p.checkIssuer(u); err != nil {
		return err
	}
	if err := p.checkAlgorithm(u); err != nil {
		return err
	}
	iat, has := seconds(u.Claims["iat"])
	if err := present("iat", has); err != nil {
		return err
	}
	exp, has := seconds(u.Claims["exp"])
	if !has && life > 0 {
		exp, has = iat+life.Seconds(), true
	}
	if err := present("exp", has); err != nil {
		return err
	}
	nbf, _ := seconds(u.Claims["nbf"])
	// An iat to come is looked at as nbf is: it would be fresh for too long.
	facts := &Facts{Audience: u.Claims.Audience(), Expiry: int64(exp), NotBefore: int64(max(nbf, iat))}
	if err := p.judge(facts, now, nil); err != nil {
		return err
	}
	_, err := p.prove(ctx, u, nil)
	return err
}

// leftHash is at_hash of OpenID Connect Core §3.1.3.6: the left half of the
// digest that the signature uses. For Ed25519 that is SHA-512.
func leftHash(alg, accessToken string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		d := sha256.Sum256([]byte(accessToken))
		sum = d[:]
	case strings.HasSuffix(alg, "384"):
		d := sha512.Sum384([]byte(accessToken))
		sum = d[:]
	default:
		d := sha512.Sum512([]byte(accessToken))
		sum = d[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
