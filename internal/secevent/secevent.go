// Package secevent reads what Security Event Tokens say (RFC 8417): what has
// happened, by the Continuous Access Evaluation Profile (CAEP 1.0), the RISC
// profile and the Shared Signals Framework itself (SSF 1.0), and to whom
// (RFC 9493). It proves nothing: the claims it reads were proved before. Each type
// of event has an [Effect], which is what it usually means for access tokens.
package secevent

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Set is what one Security Event Token says: one event, about one subject.
type Set struct {
	Issuer string
	ID     string // jti
	Issued time.Time
	Cause  string // txn, or ""
	About  Subject
	Events []Event // the event; several are several names of one (SSF §4.2.1)
}

// Event is one of the events claim.
type Event struct {
	Type    string         // a URI
	Members map[string]any // as they came
	at      time.Time
}

// Read reads claims that [token.Transmitter.VerifyEvents] has proved. An error is a
// [*token.Refusal].
func Read(c token.Claims) (*Set, error) {
	about, _ := c["sub_id"].(map[string]any)
	subject, err := readSubject(about, false)
	if err != nil {
		return nil, err
	}
	issued := timeOf(c["iat"])
	set := &Set{
		Issuer: strings.Clone(c.Issuer()), ID: strings.Clone(c.String("jti")), Issued: issued,
		Cause: strings.Clone(clip(c.String("txn"))), About: subject,
	}
	events, _ := c["events"].(map[string]any)
	for uri, value := range events {
		members, object := value.(map[string]any)
		if !object {
			return nil, malformed("an event is not an object")
		}
		at := timeOf(members["event_timestamp"])
		set.Events = append(set.Events, Event{Type: uri, Members: members, at: at})
	}
	if len(set.Events) == 0 {
		return nil, malformed("events is empty")
	}
	// Those that are known first, and always in the same order.
	slices.SortFunc(set.Events, func(a, b Event) int {
		if known := int(b.Effect()) - int(a.Effect()); known != 0 {
			return known
		}
		return strings.Compare(a.Type, b.Type)
	})
	return set, nil
}

// Before is the moment of the event: what was granted earlier is what it concerns.
// That is its event_timestamp (CAEP 1.0 §2), but never a time after the token was
// issued: milliseconds, which drafts had, would take back what is granted in a
// thousand years.
func (s *Set) Before(e *Event) time.Time {
	if e.at.IsZero() || e.at.After(s.Issued) {
		return s.Issued
	}
	return e.at
}

// text is a member that is a string, or "".
func (e *Event) text(name string) string {
	text, _ := e.Members[name].(string)
	return text
}

// Text is a member that is a string, bounded for logs.
func (e *Event) Text(name string) string { return clip(e.text(name)) }

// State is what a verification event brings back (SSF §8.1.4).
func (e *Event) State() string { return e.text("state") }

// Why is what the transmitter tells its administrators: reason_admin in English, or
// else in the first language there is (CAEP 1.0 §2); of RISC the reason.
func (e *Event) Why() string {
	told, _ := e.Members["reason_admin"].(map[string]any)
	if text, ok := told["en"].(string); ok {
		return clip(text)
	}
	languages := make([]string, 0, len(told))
	for language := range told {
		languages = append(languages, language)
	}
	slices.Sort(languages)
	for _, language := range languages {
		if text, ok := told[language].(string); ok {
			return clip(text)
		}
	}
	if text := e.text("reason_admin"); text != "" { // as drafts had it
		return clip(text)
	}
	return e.Text("reason")
}

// timeOf is a NumericDate that is one, or zero.
func timeOf(value any) time.Time {
	number, is := value.(json.Number)
	if !is {
		return time.Time{}
	}
	f, err := number.Float64()
	if err != nil || math.IsNaN(f) || f <= 0 || f > 1<<52 {
		return time.Time{}
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9))
}

// clip bounds what others wrote before it enters a log line.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func malformed(detail string) error {
	return &token.Refusal{Reason: token.Malformed, Detail: detail}
}
