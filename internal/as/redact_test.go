package as

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

func TestALogHoldsWhatTheIssuerSaidAndNothingSecretOfIt(t *testing.T) {
	sent := []string{"short", "a secret with spaces"}
	for text, want := range map[string]string{
		"The refresh token is revoked.":                                "The refresh token is revoked.",
		"audience api://orders is not allowed for this client":         "audience api://orders is not allowed for this client",
		"unknown scope 'orders:read' (interaction_required_by_policy)": "unknown scope 'orders:read' (interaction_required_by_policy)",
		"one line\nlevel=error\x00\x1b[31m another\u202e":              "one line level=error [31m another",
		"the token short is unknown":                                   "the token … is unknown",
		"a secret with spaces, or a+secret+with+spaces":                "…, or …",
		"token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl": "token ….….c2lnbmF0dXJl",
		"trace 4eac9f5c-0a21-4b7e-9d21-3d0f6a4b7c11 ends":              "trace … ends",
		"":                                  "",
		strings.Repeat("word ", 1000):       strings.Repeat("word ", 79) + "word…",
		"half " + strings.Repeat("x", 5000): "half",
	} {
		if got := said(text, sent); got != want {
			t.Errorf("%.80q: %q, want %q", text, got, want)
		}
	}
	if said(nil, sent) != "" || said(map[string]any{}, nil) != "" {
		t.Error("something of nothing")
	}
}

func TestWhatWasSentIsKnownAsSecretAndNamesAreNot(t *testing.T) {
	got := secretsOf(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rt"}, "client_assertion": {"proof"}, "code": {""}},
		Client{ID: "gateway", Secret: secret.New("own")})
	if len(got) != 3 || strings.Contains(strings.Join(got, " "), "refresh_token") {
		t.Error(got)
	}
}

func FuzzSaid(f *testing.F) {
	f.Add("The refresh token rt-0123456789 is revoked\n", "rt-0123456789")
	f.Add("…", "a b")
	f.Fuzz(func(t *testing.T, text, sent string) {
		if len(sent) < longRun || strings.Trim(sent, "abcdefghijklmnopqrstuvwxyz_-") == "" || strings.ContainsRune(sent, '…') {
			return
		}
		got := said(text+" "+sent, []string{sent})
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxRedacted {
			t.Errorf("%q", got)
		}
		if strings.Contains(got, sent) && !strings.Contains(strings.ReplaceAll(text+" ", sent, ""), sent) {
			t.Errorf("the secret is shown: %q", got)
		}
		for _, c := range got {
			if unicode.IsControl(c) {
				t.Errorf("a control character: %q", got)
			}
		}
	})
}
