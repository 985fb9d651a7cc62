package session

import "testing"

func TestScopeThatWasGrantedOnceAndIsNoMoreIsLost(t *testing.T) {
	for _, c := range []struct{ before, now, want string }{
		{"", "", ""},
		{"a b", "a b", ""},
		{"a b", "a", "b"},
		{"a b c", "", "a b c"},
		{"a", "a b", ""},
		{" b a", "a b", ""}, // b was lost before, and is back
		{"a a", "b", "a"},
	} {
		if got := takenBack(c.before, c.now); got != c.want {
			t.Errorf("%q, then %q: lost %q, want %q", c.before, c.now, got, c.want)
		}
	}
}
