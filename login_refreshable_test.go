package caddyoauth

import (
	"strings"
	"testing"
)

// A session without a refresh token ends with its access token, and users who
// are logged out each quarter of an hour are the first to notice: so the log says
// it, with what to write.
func TestALogInWithoutARefreshTokenIsAWarningWithItsCure(t *testing.T) {
	for words, cure := range map[string]string{
		"":                     "scope offline_access",
		"scope offline_access": "parameter prompt consent",
		"scope offline_access\nparameter prompt consent": "grant type refresh_token",
	} {
		s := newPortal(t, words, nil)
		s.tokens = map[string]any{"refresh_token": nil}
		s.browser().logIn()
		line, _, _ := strings.Cut(s.logged()[strings.Index(s.logged(), "logged in")-5:], "\n")
		if !strings.HasPrefix(line, "warn logged in") || !strings.Contains(line, `"refreshable":false`) || !strings.Contains(line, cure) {
			t.Errorf("%q: %s\nwant a warning with %q", words, line, cure)
		}
	}
	s := newPortal(t, "", nil)
	s.browser().logIn()
	if text := s.logged(); !strings.Contains(text, "info logged in") || strings.Contains(text, "warn logged in") {
		t.Errorf("with a refresh token: %s", text)
	}
}
