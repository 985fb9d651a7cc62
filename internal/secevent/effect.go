package secevent

import (
	"maps"
	"slices"
	"strings"
)

// Effect is what an event means for access tokens and grants that are older.
type Effect uint8

// The effects, from the weakest on.
const (
	// Ignore: an event that is not known here.
	Ignore Effect = iota
	// Note: it is logged and counted, and that is all.
	Note
	// Renew: access tokens are no longer taken. A grant asks its issuer for a new
	// one, which then says what is so now, or refuses.
	Renew
	// Revoke: access tokens are no longer taken, and grants end.
	Revoke
)

func (e Effect) String() string { return [...]string{"ignore", "note", "renew", "revoke"}[e] }

// Effects are the words for what an operator may ask for.
var Effects = map[string]Effect{"note": Note, "renew": Renew, "revoke": Revoke}

const (
	caep = "https://schemas.openid.net/secevent/caep/event-type/"
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	ssf  = "https://schemas.openid.net/secevent/ssf/event-type/"
)

// Events of the framework itself (SSF §8.1.4, §8.1.5), about a stream.
const (
	Verification  = ssf + "verification"
	StreamUpdated = ssf + "stream-updated"
)

// known are the types of event, and what they mean. A function looks into the
// event.
var known = map[string]any{
	Verification:  Note,
	StreamUpdated: Note,

	caep + "session-revoked":          Revoke,
	caep + "token-claims-change":      Renew, // the issuer tells the claims as they are now
	caep + "credential-change":        credentialChange,
	caep + "assurance-level-change":   assuranceChange,
	caep + "device-compliance-change": complianceChange,
	caep + "risk-level-change":        riskChange,
	caep + "session-established":      Note,
	caep + "session-presented":        Note,

	risc + "account-credential-change-required": Revoke,
	risc + "account-disabled":                   Revoke,
	risc + "account-enabled":                    Note, // what was taken back stays so; what is granted from now on counts
	risc + "account-purged":                     Revoke,
	risc + "credential-compromise":              Revoke,
	risc + "identifier-changed":                 Renew,
	risc + "identifier-recycled":                Revoke, // it is another's by now
	risc + "opt-in":                             Note,
	risc + "opt-out-cancelled":                  Note,
	risc + "opt-out-effective":                  Note,
	risc + "opt-out-initiated":                  Note,
	risc + "recovery-activated":                 Renew,
	risc + "recovery-information-changed":       Note,
	risc + "sessions-revoked":                   Revoke,
}

// Names are the last words of the types that are known, which no two share.
func Names() []string {
	var names []string
	for uri := range known {
		names = append(names, Name(uri))
	}
	slices.Sort(names)
	return names
}

// Requested are the types that a stream is asked for.
func Requested() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(uri string) bool {
		return strings.HasPrefix(uri, ssf) || strings.Contains(uri, "/opt-") // of the stream, and of no concern here
	})
}

// Name is the short name of a type that is known, else the type.
func Name(uri string) string {
	if _, is := known[uri]; is {
		return uri[strings.LastIndexByte(uri, '/')+1:]
	}
	return uri
}

// Effect is what an event of this type, with these members, usually means.
func (e *Event) Effect() Effect {
	switch effect := known[e.Type].(type) {
	case Effect:
		return effect
	case func(*Event) Effect:
		return effect(e)
	}
	return Ignore
}

// credentialChange: a new credential takes nothing from those that are there. In
// the place of one that is gone another person may have logged in: the issuer
// knows which of its sessions it has ended.
func credentialChange(e *Event) Effect {
	if e.text("change_type") == "create" {
		return Note
	}
	return Renew
}

func assuranceChange(e *Event) Effect {
	if e.text("change_direction") == "increase" {
		return Note
	}
	return Renew
}

func complianceChange(e *Event) Effect {
	if e.text("current_status") == "compliant" {
		return Note
	}
	return Renew
}

func riskChange(e *Event) Effect {
	if e.text("current_level") == "LOW" {
		return Note
	}
	return Renew
}
