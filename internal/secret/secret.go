// Package secret hides strings from whatever prints values.
package secret

import (
	"fmt"
	"io"
)

// Hidden is what is shown in the place of a secret.
const Hidden = "[hidden]"

// Text is a string that no format verb, encoder or logger shows. It stands
// behind a pointer because fmt calls no method of a field that is not exported:
// there it shows an address. Hence two secrets are not compared with ==.
type Text struct{ value *string }

// New hides value.
func New(value string) Text { return Text{&value} }

// Reveal is the one way to the value, so that a search finds every use.
func (s Text) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is nothing to hide.
func (s Text) Empty() bool { return s.Reveal() == "" }

// String hides what is inside; see [Secret.Reveal].
func (Text) String() string { return Hidden }

// GoString hides what is inside.
func (Text) GoString() string { return Hidden }

// MarshalText hides what is inside.
func (Text) MarshalText() ([]byte, error) { return []byte(Hidden), nil }

// Format hides what is inside, whatever the verb.
func (Text) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, Hidden) }
