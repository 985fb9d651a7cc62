package session

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Browser is what a grant is found by whose handle a browser holds. All of it
// goes into the store as digests, or sealed.
type Browser struct {
	Client  string // who the gateway is at the AS
	User    string // sub of the ID token; required
	Session string // sid of the ID token, or ""
	Note    string // for the user: which browser it is; only so much as mostNote is kept
	// Replaces is the grant that the caller will end, once there is the new one.
	Replaces Key
}

// mostNote bounds a note, in bytes, and with it [HeadSize].
const mostNote = 128

// User is who is looked for at an AS.
type User struct {
	Issuer, Client string
	Sub            string // of the ID token; "": any
	// Server is what [Options.Authority] says of the AS, where other ones of the
	// same name keep grants in this store too. "": there is none.
	Server string
}

// holders are the digests that the user's grants at that one server are counted
// under; none: whichever server it is.
func (u *User) holders(ring *Keyring) []ID {
	if u.Server == "" || u.Sub == "" {
		return nil
	}
	return ring.Digests(holderSubject, u.Server, u.Sub)
}

// ofAnother reports whether a row is of a user of the same name at another server.
// A row from before holders were kept does not tell.
func (r *Row) ofAnother(holders []ID) bool {
	return len(holders) > 0 && r.Holder != (ID{}) && !slices.Contains(holders, r.Holder)
}

// mark puts it into a row. A grant without a user is no browser's.
func (b *Browser) mark(ring *Keyring, row *Row, issuer string) (err error) {
	if b.User == "" {
		return nil
	}
	row.User = ring.Digest("user", issuer, b.Client, b.User)
	if b.Session != "" {
		row.Session = ring.Digest("session", issuer, b.Client, b.Session)
	}
	row.Note, err = ring.sealText("note", row.Key[:], []byte(b.Note)[:min(len(b.Note), mostNote)])
	return err
}

// Shares reports whether a handle's grant is alive and may be the same session at
// the AS as another log-in, b. Many an AS makes one grant of both, so that giving
// back the tokens of one ends the other too: Keycloak by the session, Hydra and
// Dex by user and client. A b without a user may be anybody's.
func (v *Vault) Shares(ctx context.Context, h Handle, issuer string, b Browser) bool {
	c := v.cfg.Load()
	row, err := v.load(ctx, c, h.Key())
	if err != nil {
		return !errors.Is(err, ErrNotFound) // not to know is to leave tokens alone
	}
	if row.Dead || row.Purpose != ForGrant {
		return false
	}
	if b.User != "" && !slices.Contains(c.ring.Digests("user", issuer, b.Client, b.User), row.User) {
		return false
	}
	return b.Session == "" || row.Session == (ID{}) || slices.Contains(c.ring.Digests("session", issuer, b.Client, b.Session), row.Session)
}

// CreateFor is Create for a browser.
func (v *Vault) CreateFor(ctx context.Context, b Browser, g Grant, answer Granted, asked time.Time) (Handle, Access, error) {
	if b.User == "" {
		v.giveBack(ctx, v.cfg.Load(), new(v.cfg.Load().o.renewed(g, answer, asked)))
		return Handle{}, Access{}, errors.New("a browser's grant needs a user")
	}
	return v.createFor(ctx, b, g, answer, asked)
}

// Seen is one of a user's browsers that are logged in.
type Seen struct {
	Key                      Key
	Sref                     string
	Note                     string // "": it cannot be read any more
	Created, LastUsed, Until time.Time
}

// mostSeen bounds what is shown of one user, the ones used last.
const mostSeen = 100

// Browsers lists the live grants of a user, the one used last first. The error is
// an *Unavailable.
func (v *Vault) Browsers(ctx context.Context, user User) (all []Seen, err error) {
	c := v.cfg.Load()
	digests, holders := c.ring.Digests("user", user.Issuer, user.Client, user.Sub), user.holders(c.ring)
	now := c.o.Now()
	if err := v.find(ctx, c, ByUser, digests, func(row *Row) bool {
		if row.ofAnother(holders) || !now.Before(row.Until) ||
			!now.Before(row.LastUsed.Add(c.o.Idle)) {
			return true
		}
		note, _ := c.ring.openText("note", row.Key[:], row.Note) // of a key that is gone: ""
		all = append(all, Seen{
			Key: row.Key, Sref: c.ring.Sref(row.Key), Note: string(note),
			Created: row.Created, LastUsed: row.LastUsed, Until: row.Until,
		})
		return true
	}); err != nil && !unread(err) { // a record that cannot be read serves no request here
		return nil, unavailable(0, "looking for a user's browsers: %w", err)
	}
	slices.SortFunc(all, func(a, b Seen) int { return b.LastUsed.Compare(a.LastUsed) })
	return all[:min(len(all), mostSeen)], nil
}

// EndBrowsers ends what the AS has ended (OpenID Connect Back-Channel Logout
// §2.7): with a session the grants of it, and those of the user that came
// without any; without one all of the user's browsers. One of the two may be
// "". It counts what it ended; the error is an *Unavailable.
func (v *Vault) EndBrowsers(ctx context.Context, user User, session, reason string) (ended int, err error) {
	return v.endBrowsers(ctx, user, session, reason, Key{})
}

// EndBrowsersBut ends all browsers of a user but the one that asks.
func (v *Vault) EndBrowsersBut(ctx context.Context, user User, but Key, reason string) (ended int, err error) {
	return v.endBrowsers(ctx, user, "", reason, but)
}

func (v *Vault) endBrowsers(ctx context.Context, user User, session, reason string, but Key) (ended int, err error) {
	c := v.cfg.Load()
	ring := c.ring
	sessions := ring.Digests("session", user.Issuer, user.Client, session)
	if user.Sub == "" {
		if session == "" {
			return 0, nil
		}
		return v.endEach(ctx, c, reason, BySession, sessions, func(row *Row) bool {
			return row.Key != but && row.User != (ID{})
		})
	}
	users, holders := ring.Digests("user", user.Issuer, user.Client, user.Sub), user.holders(ring)
	return v.endEach(ctx, c, reason, ByUser, users, func(row *Row) bool {
		return row.Key != but && !row.ofAnother(holders) &&
			(session == "" || row.Session == (ID{}) || slices.Contains(sessions, row.Session))
	})
}
