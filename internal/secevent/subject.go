package secevent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Formats of subject identifiers (RFC 9493 §3.2, OpenID Shared Signals Framework
// 1.0 §3.5).
const (
	Account         = "account"
	Aliases         = "aliases"
	Complex         = "complex"
	DID             = "did"
	Email           = "email"
	IssSub          = "iss_sub"
	JWTID           = "jwt_id"
	Opaque          = "opaque"
	PhoneNumber     = "phone_number"
	SAMLAssertionID = "saml_assertion_id"
	URI             = "uri"
)

// Members of a complex subject (SSF §3.3).
const (
	User        = "user"
	Device      = "device"
	Session     = "session"
	Application = "application"
	Tenant      = "tenant"
	OrgUnit     = "org_unit"
	Group       = "group"
)

// Subject is what an event is about. Of a format that is not known here only the
// format is.
type Subject struct {
	Format  string
	Issuer  string             // of iss_sub, jwt_id and saml_assertion_id: who has given the value
	Value   string             // what identifies it; "" of aliases, complex, and unknown formats
	Same    []Subject          // of aliases: other names of the same subject
	Members map[string]Subject // of complex: all of them together are the subject
}

// members that a format has: the value's, and the issuer's if there is one.
var formats = map[string]struct{ value, issuer string }{
	Account:         {"uri", ""},
	DID:             {"url", ""},
	Email:           {"email", ""},
	IssSub:          {"sub", "iss"},
	JWTID:           {"jti", "iss"},
	Opaque:          {"id", ""},
	PhoneNumber:     {"phone_number", ""},
	SAMLAssertionID: {"assertion_id", "issuer"},
	URI:             {"uri", ""},
}

// Formats are those whose subjects are one value.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// The bounds of a subject.
const (
	mostText    = 1024 // bytes
	mostAliases = 16
	mostMembers = 16
)

// readSubject reads sub_id. Inside of aliases and complex subjects stand neither.
func readSubject(members map[string]any, inside bool) (s Subject, err error) {
	format, is := members["format"].(string)
	if !is || format == "" || len(format) > mostText {
		return s, malformed("a subject has no format")
	}
	s.Format = format
	switch {
	case inside && (format == Aliases || format == Complex): // RFC 9493 §3.2.7
		return s, malformed(format + " stands inside of another subject")
	case format == Aliases:
		return s, s.readAliases(members["identifiers"])
	case format == Complex:
		return s, s.readMembers(members)
	}
	names, known := formats[format]
	if !known {
		return s, nil
	}
	if s.Value, err = textOf(members, format, names.value); err == nil && names.issuer != "" {
		s.Issuer, err = textOf(members, format, names.issuer)
	}
	return s, err
}

func textOf(members map[string]any, format, name string) (string, error) {
	text, _ := members[name].(string)
	if text == "" || len(text) > mostText {
		return "", malformed(fmt.Sprintf("a subject of format %s has no %s", format, name))
	}
	return strings.Clone(text), nil // it must not hold on to the whole token
}

func (s *Subject) readAliases(value any) error {
	list, _ := value.([]any)
	if len(list) == 0 || len(list) > mostAliases {
		return malformed("aliases has no identifiers, or too many")
	}
	for _, one := range list {
		members, _ := one.(map[string]any)
		alias, err := readSubject(members, true)
		if err != nil {
			return err
		}
		s.Same = append(s.Same, alias)
	}
	return nil
}

func (s *Subject) readMembers(members map[string]any) error {
	if len(members) > mostMembers {
		return malformed("a complex subject has too many members")
	}
	s.Members = map[string]Subject{}
	for name, value := range members {
		inner, object := value.(map[string]any)
		if name == "format" || !object {
			continue // SSF §4.2.3: what is not understood is ignored
		}
		member, err := readSubject(inner, true)
		if err != nil {
			return fmt.Errorf("%.40q: %w", name, err)
		}
		s.Members[strings.Clone(name)] = member
	}
	if len(s.Members) == 0 {
		return malformed("a complex subject has no members")
	}
	return nil
}

// Canonical is a value as it is compared: of e-mail addresses the case does not
// count, and of telephone numbers what makes them easy to read does not
// (RFC 9493 §3.2.2, §3.2.6).
func Canonical(format, value string) string {
	switch format {
	case Email:
		return strings.ToLower(value)
	case PhoneNumber:
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(" -()./", r) {
				return -1
			}
			return r
		}, value)
	}
	return value
}

// String names the subject's kind for logs. Who it is stays out of it.
func (s *Subject) String() string {
	switch {
	case s.Format == Complex:
		return Complex + "(" + strings.Join(slices.Sorted(maps.Keys(s.Members)), " ") + ")"
	case formats[s.Format].value == "" && s.Format != Aliases:
		return fmt.Sprintf("%.40q", s.Format)
	}
	return s.Format
}
