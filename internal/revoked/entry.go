package revoked

import (
	"errors"
	"fmt"
	"hash/maphash"
	"time"
	"unicode/utf8"
)

// Mark stands for a text that is compared and never shown. It is good in this
// process alone. Zero stands for no text.
type Mark uint64

// seed makes marks that nobody outside can choose texts for.
var seed = maphash.MakeSeed()

// MarkOf is the mark of a text.
func MarkOf(text string) Mark {
	if text == "" {
		return 0
	}
	return max(Mark(maphash.String(seed, text)), 1)
}

// Token is what is known of a token, or of whom a session or an open connection
// belongs to. What is not known is zero.
type Token struct {
	Issuer  Mark  // as it is configured
	Subject Mark  // sub
	Client  Mark  // client_id, or what its issuer writes for it
	ID      Mark  // jti
	Session Mark  // sid
	Issued  int64 // iat, in milliseconds since 1970; 0: not known
	Grant   bool  // Issued is when the grant began that it stands behind, by a clock of ours
}

// Entry is what was taken back: what its issuer issued for all that it names. It
// names at least the issuer.
type Entry struct {
	Issuer  string // as it is configured
	Subject string // sub; "": any
	Client  string // client_id; "": any
	ID      string // jti; "": any
	Session string // sid; "": any

	// TokensOnly leaves grants alone: what clients bring themselves is meant. Who
	// ends a log-in at the issuer does not end what was granted for offline use.
	TokensOnly bool

	// Before is the last moment at which what is taken back was issued. What does
	// not say when it was issued is taken back, too. Zero: whenever it was.
	Before time.Time
	// Until is when the last token that it can concern has run out. The entry is
	// gone then.
	Until time.Time

	Added  time.Time // when, by the clock of who did
	Source string    // who took it back: one of the Sources
	Reason string    // for the operator's eyes; may be empty
}

// Who takes back.
const (
	ByOperator    = "operator"    // the admin endpoint, or the command
	ByBackchannel = "backchannel" // a log-out token of the issuer
	ByEvent       = "event"       // a security event token
	ByEndpoint    = "endpoint"    // a global token revocation
)

// mostText bounds each text of an entry, mostReason what is kept of a reason.
const (
	mostText   = 1024
	mostReason = 200
)

// Check tells what is wrong with an entry.
func (e *Entry) Check() error {
	if e.Issuer == "" {
		return errors.New("name the issuer")
	}
	for _, one := range []struct{ name, text string }{
		{"issuer", e.Issuer}, {"subject", e.Subject}, {"client", e.Client}, {"jti", e.ID}, {"sid", e.Session},
	} {
		if len(one.text) > mostText || !utf8.ValidString(one.text) {
			return fmt.Errorf("%s takes UTF-8 text of %d bytes at most", one.name, mostText)
		}
	}
	switch {
	case e.Until.IsZero():
		return errors.New("say until when it is to be remembered")
	case e.Before.IsZero() && e.ID == "" && e.Session == "":
		return errors.New("say before when what is taken back was issued: a subject, a client or an issuer goes on")
	}
	return nil
}

// Covers reports whether what is known as t was taken back.
func (e *Entry) Covers(t *Token) bool {
	m := marksOf(e)
	return m.cover(t)
}

// marks are those of an entry, and its moment.
type marks struct {
	Token       // Issued: the last moment
	began int64 // the last moment for grants
	ever  bool  // whenever it was issued
	only  bool  // no grants
}

func marksOf(e *Entry) marks {
	m := marks{Token: Token{
		Issuer: MarkOf(e.Issuer), Subject: MarkOf(e.Subject), Client: MarkOf(e.Client), ID: MarkOf(e.ID), Session: MarkOf(e.Session),
		Issued: e.Before.UnixMilli(),
	}, ever: e.Before.IsZero(), only: e.TokensOnly}
	// What began after all this was known has begun under it, whatever the clock of
	// who said Before.
	m.began = m.Issued
	if !e.Added.IsZero() {
		m.began = min(m.began, e.Added.UnixMilli())
	}
	return m
}

func (m *marks) cover(t *Token) bool {
	last := m.Issued
	if t.Grant {
		last = m.began
		if m.only {
			return false
		}
	}
	return m.Issuer == t.Issuer && (m.Subject == 0 || m.Subject == t.Subject) && (m.Client == 0 || m.Client == t.Client) &&
		(m.ID == 0 || m.ID == t.ID) && (m.Session == 0 || m.Session == t.Session) &&
		(m.ever || t.Issued <= last) // where it is not known when, it is zero
}

// what is all that an entry names: of two that name the same, one is kept.
type what struct {
	issuer, subject, client, id, session string
	tokensOnly                           bool
}

func (e *Entry) what() what {
	return what{e.Issuer, e.Subject, e.Client, e.ID, e.Session, e.TokensOnly}
}

// widened is an entry that covers what two cover that name the same, and whether
// that is more than the first one does.
func widened(a, b Entry) (Entry, bool) {
	more := false
	if !a.Before.IsZero() && (b.Before.IsZero() || b.Before.After(a.Before)) {
		a.Before, more = b.Before, true
	}
	if b.Until.After(a.Until) {
		a.Until, more = b.Until, true
	}
	if more {
		a.Added, a.Source, a.Reason = b.Added, b.Source, b.Reason
	}
	return a, more
}

// clipped is an entry as it is kept: with so much of its reason, and its times to the
// millisecond. Else what is read would differ from what was written, and nodes would
// correct each other for ever.
func (e Entry) clipped() Entry {
	for _, at := range []*time.Time{&e.Before, &e.Until, &e.Added} {
		*at = at.Truncate(time.Millisecond)
	}
	for len(e.Reason) > mostReason || !utf8.ValidString(e.Reason) {
		_, size := utf8.DecodeLastRuneInString(e.Reason)
		e.Reason = e.Reason[:len(e.Reason)-size]
	}
	return e
}
