package token

import (
	"context"
	"testing"
	"time"
)

const loginNonce, loginAccess = "nonce-of-this-log-in", "the access token"

func login(tb testing.TB) *Login {
	return &Login{Issuer: issuer, ClientID: "app", Algorithms: every(tb), Skew: time.Minute, Keys: &source{set: keySet(tb, k1())}}
}

func mintFor(tb testing.TB, typ string, base, edits map[string]any) string {
	tb.Helper()
	all := map[string]any{"iss": issuer, "aud": "app", "sub": "alice", "iat": noon.Unix() - 10, "exp": noon.Unix() + 300}
	for _, more := range []map[string]any{base, edits} {
		for name, value := range more {
			if all[name] = value; value == (absent{}) {
				delete(all, name)
			}
		}
	}
	raw, err := k1().Token(typ, all)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestAnIDTokenAnswersThisLogInOfThisClient(t *testing.T) {
	for name, row := range map[string]struct {
		typ   string
		edits map[string]any
		want  Reason
	}{
		"a good one":                  {"JWT", nil, ""},
		"without typ":                 {"", nil, ""},
		"its access token's hash":     {"JWT", map[string]any{"at_hash": leftHash("ES256", loginAccess)}, ""},
		"two audiences and azp":       {"JWT", map[string]any{"aud": []string{"app", "b"}, "azp": "app"}, ""},
		"an access token by typ":      {"at+jwt", nil, TypeRefused},
		"a logout token by events":    {"JWT", map[string]any{"events": map[string]any{logoutEvent: map[string]any{}}}, TypeRefused},
		"a bearer token in Keycloak":  {"JWT", map[string]any{"typ": "Bearer"}, TypeRefused},
		"nobody":                      {"JWT", map[string]any{"sub": absent{}}, ClaimMissing},
		"another log-in":              {"JWT", map[string]any{"nonce": "other"}, ClaimWrong},
		"no nonce":                    {"JWT", map[string]any{"nonce": absent{}}, ClaimWrong},
		"two audiences without azp":   {"JWT", map[string]any{"aud": []string{"app", "b"}}, ClaimMissing},
		"another client's azp":        {"JWT", map[string]any{"azp": "b"}, ClaimWrong},
		"azp as a list":               {"JWT", map[string]any{"azp": []string{"app"}}, ClaimWrong},
		"another access token's hash": {"JWT", map[string]any{"at_hash": leftHash("ES256", "x")}, ClaimWrong},
		"members that are not set":    {"JWT", map[string]any{"at_hash": nil, "azp": nil, "sid": nil, "events": nil, "nbf": nil}, ""},
		"another audience":            {"JWT", map[string]any{"aud": "b"}, WrongAudience},
		"another issuer":              {"JWT", map[string]any{"iss": issuer + "/"}, IssuerUnknown},
		"expired":                     {"JWT", map[string]any{"exp": noon.Unix() - 60}, Expired},
		"without exp":                 {"JWT", map[string]any{"exp": absent{}}, ClaimMissing},
		"without iat":                 {"JWT", map[string]any{"iat": absent{}}, ClaimMissing},
		"made in times to come":       {"JWT", map[string]any{"iat": noon.Unix() + 61}, NotYetValid},
		"sid is a number":             {"JWT", map[string]any{"sid": 7}, ClaimType},
	} {
		raw := mintFor(t, row.typ, map[string]any{"nonce": loginNonce}, row.edits)
		_, err := login(t).VerifyID(context.Background(), raw, loginNonce, loginAccess, noon)
		if ReasonOf(err) != row.want || row.want == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

func TestALogoutTokenEndsWhatItNamesAndIsNothingElse(t *testing.T) {
	base := map[string]any{"jti": "1", "sid": "s", "events": map[string]any{logoutEvent: map[string]any{}}}
	for name, row := range map[string]struct {
		typ   string
		edits map[string]any
		want  Reason
	}{
		"a good one":             {"logout+jwt", nil, ""},
		"as JWT":                 {"JWT", nil, ""},
		"a session alone":        {"logout+jwt", map[string]any{"sub": absent{}}, ""},
		"a user alone":           {"logout+jwt", map[string]any{"sid": absent{}}, ""},
		"an access token by typ": {"at+jwt", nil, TypeRefused},
		"no events":              {"logout+jwt", map[string]any{"events": absent{}}, TypeRefused},
		"another event":          {"logout+jwt", map[string]any{"events": map[string]any{"x": map[string]any{}}}, TypeRefused},
		"an event that is none":  {"logout+jwt", map[string]any{"events": map[string]any{logoutEvent: true}}, TypeRefused},
		"a nonce":                {"logout+jwt", map[string]any{"nonce": "n"}, ClaimWrong},
		"members not set":        {"logout+jwt", map[string]any{"nonce": nil, "sid": nil}, ""}, // authentik
		"an event that is null":  {"logout+jwt", map[string]any{"events": map[string]any{logoutEvent: nil}}, ""},
		"neither user nor sid":   {"logout+jwt", map[string]any{"sub": absent{}, "sid": absent{}}, ClaimMissing},
		"sid is a number":        {"logout+jwt", map[string]any{"sid": 7}, ClaimMissing},
		"sub is a number":        {"logout+jwt", map[string]any{"sub": 7}, ClaimType},
		"no jti":                 {"logout+jwt", map[string]any{"jti": absent{}}, ClaimMissing},
		"too old":                {"logout+jwt", map[string]any{"iat": noon.Add(-LogoutFresh).Unix() - 61}, Expired},
		"no iat":                 {"logout+jwt", map[string]any{"iat": absent{}}, Expired},
		"for another client":     {"logout+jwt", map[string]any{"aud": "b"}, WrongAudience},
		"of another issuer":      {"logout+jwt", map[string]any{"iss": "https://evil.example"}, IssuerUnknown},
		"without exp":            {"logout+jwt", map[string]any{"exp": absent{}}, ""}, // Hydra
		"with exp null":          {"logout+jwt", map[string]any{"exp": nil}, ""},
		"without exp, no more":   {"logout+jwt", map[string]any{"exp": absent{}, "iat": noon.Add(-LogoutFresh).Unix() - 60}, Expired},
		"without exp and iat":    {"logout+jwt", map[string]any{"exp": absent{}, "iat": absent{}}, Expired},
		"past its exp":           {"logout+jwt", map[string]any{"exp": noon.Unix() - 60}, Expired},
		"made in times to come":  {"logout+jwt", map[string]any{"iat": noon.Unix() + 61}, NotYetValid},
	} {
		_, err := login(t).VerifyLogout(context.Background(), mintFor(t, row.typ, base, row.edits), noon)
		if ReasonOf(err) != row.want || row.want == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

func TestNoKeyOfAnotherIssuerLogsIn(t *testing.T) {
	l := login(t)
	l.Keys = &source{set: keySet(t, signer("k1", "ES256", "other P-256"))}
	_, err := l.VerifyID(context.Background(), mintFor(t, "JWT", map[string]any{"nonce": loginNonce}, nil), loginNonce, loginAccess, noon)
	wantReason(t, err, SignatureFailed)
}

func TestTheIDTokenOfARefreshIsOfTheSameUserAndLogIn(t *testing.T) {
	before := Claims{"sub": "alice", "nonce": loginNonce}
	for name, row := range map[string]struct {
		edits map[string]any
		want  Reason
	}{
		"without a nonce":    {map[string]any{"nonce": absent{}}, ""},
		"with its nonce":     {nil, ""},
		"another nonce":      {map[string]any{"nonce": "x"}, ClaimWrong},
		"another user":       {map[string]any{"sub": "bob"}, ClaimWrong},
		"another client":     {map[string]any{"aud": "b"}, WrongAudience},
		"another issuer":     {map[string]any{"iss": issuer + "/"}, IssuerUnknown},
		"expired":            {map[string]any{"exp": noon.Unix() - 60}, Expired},
		"another token hash": {map[string]any{"at_hash": leftHash("ES256", "x")}, ClaimWrong},
	} {
		raw := mintFor(t, "JWT", map[string]any{"nonce": loginNonce}, row.edits)
		err := login(t).VerifyIDAgain(context.Background(), raw, before, loginAccess, noon)
		if ReasonOf(err) != row.want || row.want == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
	raw := mintFor(t, "JWT", map[string]any{"nonce": "x"}, nil)
	if err := login(t).VerifyIDAgain(context.Background(), raw, Claims{"sub": "alice"}, loginAccess, noon); err != nil {
		t.Error("where the one before had none: ", err)
	}
}

func TestWhatSaysSomethingOfATokenSaysNothingOfItsUser(t *testing.T) {
	all := Claims{"sub": "alice", "aud": "app", "scope": "admin", "cnf": map[string]any{}, "acr": "gold", "auth_time": 1, "email": "a@example.com", "groups": []any{"staff"}}
	if of := all.OfUser(); len(of) != 4 || of["acr"] != "gold" || of["email"] == nil {
		t.Errorf("of the user: %v", of)
	}
	if of := all.OfProfile(); len(of) != 2 || of["email"] == nil || of["groups"] == nil {
		t.Errorf("of a profile: %v", of)
	}
	if len(all) != 8 {
		t.Errorf("the claims have changed: %v", all)
	}
}

// What a log-in of our own may use is refused to those who bring it, remembered or
// not.
func TestMarksOfAnIDTokenCountForAllButOurOwnLogIns(t *testing.T) {
	for name, mark := range map[string]map[string]any{"nonce": {"nonce": "n"}, "at_hash": {"at_hash": "x"}, "c_hash": {"c_hash": "x"}, "typ": {"typ": "ID"}} {
		raw := mintFor(t, "", mark, nil)
		u, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		l := login(t)
		p := &Profile{Issuer: issuer, Audience: []string{"app"}, Algorithms: l.Algorithms, Skew: l.Skew, Keys: l.Keys}
		own := *p
		own.LoggedIn = true
		if _, err := p.Verify(context.Background(), u, noon); ReasonOf(err) != IDToken {
			t.Errorf("%s: a client's passes: %v", name, err)
		}
		facts, err := own.Verify(context.Background(), u, noon)
		if err != nil {
			t.Errorf("%s: our own does not pass: %v", name, err)
			continue
		}
		if _, err := own.Judge(facts, noon); err != nil {
			t.Errorf("%s: our own, remembered: %v", name, err)
		}
		if _, err := p.Judge(facts, noon); ReasonOf(err) != IDToken {
			t.Errorf("%s: a client's passes, since it is remembered: %v", name, err)
		}
	}
	for name, kind := range map[string]map[string]any{"a logout token": {"events": map[string]any{}}, "a refresh token": {"typ": "Refresh"}} {
		u, err := Parse(mintFor(t, "", kind, nil))
		if err != nil {
			t.Fatal(err)
		}
		l := login(t)
		own := &Profile{Issuer: issuer, Audience: []string{"app"}, Algorithms: l.Algorithms, Skew: l.Skew, Keys: l.Keys, LoggedIn: true}
		if _, err := own.Verify(context.Background(), u, noon); ReasonOf(err) != IDToken {
			t.Errorf("%s passes: %v", name, err)
		}
	}
}
