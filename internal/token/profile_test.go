package token

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Rules 14 and 15: whose token it is, for whom, until when, and of what kind.

func TestTimesAreJudgedToTheSecond(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for name, row := range map[string]struct {
		edits map[string]any
		skew  time.Duration
		now   time.Time
		want  Reason
	}{
		"a second before exp":                   {nil, 0, at(299 * time.Second), ""},
		"a nanosecond before exp":               {nil, 0, at(300*time.Second - 1), ""},
		"exactly exp":                           {nil, 0, at(300 * time.Second), Expired},
		"a nanosecond past exp":                 {nil, 0, at(300*time.Second + 1), Expired},
		"exp and skew, a nanosecond before":     {nil, 30 * time.Second, at(330*time.Second - 1), ""},
		"exactly exp and skew":                  {nil, 30 * time.Second, at(330 * time.Second), Expired},
		"a fraction of exp counts for nothing":  {map[string]any{"exp": 1700000300.9}, 0, at(300 * time.Second), Expired},
		"before the full second of such an exp": {map[string]any{"exp": 1700000300.9}, 0, at(300*time.Second - 1), ""},
		"a negative fraction":                   {map[string]any{"exp": -0.5}, 0, time.Unix(-1, 0), Expired},
		"exactly nbf":                           {map[string]any{"nbf": noon.Unix()}, 0, noon, ""},
		"a nanosecond before nbf":               {map[string]any{"nbf": noon.Unix()}, 0, at(-1), NotYetValid},
		"nbf less skew":                         {map[string]any{"nbf": noon.Unix() + 30}, 30 * time.Second, noon, ""},
		"a nanosecond before nbf less skew":     {map[string]any{"nbf": noon.Unix() + 30}, 30 * time.Second, at(-1), NotYetValid},
		"a fraction of nbf means the next full": {map[string]any{"nbf": 1700000000.1}, 0, noon, NotYetValid},
		"and that second is good":               {map[string]any{"nbf": 1700000000.1}, 0, at(time.Second), ""},
		"nbf after exp":                         {map[string]any{"nbf": noon.Unix() + 400}, 0, noon, NotYetValid},
		"iat in the near future":                {map[string]any{"iat": noon.Unix() + 20}, 0, noon, ""},
		"no exp":                                {map[string]any{"exp": absent{}}, 0, noon, ClaimMissing},
		"a clock a year ahead":                  {nil, 0, at(400 * 24 * time.Hour), Expired},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile(t)
			p.Skew = row.skew
			_, err := proveAt(p, mint(t, k1(), row.edits), row.now)
			wantReason(t, err, row.want)
		})
	}
}

func TestIssIsExactText(t *testing.T) {
	for _, iss := range []any{
		issuer + "/", "HTTPS://login.example.com", "https://LOGIN.example.com", "http://login.example.com", issuer + "/tenant",
		issuer + ":443", "login.example.com", "", issuer + " ", issuer + "\x00", "https://login.example.com.attacker.example", absent{},
	} {
		_, err := prove(profile(t), mint(t, k1(), map[string]any{"iss": iss}))
		wantReason(t, err, IssuerUnknown)
	}
}

func TestAudHasAnExactMember(t *testing.T) {
	for name, row := range map[string]struct {
		aud  any
		want Reason
	}{
		"the audience":                      {audience, ""},
		"a list of it alone":                {[]string{audience}, ""},
		"a list with it at the end":         {[]string{"x", "y", audience}, ""},
		"the second that is configured":     {"api://second", ""},
		"another":                           {"api://other", WrongAudience},
		"a list of others":                  {[]string{"x", "y"}, WrongAudience},
		"an empty list":                     {[]string{}, WrongAudience},
		"an empty text":                     {"", WrongAudience},
		"none":                              {absent{}, WrongAudience},
		"another case":                      {"API://orders", WrongAudience},
		"a slash behind":                    {audience + "/", WrongAudience},
		"longer":                            {audience + "-admin", WrongAudience},
		"shorter":                           {"api://order", WrongAudience},
		"two in one text, parted by spaces": {"x " + audience, WrongAudience},
		"two in one text, parted by commas": {audience + ",x", WrongAudience},
		"a star":                            {"*", WrongAudience},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile(t)
			p.Audience = []string{audience, "api://second"}
			_, err := prove(p, mint(t, k1(), map[string]any{"aud": row.aud}))
			wantReason(t, err, row.want)
		})
	}
	p := profile(t)
	p.Audience = nil
	_, err := prove(p, mint(t, k1(), map[string]any{"aud": absent{}}))
	if wantReason(t, err, ""); err != nil {
		t.Error("with no audience configured, any passes")
	}
}

func TestOnlyAccessTokensPassByTheirTyp(t *testing.T) {
	for _, row := range []struct {
		member         string // of the header
		normal, strict Reason
	}{
		{`"typ":"at+jwt"`, "", ""},
		{`"typ":"AT+JWT"`, "", ""},
		{`"typ":"application/at+jwt"`, "", ""},
		{`"typ":"Application/At+Jwt"`, "", ""},
		{`"typ":"JWT"`, "", TypeRefused},
		{`"typ":"jwt"`, "", TypeRefused},
		{`"typ":"application/jwt"`, "", TypeRefused},
		{`"x":1`, "", TypeRefused}, // none
		{`"TYP":"dpop+jwt"`, "", TypeRefused},
		{`"typ":""`, TypeRefused, TypeRefused},
		{`"typ":"dpop+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"logout+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"secevent+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"token-introspection+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"oauth-authz-req+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"client-authentication+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"dc+sd-jwt"`, TypeRefused, TypeRefused},
		{`"typ":"id_token+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"JOSE"`, TypeRefused, TypeRefused},
		{`"typ":"rt+jwt"`, TypeRefused, TypeRefused},
		{`"typ":"at+jwt "`, TypeRefused, TypeRefused},
		{`"typ":"application/application/jwt"`, TypeRefused, TypeRefused},
		{`"typ":"text/jwt"`, TypeRefused, TypeRefused},
		{`"typ":"at+jwt;x=y"`, TypeRefused, TypeRefused},
		{`"typ":"at jwt"`, TypeRefused, TypeRefused},
	} {
		raw := mintRaw(t, k1(), `{"alg":"ES256","kid":"k1",`+row.member+`}`, "")
		for _, strictly := range []bool{false, true} {
			p := profile(t)
			p.Strict = strictly
			want := row.normal
			if strictly {
				want = row.strict
			}
			if _, err := prove(p, raw); ReasonOf(err) != want {
				t.Errorf("%s, strict %t: %v, want %q", row.member, strictly, err, want)
			}
		}
	}
}

func TestTheMarksOfAnIDTokenAreRefused(t *testing.T) {
	for mark, values := range map[string][]any{
		"nonce": {"n", "", 1}, "at_hash": {"h"}, "c_hash": {"h"},
		"typ": {"ID", "id", "Id"}, "token_use": {"id", "id_token"},
	} {
		for _, v := range values {
			raw := mint(t, k1(), map[string]any{mark: v})
			_, err := prove(profile(t), raw)
			wantReason(t, err, IDToken)
			p := profile(t)
			p.IDTokens = true
			if _, err := prove(p, raw); err != nil {
				t.Errorf("with ID tokens let in, %s %v: %v", mark, v, err)
			}
		}
	}
	for mark, values := range map[string][]any{
		"events":    {map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}},
		"typ":       {"Refresh", "Offline", "Logout"},
		"token_use": {"refresh", "refresh_token"},
	} {
		for _, v := range values {
			p := profile(t)
			p.IDTokens = true // which lets in ID tokens, and nothing else
			_, err := prove(p, mint(t, k1(), map[string]any{mark: v}))
			wantReason(t, err, IDToken)
		}
	}
	for mark, values := range map[string][]any{"typ": {"Bearer", "JWT", ""}, "token_use": {"access", "access_token", "user", "", nil, 1, "ID"}} {
		for _, v := range values {
			_, err := prove(profile(t), mint(t, k1(), map[string]any{mark: v}))
			wantReason(t, err, "")
		}
	}
}

func TestStrictWantsWhatRFC9068Requires(t *testing.T) {
	for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		p := profile(t)
		p.Strict = true
		want := ClaimMissing
		if name == "iss" {
			want = IssuerUnknown
		}
		_, err := prove(p, mint(t, k1(), map[string]any{name: absent{}}))
		wantReason(t, err, want)
		if want == ClaimMissing && err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	p := profile(t)
	p.Strict = true
	_, err := prove(p, mint(t, k1(), nil))
	wantReason(t, err, "")
}

func TestJudgeLooksAtTheHourTheAudienceAndTheKeyEachTime(t *testing.T) {
	p := profile(t)
	p.Skew = 30 * time.Second
	facts, err := prove(p, mint(t, k1(), map[string]any{"nbf": noon.Unix()}))
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		now      time.Time
		audience []string
		want     Reason
	}{
		"when it was found":     {noon, p.Audience, ""},
		"just before its end":   {noon.Add(330*time.Second - 1), p.Audience, ""},
		"at its end":            {noon.Add(330 * time.Second), p.Audience, Expired},
		"with the clock back":   {noon.Add(-31 * time.Second), p.Audience, NotYetValid},
		"for another audience":  {noon, []string{"api://other"}, WrongAudience},
		"for one more audience": {noon, []string{"api://other", audience}, ""},
		"for any audience":      {noon, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			q := *p
			q.Audience = row.audience
			ok, err := q.Judge(facts, row.now)
			if wantReason(t, err, row.want); !ok {
				t.Error("the key still holds")
			}
		})
	}
	Replace(p.Keys.(*KeySet), nil)
	if ok, err := p.Judge(facts, noon); ok || err != nil {
		t.Errorf("with the key gone: %t, %v", ok, err)
	}
}

func TestARefusalIsToldByItsType(t *testing.T) {
	if ReasonOf(errors.New("token_expired")) != "" || ReasonOf(nil) != "" {
		t.Error("a reason for what is no refusal")
	}
	wrapped := errors.Join(errors.New("x"), refuse(Expired, ""))
	if ReasonOf(wrapped) != Expired || refuse(Expired, "").Error() != "token_expired" {
		t.Error(wrapped)
	}
}

// Clients write URLs anew, and issuers put what they were asked for into aud.
func TestAResourceWithoutAPathIsTheSameWithASlash(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"https://api.example", "https://api.example/", true},
		{"https://api.example:8443/", "https://api.example:8443", true},
		{"https://api.example", "https://api.example", true},
		{"https://api.example/a", "https://api.example/a/", false},
		{"https://api.example", "https://api.example//", false},
		{"https://api.example", "http://api.example/", false},
		{"https://api.example", "https://api.example.evil/", false},
		{"https://api.example", "https://api.example/?", false},
		{"https:///", "https://", false},
		{"api", "api/", false},
		{"", "/", false},
	} {
		if SameResource(row.a, row.b) != row.same || SameResource(row.b, row.a) != row.same {
			t.Errorf("%q and %q: want %v", row.a, row.b, row.same)
		}
	}
}
