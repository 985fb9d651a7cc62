package session

import (
	"crypto/rand"
	"sync/atomic"
	"time"
)

// ID names an intent or a node. IDs are random and never used twice.
type ID [16]byte

// NewID draws an ID.
func NewID() (id ID) {
	_, _ = rand.Read(id[:])
	return id
}

// Version is all that a compare-and-swap compares. The clock is not in it: a
// lapsed lease permits others to take over, and does not forbid a late save.
type Version struct {
	Generation uint64
	Intent     ID
}

// Intent is written before the AS is asked. Open with a lapsed lease, it says
// that the RT may have been consumed. A closed one keeps its ID.
type Intent struct {
	ID       ID
	Owner    ID        // the node, for the log
	Open     bool      // asked, or about to ask, and no outcome written yet
	Since    time.Time // store's clock
	Lease    time.Time // store's clock; afterwards others may take over
	RTDigest ID        // which RT is presented, as a keyed digest
}

// Row is what a store holds for one grant, or beside it. Only Sealed and Note
// are secret.
type Row struct {
	Key        Key
	Generation uint64 // moves with each new pair, and once more with the end
	Intent     Intent // the one under way, or the last one of this generation
	Settled    ID     // the intent whose answer made this generation
	Doubts     uint8  // presentations of this RT whose outcome is unknown
	// DoubtSince is when the last of those began; of a grant that is run again,
	// since when the AS has said nothing but that it does not know its client.
	DoubtSince time.Time // store's clock
	Fails      uint8     // failures since the last success, for the back-off
	NotBefore  time.Time // the AS is not asked earlier: back-off and loop guard
	Dead       bool      // final; a tombstone until Until
	Reason     string    // why it is dead: one of the Ended constants
	Created    time.Time
	LastUsed   time.Time
	Until      time.Time // absolute end: a store may forget the row afterwards
	Subject    ID        // keyed digest of issuer and subject
	User       ID        // keyed digest of whose browser it is; none: it is no browser's
	Session    ID        // keyed digest of the session at the AS (sid); none: it names none
	Note       []byte    // for the user's eyes, sealed with the keyring alone
	Holder     ID        // keyed digest of whom the grant is counted for; none: it began before any was
	Purpose    Purpose
	Sealed     []byte
}

// Purpose is what a row is for. It is in the clear, so that who counts grants
// need not open them, and it is sealed in, so that none stands for another.
type Purpose uint8

const (
	// ForGrant is the row of a grant.
	ForGrant Purpose = iota
	// ForFamily is the row of a family of reference refresh tokens: Generation
	// is the number of the token issued last, LastUsed when that was, by the
	// store's clock. The rest of the head stays as it began.
	ForFamily
	// ForOnce is the row of what may happen once: that it is there says that it
	// did. Nothing changes it, and it holds nothing.
	ForOnce
	// ForDocument is the row of a text that nodes share under a name.
	ForDocument
)

// Version is what the row's next change has to name.
func (r *Row) Version() Version { return Version{r.Generation, r.Intent.ID} }

// Why a grant has ended.
const (
	EndedLogout    = "logout"    // its holder, the AS or an operator ended it
	EndedIdle      = "idle"      // unused for too long
	EndedMax       = "max"       // its absolute end
	EndedRefused   = "refused"   // the AS refused to renew it
	EndedUncertain = "uncertain" // it is not known whether its RT is still good
	EndedSubject   = "subject"   // the AS answered with another user's token
	EndedReuse     = "reuse"     // a reference refresh token was used again, after its successor was
	EndedReplaced  = "replaced"  // the same browser has logged in again
)

// Kind is how a grant is renewed.
type Kind uint8

const (
	// ByRefreshToken presents an RT, under invariant I1.
	ByRefreshToken Kind = iota
	// ByRunningAgain runs the grant again with the caller's own credentials.
	// Asking twice does no harm.
	ByRunningAgain
)

// Grant is the secret part of a row.
type Grant struct {
	Kind        Kind
	AccessToken Secret
	Expiry      time.Time     // of the access token
	Lifetime    time.Duration // of the access token when it was new
	Refresh     Secret        // the RT; empty for ByRunningAgain
	Credentials Secret        // for ByRunningAgain, as the renewing function reads them
	Scope       string
	Lost        string // scope words that were granted once and are no more
	Subject     string
	Issuer      string
	Client      string
	Created     time.Time
	End         time.Time // absolute
	App         Secret    // for the vault's user, who may change it with an answer

	// Made is what the vault's user made of App, as long as the grant is kept open;
	// nil: it is not. It is in no row.
	Made *Made
}

// Made holds something of the vault's user.
type Made struct{ atomic.Value }

// renewable reports whether there is anything to renew the grant with.
func (g *Grant) renewable() bool {
	return g.Kind == ByRunningAgain && !g.Credentials.Empty() || g.Kind == ByRefreshToken && !g.Refresh.Empty()
}

// Of rows the versions before are read too: the first had no User, Session and
// Note, the second no Holder.
const (
	rowVersion, rowVersionSecond, rowVersionFirst = 3, 2, 1
	grantVersion                                  = 1
)

// AppendBinary adds the row's one encoding, for stores.
func (r *Row) AppendBinary(to []byte) ([]byte, error) {
	e := encoder{append(to, rowVersion)}
	e.raw(r.Key[:])
	e.number(r.Generation)
	e.raw(r.Intent.ID[:])
	e.raw(r.Intent.Owner[:])
	e.flag(r.Intent.Open)
	e.time(r.Intent.Since)
	e.time(r.Intent.Lease)
	e.raw(r.Intent.RTDigest[:])
	e.raw(r.Settled[:])
	e.number(uint64(r.Doubts))
	e.time(r.DoubtSince)
	e.number(uint64(r.Fails))
	e.time(r.NotBefore)
	e.flag(r.Dead)
	e.text(r.Reason)
	e.time(r.Created)
	e.time(r.LastUsed)
	e.time(r.Until)
	e.raw(r.Subject[:])
	e.number(uint64(r.Purpose))
	e.raw(r.User[:])
	e.raw(r.Session[:])
	e.bytes(r.Note)
	e.raw(r.Holder[:])
	e.bytes(r.Sealed)
	return e.out, nil
}

// MarshalBinary is AppendBinary to nothing.
func (r *Row) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote. It copies: a store may lend
// its own memory.
func (r *Row) UnmarshalBinary(from []byte) error {
	d, err := r.head(from)
	if err != nil {
		return err
	}
	r.Sealed = d.bytes()
	return d.end()
}

// HeadSize is what the encoding of a row takes at most without Sealed.
const HeadSize = 592

// UnmarshalHead reads the beginning of what AppendBinary wrote, and leaves
// Sealed out.
func (r *Row) UnmarshalHead(from []byte) error {
	d, err := r.head(from)
	if err == nil && d.bad {
		err = errMalformed
	}
	return err
}

func (r *Row) head(from []byte) (decoder, error) {
	d := decoder{in: from}
	version := d.take(1)
	if len(version) != 1 || version[0] < rowVersionFirst || version[0] > rowVersion {
		return d, errMalformed
	}
	*r = Row{}
	d.raw(r.Key[:])
	r.Generation = d.number()
	d.raw(r.Intent.ID[:])
	d.raw(r.Intent.Owner[:])
	r.Intent.Open = d.flag()
	r.Intent.Since = d.time()
	r.Intent.Lease = d.time()
	d.raw(r.Intent.RTDigest[:])
	d.raw(r.Settled[:])
	r.Doubts = d.small()
	r.DoubtSince = d.time()
	r.Fails = d.small()
	r.NotBefore = d.time()
	r.Dead = d.flag()
	r.Reason = d.text()
	r.Created = d.time()
	r.LastUsed = d.time()
	r.Until = d.time()
	d.raw(r.Subject[:])
	r.Purpose = Purpose(d.small())
	if version[0] >= rowVersionSecond {
		d.raw(r.User[:])
		d.raw(r.Session[:])
		r.Note = d.bytes()
	}
	if version[0] >= rowVersion {
		d.raw(r.Holder[:])
	}
	return d, nil
}

func (d *decoder) small() uint8 {
	n := d.number()
	if n > 255 {
		d.fail()
	}
	return uint8(n) //nolint:gosec // looked at right above
}

func (g *Grant) encode() []byte {
	e := encoder{make([]byte, 0, 256+len(g.AccessToken.Reveal())+len(g.Refresh.Reveal()))}
	e.number(grantVersion)
	e.number(uint64(g.Kind))
	e.secret(g.AccessToken)
	e.time(g.Expiry)
	e.span(g.Lifetime)
	e.secret(g.Refresh)
	e.secret(g.Credentials)
	e.text(g.Scope)
	e.text(g.Lost)
	e.text(g.Subject)
	e.text(g.Issuer)
	e.text(g.Client)
	e.time(g.Created)
	e.time(g.End)
	e.secret(g.App)
	return e.out
}

func decodeGrant(from []byte) (g Grant, err error) {
	d := decoder{in: from}
	if d.number() != grantVersion {
		return Grant{}, errMalformed
	}
	g.Kind = Kind(d.small())
	g.AccessToken = d.secret()
	g.Expiry = d.time()
	g.Lifetime = d.span()
	g.Refresh = d.secret()
	g.Credentials = d.secret()
	g.Scope = d.text()
	g.Lost = d.text()
	g.Subject = d.text()
	g.Issuer = d.text()
	g.Client = d.text()
	g.Created = d.time()
	g.End = d.time()
	g.App = d.secret()
	return g, d.end()
}

// More reasons why a grant has ended.
const (
	EndedIssuer = "issuer" // its issuer is not configured any more
	EndedAdmin  = "admin"  // an operator ended it

	EndedRevoked = "revoked" // what it grants was taken back
)
