package issuers

import (
	"fmt"
	"slices"
	"strings"
)

// prefix is what the opaque tokens of one issuer begin with.
type prefix struct {
	text string
	of   []*Trust // that one
}

// ask has an issuer asked about opaque tokens, if it can be.
func (s *Set) ask(t *Trust) {
	if t.Introspector == nil {
		return
	}
	if len(t.TokenPrefix) == 0 {
		s.others = append(s.others, t)
		return
	}
	for _, text := range t.TokenPrefix {
		s.prefixes = append(s.prefixes, prefix{text, []*Trust{t}})
	}
	slices.SortStableFunc(s.prefixes, func(a, b prefix) int { return len(b.text) - len(a.text) })
}

// AsksAboutOpaque reports whether some issuer is asked about opaque tokens. Where
// none is, they are refused.
func (s *Set) AsksAboutOpaque() bool { return len(s.prefixes)+len(s.others) > 0 }

// ForOpaque are the issuers that are asked about an opaque token, in this order:
// the one whose prefix it has, or those that name none.
func (s *Set) ForOpaque(raw string) []*Trust {
	for _, known := range s.prefixes {
		if strings.HasPrefix(raw, known.text) {
			return known.of
		}
	}
	return s.others
}

// Prefixes tells what opaque tokens are asked about, where all issuers name it.
func (s *Set) Prefixes() string {
	all := make([]string, len(s.prefixes))
	for i, known := range s.prefixes {
		all[i] = known.text + " (" + known.of[0].Profile.Issuer + ")"
	}
	return strings.Join(all, ", ")
}

// CheckIntrospect keeps opaque tokens from issuers that they are not of: nothing in
// one tells whose it is, unless the operator says so.
func CheckIntrospect(all []*Issuer) error {
	var others []string
	owner, inOrder := map[string]string{}, true
	for _, issuer := range all {
		n := issuer.Introspect
		if n == nil {
			continue
		}
		name := strings.Join(issuer.URL, " ")
		for _, text := range n.TokenPrefix {
			if other, has := owner[text]; has {
				return fmt.Errorf("token_prefix %s stands in the blocks of %s and %s: it tells whose an opaque token is, so it is of one issuer", text, other, name)
			}
			owner[text] = name
		}
		if len(n.TokenPrefix) == 0 {
			others, inOrder = append(others, name), inOrder && n.InOrder
		}
	}
	if len(others) > 1 && !inOrder {
		return fmt.Errorf("introspect stands in the blocks of %s, and nothing tells whose an opaque token is. Where their tokens begin differently, write token_prefix <text...> into introspect. Else write in_order into each: they are asked one after the other then, and the first ones see tokens of the others. Or give the other one a site of its own", strings.Join(others, " and "))
	}
	return nil
}
