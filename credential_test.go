package caddyoauth

import (
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
)

func TestBrokenEscapesHideNothingBehindThem(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a+b": "a b", "%6f": "o", "%zz%6f": "%zzo", "%6": "%6", "%": "%", "%%6f": "%o", "%6%6f": "%6o", "%%%6f%": "%%o%", "%6z%6f": "%6zo",
	} {
		if got := lenient.Unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
