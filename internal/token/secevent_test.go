package token

import (
	"context"
	"strings"
	"testing"
	"time"
)

const sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

func transmitter(tb testing.TB) *Transmitter {
	return &Transmitter{Issuer: issuer, Audience: []string{"receiver", "https://api.example.com"}, Algorithms: every(tb), Skew: time.Minute, Keys: &source{set: keySet(tb, k1())}}
}

func TestASecurityEventTokenIsNothingElse(t *testing.T) {
	base := map[string]any{
		"aud": "receiver", "jti": "1", "sub": absent{}, "exp": absent{},
		"sub_id": map[string]any{"format": "opaque", "id": "x"},
		"events": map[string]any{sessionRevoked: map[string]any{}},
	}
	many := map[string]any{}
	for name := range strings.SplitSeq("a b c d e f g h i", " ") {
		many[name] = map[string]any{}
	}
	for name, row := range map[string]struct {
		typ   string
		edits map[string]any
		want  Reason
	}{
		"a good one":              {"secevent+jwt", nil, ""},
		"its whole media type":    {"application/secevent+jwt", nil, ""},
		"of several audiences":    {"secevent+jwt", map[string]any{"aud": []string{"b", "https://api.example.com"}}, ""},
		"of last year":            {"secevent+jwt", map[string]any{"iat": noon.Unix() - 365*86400}, ""},
		"as JWT":                  {"JWT", nil, TypeRefused},
		"without typ":             {"", nil, TypeRefused},
		"an access token by typ":  {"at+jwt", nil, TypeRefused},
		"a log-out token by typ":  {"logout+jwt", nil, TypeRefused},
		"with sub":                {"secevent+jwt", map[string]any{"sub": "alice"}, ClaimWrong},
		"with exp":                {"secevent+jwt", map[string]any{"exp": noon.Unix() + 60}, ClaimWrong},
		"with a nonce":            {"secevent+jwt", map[string]any{"nonce": "n"}, ClaimWrong},
		"without jti":             {"secevent+jwt", map[string]any{"jti": absent{}}, ClaimMissing},
		"with a jti that is long": {"secevent+jwt", map[string]any{"jti": strings.Repeat("j", 513)}, ClaimMissing},
		"without iat":             {"secevent+jwt", map[string]any{"iat": absent{}}, ClaimMissing},
		"made in times to come":   {"secevent+jwt", map[string]any{"iat": noon.Unix() + 61}, NotYetValid},
		"without a subject":       {"secevent+jwt", map[string]any{"sub_id": absent{}}, ClaimMissing},
		"a subject as text":       {"secevent+jwt", map[string]any{"sub_id": "alice"}, ClaimMissing},
		"without events":          {"secevent+jwt", map[string]any{"events": absent{}}, ClaimMissing},
		"of no event":             {"secevent+jwt", map[string]any{"events": map[string]any{}}, ClaimMissing},
		"of too many events":      {"secevent+jwt", map[string]any{"events": many}, ClaimMissing},
		"an event as text":        {"secevent+jwt", map[string]any{"events": map[string]any{sessionRevoked: "x"}}, ClaimType},
		"for another receiver":    {"secevent+jwt", map[string]any{"aud": "b"}, WrongAudience},
		"for no receiver":         {"secevent+jwt", map[string]any{"aud": absent{}}, WrongAudience},
		"of another transmitter":  {"secevent+jwt", map[string]any{"iss": issuer + "/"}, IssuerUnknown},
	} {
		_, err := transmitter(t).VerifyEvents(context.Background(), mintFor(t, row.typ, base, row.edits), noon)
		if ReasonOf(err) != row.want || row.want == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
	raw := mintFor(t, "secevent+jwt", base, nil)
	if _, err := transmitter(t).VerifyEvents(context.Background(), raw[:len(raw)-8]+"AAAAAAAA", noon); ReasonOf(err) != SignatureFailed && ReasonOf(err) != Malformed {
		t.Errorf("another signature: %v", err)
	}
}
