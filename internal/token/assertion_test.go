package token

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestAnAssertionIsFreshForTheEndpointAndNothingElse(t *testing.T) {
	a := &Assertion{Issuer: issuer, Audience: []string{"https://api.example.com/revoke"}, Algorithms: every(t), Skew: time.Minute, Keys: &source{set: keySet(t, k1())}}
	base := map[string]any{"aud": "https://api.example.com/revoke", "sub": "the-client", "jti": "1", "iat": noon.Unix(), "nbf": noon.Unix() - 300, "exp": noon.Unix() + 300}
	const typ = "global-token-revocation+jwt"
	for name, row := range map[string]struct {
		typ   string
		edits map[string]any
		want  Reason
	}{
		"as Okta sends it":        {typ, nil, ""},
		"its whole media type":    {"application/" + typ, nil, ""},
		"as JWT":                  {"JWT", nil, TypeRefused},
		"without typ":             {"", nil, TypeRefused},
		"an access token by typ":  {"at+jwt", nil, TypeRefused},
		"a log-out token by typ":  {"logout+jwt", nil, TypeRefused},
		"for the whole site":      {typ, map[string]any{"aud": "https://api.example.com"}, WrongAudience},
		"for nobody":              {typ, map[string]any{"aud": absent{}}, WrongAudience},
		"of another issuer":       {typ, map[string]any{"iss": issuer + "/"}, IssuerUnknown},
		"over":                    {typ, map[string]any{"exp": noon.Unix() - 60}, Expired},
		"still to come":           {typ, map[string]any{"nbf": noon.Unix() + 61}, NotYetValid},
		"made in times to come":   {typ, map[string]any{"iat": noon.Unix() + 61}, NotYetValid},
		"old, and good yet":       {typ, map[string]any{"iat": noon.Unix() - 661}, Expired},
		"good for long":           {typ, map[string]any{"exp": noon.Unix() + 661}, ClaimWrong},
		"without exp":             {typ, map[string]any{"exp": absent{}}, ClaimMissing},
		"without iat":             {typ, map[string]any{"iat": absent{}}, ClaimMissing},
		"without jti":             {typ, map[string]any{"jti": absent{}}, ClaimMissing},
		"with a jti that is long": {typ, map[string]any{"jti": strings.Repeat("j", 513)}, ClaimMissing},
	} {
		raw := mintFor(t, row.typ, base, row.edits)
		u, is := IsAssertion(raw)
		if is != strings.HasSuffix(row.typ, typ) {
			t.Errorf("%s: it says that it is one: %v", name, is)
		}
		jti, until, err := a.Verify(context.Background(), u, noon)
		if ReasonOf(err) != row.want || row.want == "" && (err != nil || jti != "1" || !until.Equal(noon.Add(6*time.Minute))) {
			t.Errorf("%s: got %q until %s, %v, want %q", name, jti, until, err, row.want)
		}
	}
	raw := mintFor(t, typ, base, nil)
	u, _ := IsAssertion(raw[:len(raw)-8] + "AAAAAAAA")
	if _, _, err := a.Verify(context.Background(), u, noon); ReasonOf(err) != SignatureFailed && ReasonOf(err) != Malformed {
		t.Errorf("another signature: %v", err)
	}
	if _, is := IsAssertion("no JWT"); is {
		t.Error("any text is one")
	}
}
