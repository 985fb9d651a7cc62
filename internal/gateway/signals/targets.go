package signals

import (
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/secevent"
)

// mapping is how subjects of events become what an issuer's tokens say.
type mapping struct {
	issuer string            // as it is configured
	names  []string          // what iss of its tokens may be
	match  map[string]string // formats, or members of complex subjects → the claim that has their value
	// critical are members of complex subjects that have to be understood (SSF §3.6),
	// as the transmitter's metadata have it.
	critical func() []string
}

// everySession is what Keycloak 26.7 calls the session where an administrator has
// ended all of a user's.
const everySession = "ALL"

// targets are what a subject is in the issuer's tokens, without a moment; none: it
// is none of theirs.
func (m *mapping) targets(s *secevent.Subject) (found []revoked.Entry) {
	switch s.Format {
	case secevent.Aliases:
		for i := range s.Same {
			found = append(found, m.targets(&s.Same[i])...)
		}
		return found
	case secevent.Complex:
		return m.complex(s)
	case secevent.IssSub:
		if slices.Contains(m.names, s.Issuer) {
			return []revoked.Entry{{Issuer: m.issuer, Subject: s.Value}}
		}
		return nil
	case secevent.JWTID:
		if slices.Contains(m.names, s.Issuer) {
			return []revoked.Entry{{Issuer: m.issuer, ID: s.Value}}
		}
		return nil
	}
	if claim := m.match[s.Format]; claim != "" && s.Value != "" {
		return []revoked.Entry{m.by(claim, s.Format, s.Value)}
	}
	return nil
}

// ownNames are claims that the list of what was taken back knows itself.
var ownNames = []string{"sub", "sid", "jti", "client_id"}

// by is what tokens have of which a claim is this value.
func (m *mapping) by(claim, format, value string) revoked.Entry {
	e := revoked.Entry{Issuer: m.issuer}
	switch value = secevent.Canonical(format, value); claim {
	case "sub":
		e.Subject = value
	case "sid":
		e.Session = value
	case "jti":
		e.ID = value
	case "client_id":
		e.Client = value
	default:
		e.Issuer, e.Subject = revoked.ByClaim(m.issuer, claim), value
	}
	return e
}

// complex is a subject of several members, which say the same of one (SSF §3.3.1). A
// session, or else the user, is what tokens name. What else narrows it down cannot be
// seen in them, so that more is taken back than was meant, and not less.
func (m *mapping) complex(s *secevent.Subject) []revoked.Entry {
	for _, name := range m.critical() {
		if _, there := s.Members[name]; there && !m.understands(name) {
			return nil // SSF §3.6: the event is discarded
		}
	}
	var found []revoked.Entry
	if user, has := s.Members[secevent.User]; has {
		if found = m.targets(&user); len(found) == 0 && user.Format == secevent.IssSub {
			return nil // another issuer's, whose sessions are others
		}
	}
	session, has := s.Members[secevent.Session]
	switch {
	case !has:
	case session.Value == everySession && len(found) > 0:
		return found
	case session.Value != "" && session.Format != secevent.JWTID:
		if claim := m.match[secevent.Session]; claim != "" && claim != "sid" {
			return []revoked.Entry{m.by(claim, secevent.Session, session.Value)}
		}
		if len(found) == 0 {
			return []revoked.Entry{{Issuer: m.issuer, Session: session.Value}}
		}
		for i := range found {
			found[i].Session = session.Value
		}
	case session.Format == secevent.JWTID:
		return m.targets(&session)
	}
	for _, name := range []string{secevent.Application, secevent.Device, secevent.Group, secevent.OrgUnit, secevent.Tenant} {
		member, there := s.Members[name]
		if claim := m.match[name]; there && len(found) == 0 && claim != "" && member.Value != "" {
			return []revoked.Entry{m.by(claim, name, member.Value)}
		}
	}
	return found
}

// understands reports whether a member of complex subjects is looked at.
func (m *mapping) understands(member string) bool {
	return member == secevent.User || member == secevent.Session || m.match[member] != ""
}
