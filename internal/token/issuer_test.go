package token

import (
	"testing"
)

// AD FS calls itself one thing in its metadata and ID tokens, and another in
// access tokens.
func TestAccessTokensMayNameTheirIssuerByAnotherText(t *testing.T) {
	const trust = "http://adfs.corp.example/adfs/services/trust"
	p := profile(t)
	p.Tokens = trust
	for iss, want := range map[string]Reason{trust: "", issuer: IssuerUnknown, trust + "/": IssuerUnknown, "": IssuerUnknown} {
		_, err := prove(p, mint(t, k1(), map[string]any{"iss": iss}))
		wantReason(t, err, want)
	}
	principal := p.Principal(nil, &Facts{}, "", Claims{"iss": trust})
	if got, _ := principal.Claim("iss"); got != trust || principal.Issuer != issuer {
		t.Errorf("iss is %v, of the issuer %s", got, principal.Issuer)
	}
	for doc, want := range map[string]Reason{`{"active":true,"iss":"` + trust + `"}`: "", `{"active":true}`: "", `{"active":true,"iss":"` + issuer + `"}`: IssuerUnknown} {
		answer, err := ParseAnswer(doc)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Read(answer)
		wantReason(t, err, want)
	}
}

func TestATrustDomainVouchesForItsOwnIdentitiesAlone(t *testing.T) {
	const domain = "spiffe://example.org"
	for name, row := range map[string]struct {
		tokens string
		claims map[string]any
		header string
		want   Reason
	}{
		"without iss":                        {"", map[string]any{"iss": absent{}, "sub": domain + "/cart"}, "", ""},
		"with iss":                           {"", map[string]any{"iss": domain, "sub": domain + "/cart"}, "", ""},
		"typ JOSE":                           {"", map[string]any{"iss": absent{}, "sub": domain + "/cart"}, `{"alg":"ES256","kid":"k1","typ":"JOSE"}`, ""},
		"another domain":                     {"", map[string]any{"iss": absent{}, "sub": "spiffe://example.com/cart"}, "", IssuerUnknown},
		"a domain that begins alike":         {"", map[string]any{"iss": domain, "sub": domain + ".evil/cart"}, "", IssuerUnknown},
		"the domain itself":                  {"", map[string]any{"iss": absent{}, "sub": domain}, "", IssuerUnknown},
		"another domain in other letters":    {"", map[string]any{"iss": domain, "sub": "SPIFFE://example.com/cart"}, "", IssuerUnknown},
		"no sub, with iss":                   {"", map[string]any{"iss": domain, "sub": absent{}}, "", ""},
		"a user, with iss":                   {"", map[string]any{"iss": domain, "sub": "alice"}, "", ""},
		"neither iss nor sub":                {"", map[string]any{"iss": absent{}, "sub": absent{}}, "", IssuerUnknown},
		"iss is another's":                   {"", map[string]any{"iss": issuer, "sub": domain + "/cart"}, "", IssuerUnknown},
		"iss is null":                        {"", map[string]any{"iss": absent{}, "sub": "alice"}, "", IssuerUnknown},
		"the issuer that SPIRE was told of":  {issuer, map[string]any{"iss": issuer, "sub": domain + "/cart"}, "", ""},
		"and another domain's identity":      {issuer, map[string]any{"iss": issuer, "sub": "spiffe://example.com/cart"}, "", IssuerUnknown},
		"and without iss all the same":       {issuer, map[string]any{"iss": absent{}, "sub": domain + "/cart"}, "", ""},
		"and the trust domain, which is not": {issuer, map[string]any{"iss": domain, "sub": domain + "/cart"}, "", IssuerUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := profile(t)
			p.Issuer, p.Tokens = domain, row.tokens
			raw := mint(t, k1(), row.claims)
			if row.header != "" {
				raw = mintRaw(t, k1(), row.header, encode(t, claims(row.claims)))
			}
			_, err := prove(p, raw)
			wantReason(t, err, row.want)
		})
	}
}

func TestATokenNamesItsIssuerByIssOrElseByASPIFFEID(t *testing.T) {
	for name, row := range map[string]struct {
		claims Claims
		want   string
	}{
		"iss":             {Claims{"iss": "x", "sub": "spiffe://a/b"}, "x"},
		"iss of no text":  {Claims{"iss": nil, "sub": "spiffe://a/b"}, ""},
		"a SPIFFE ID":     {Claims{"sub": "spiffe://a/b"}, "spiffe://a"},
		"a trust domain":  {Claims{"sub": "spiffe://a"}, "spiffe://a"},
		"no trust domain": {Claims{"sub": "spiffe:///b"}, ""},
		"a user":          {Claims{"sub": "alice"}, ""},
		"nothing":         {nil, ""},
	} {
		if got := row.claims.Issuer(); got != row.want {
			t.Errorf("%s: %q, not %q", name, got, row.want)
		}
	}
}

// Amazon Cognito's access tokens have client_id and no aud.
func TestAudienceIsMetByTheClientOfATokenWithoutAudWhereThatIsConfigured(t *testing.T) {
	for name, row := range map[string]struct {
		edits            map[string]any
		without, allowed Reason
	}{
		"no aud, our client":         {map[string]any{"aud": absent{}, "client_id": audience}, WrongAudience, ""},
		"an empty aud, our client":   {map[string]any{"aud": []string{}, "client_id": audience}, WrongAudience, ""},
		"no aud, another client":     {map[string]any{"aud": absent{}, "client_id": "other"}, WrongAudience, WrongAudience},
		"no aud, no client":          {map[string]any{"aud": absent{}, "client_id": absent{}}, WrongAudience, WrongAudience},
		"no aud, a client of none":   {map[string]any{"aud": absent{}, "client_id": ""}, WrongAudience, WrongAudience},
		"another aud, our client":    {map[string]any{"aud": "other", "client_id": audience}, WrongAudience, WrongAudience},
		"an aud of \"\", our client": {map[string]any{"aud": "", "client_id": audience}, WrongAudience, WrongAudience},
		"our aud, another client":    {map[string]any{"aud": audience, "client_id": "other"}, "", ""},
	} {
		raw := mint(t, k1(), row.edits)
		p := profile(t)
		_, err := prove(p, raw)
		if wantReason(t, err, row.without); t.Failed() {
			t.Fatal(name)
		}
		p.ByClient = true
		_, err = prove(p, raw)
		if wantReason(t, err, row.allowed); t.Failed() {
			t.Fatal(name)
		}
		p.Resource = "https://api.example"
		_, err = prove(p, raw)
		wantReason(t, err, WrongAudience) // a resource stands in aud
	}
}

func TestAnAnswerTakesTheClientAwayThatWouldStandForAnAudience(t *testing.T) {
	p := &Profile{Issuer: issuer, Audience: []string{"app"}, ByClient: true}
	for doc, want := range map[string]Reason{
		`{"active":true}`:                               "",
		`{"active":true,"client_id":"app"}`:             "",
		`{"active":true,"client_id":"other"}`:           WrongAudience,
		`{"active":true,"client_id":null}`:              "", // which is not there
		`{"active":true,"aud":"x"}`:                     WrongAudience,
		`{"active":true,"aud":[],"client_id":"app"}`:    WrongAudience,
		`{"active":true,"aud":"app","client_id":"app"}`: WrongAudience, // it adds nothing
	} {
		answer, err := ParseAnswer(doc)
		if err != nil {
			t.Log(err) // a member of a wrong type
			continue
		}
		facts, err := p.Confirm(&Facts{Client: "app", Expiry: noon.Unix() + 60}, answer)
		if err == nil {
			_, err = p.Judge(facts, noon)
		}
		if wantReason(t, err, want); t.Failed() {
			t.Fatal(doc)
		}
	}
	// Whom an odd aud names is not told; it names somebody.
	odd, _ := ParseAnswer(`{"active":true,"aud":[{"id":"other"},7],"client_id":"app"}`)
	facts, err := p.Read(odd)
	if err == nil {
		_, err = p.Judge(facts, noon)
	}
	wantReason(t, err, WrongAudience)
	answer, _ := ParseAnswer(`{"active":true,"client_id":"app","token_type":"Bearer"}`)
	facts, err = p.Read(answer)
	if err == nil {
		_, err = p.Judge(facts, noon)
	}
	wantReason(t, err, "")
}

// A refresh token has the same client, and servers' answers say no more of it.
func TestAClientStandsForAnAudienceWhereTheAnswerSaysThatItIsAnAccessToken(t *testing.T) {
	p := &Profile{Issuer: issuer, Audience: []string{"app"}, ByClient: true}
	for doc, want := range map[string]Reason{
		`{"active":true,"client_id":"app"}`:                                 TypeRefused,
		`{"active":true,"client_id":"app","aud":[]}`:                        TypeRefused,
		`{"active":true,"client_id":"app","token_use":"refresh_token"}`:     TypeRefused,
		`{"active":true,"client_id":"app","token_type":"Bearer"}`:           "",
		`{"active":true,"client_id":"app","token_use":"access_token"}`:      "",
		`{"active":true,"client_id":"other","aud":"app","token_type":null}`: "", // an audience tells
	} {
		answer, err := ParseAnswer(doc)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Read(answer)
		if wantReason(t, err, want); t.Failed() {
			t.Fatal(doc)
		}
	}
}
