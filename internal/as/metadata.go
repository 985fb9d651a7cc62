package as

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// document is the metadata that one place gave, of the issuer that is meant.
type document struct {
	address string
	members map[string]any
	from    zone // where it came from
	fresh   time.Duration
}

// documents are the metadata of one issuer: that of RFC 8414 and that of OpenID
// Connect Discovery, which many servers fill with different things. They are
// read as one. Where they contradict each other, the first one counts.
type documents []*document

// from is the zone that all documents came from. If they came from several, the
// addresses in them may lead to none that is special.
func (m documents) from() zone {
	if len(m) == 0 || slices.ContainsFunc(m, func(doc *document) bool { return doc.from != m[0].from }) {
		return routableZone
	}
	return m[0].from
}

// value is a member of the first document that has it.
func (m documents) value(name string) any {
	for _, doc := range m {
		if v, has := doc.members[name]; has {
			return v
		}
	}
	return nil
}

func (m documents) is(name string) bool { return m.value(name) == true }

// names are the strings of the first document's list that has some.
func (m documents) names(name string) []string {
	for _, doc := range m {
		if all := names(doc.members[name]); all != nil {
			return all
		}
	}
	return nil
}

// allNames are the strings that any document's list has.
func (m documents) allNames(name string) (all []string) {
	for _, doc := range m {
		for _, one := range names(doc.members[name]) {
			if !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
	}
	return all
}

// names are the strings of a list.
func names(value any) (all []string) {
	list, _ := value.([]any)
	for _, one := range list {
		if name, ok := one.(string); ok {
			all = append(all, name)
		}
	}
	return all
}

var errNotNamed = errors.New("is not named")

// usable is an address of the first document that names one which may be asked.
// The error is that of the first which names another, or errNotNamed.
func (s *Server) usable(m documents, name string) (address string, err error) {
	for _, doc := range m {
		text, named := doc.members[name].(string)
		bad := s.checkDiscovered(text)
		switch {
		case bad == nil:
			return text, nil
		case named && err == nil:
			err = fmt.Errorf("%s: %w", name, bad)
		}
	}
	if err == nil {
		err = fmt.Errorf("%s: %w", name, errNotNamed)
	}
	return "", err
}

// Members whose values decide something here. Of grant types and the like each
// document may list some.
var (
	decisiveAddresses = []string{
		"jwks_uri", "authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint",
		"device_authorization_endpoint", "end_session_endpoint", "userinfo_endpoint", "registration_endpoint",
	}
	decisiveLists = []string{
		"token_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported", "id_token_signing_alg_values_supported",
	}
)

// differ tells where documents contradict the first one that has a member.
func (m documents) differ() (told []string) {
	text := func(doc *document, name string) string {
		if slices.Contains(decisiveLists, name) {
			all := names(doc.members[name])
			slices.Sort(all)
			return strings.Join(slices.Compact(all), " ")
		}
		address, _ := doc.members[name].(string)
		return address
	}
	for _, name := range slices.Concat(decisiveAddresses, decisiveLists) {
		var first *document
		for _, doc := range m {
			switch said := text(doc, name); {
			case said == "":
			case first == nil:
				first = doc
			case said != text(first, name):
				told = append(told, fmt.Sprintf("%s is %.200q at %s and %.200q at %s", name, text(first, name), first.address, said, doc.address))
			}
		}
	}
	return told
}
