package token

import (
	"errors"
	"testing"
)

// What servers write, and what it means there.
func TestWhatIsMerelyOddInAnAnswerIsRead(t *testing.T) {
	p := &Profile{Issuer: "https://issuer.example", Audience: []string{"api"}}
	const good = `{"active":true,"aud":"api","sub":"u","scope":"read",`
	want := Facts{Subject: "u", Scope: "read", Audience: []string{"api"}, Expiry: 1000}
	endless := want
	endless.Expiry = lastExpiry
	for name, row := range map[string]struct {
		doc  string
		want Facts
	}{
		"as the RFC has it":                    {good + `"exp":1000}`, want},
		"an exp with a fraction":               {good + `"exp":1000.5}`, want},
		"an exp in a string":                   {good + `"exp":"1000"}`, want},
		"an exp in words":                      {good + `"exp":"1970-01-01T00:16:40Z"}`, want},
		"an exp in words, of another zone":     {good + `"exp":"1970-01-01T02:16:40.25+02:00"}`, want},
		"an exp of 0, which is none":           {good + `"exp":0}`, endless}, // Doorkeeper
		"an exp of 0 in a string":              {good + `"exp":"0"}`, endless},
		"an empty exp":                         {good + `"exp":""}`, endless},
		"nulls":                                {good + `"exp":null,"nbf":null,"iss":null,"client_id":null,"token_type":null,"cnf":null,"nonce":null}`, endless},
		"a scope in a list":                    {`{"active":true,"aud":"api","sub":"u","exp":1000,"scope":["read"]}`, want}, // UAA
		"a list with more than strings":        {`{"active":true,"aud":["api",null,7],"sub":"u","exp":1000,"scope":["read",null]}`, want},
		"members that decide nothing":          {good + `"exp":1000,"iat":"yesterday","jti":17,"client_id":7,"username":{}}`, want},
		"the type that token exchange has":     {good + `"exp":1000,"token_type":"urn:ietf:params:oauth:token-type:access_token"}`, want}, // RFC 8693
		"the type that old Keycloak has":       {good + `"exp":1000,"token_type":"access_token"}`, want},
		"the id of a user that is a number":    {`{"active":true,"aud":"api","sub":42,"scope":"read","exp":1000}`, Facts{Subject: "42", Scope: "read", Audience: []string{"api"}, Expiry: 1000}},
		"nbf that is a string, and not passed": {good + `"exp":1000,"nbf":"500"}`, Facts{Subject: "u", Scope: "read", Audience: []string{"api"}, Expiry: 1000, NotBefore: 500}},
	} {
		answer, err := ParseAnswer(row.doc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		facts, err := p.Read(answer)
		if err != nil || facts.Subject != row.want.Subject || facts.Scope != row.want.Scope || facts.Expiry != row.want.Expiry ||
			facts.NotBefore != row.want.NotBefore || len(facts.Audience) != 1 || facts.Audience[0] != "api" {
			t.Errorf("%s: %+v, %v", name, facts, err)
		}
	}
}

func TestAnAnswerWhoseMeaningIsNotClearIsNone(t *testing.T) {
	for name, doc := range map[string]string{
		"an exp that is no time":   `{"active":true,"exp":"never"}`,
		"an exp beyond measure":    `{"active":true,"exp":1e400}`,
		"an exp that is true":      `{"active":true,"exp":true}`,
		"an nbf that is no time":   `{"active":true,"nbf":"1.2.3"}`,
		"an aud that is a number":  `{"active":true,"aud":7}`,
		"an aud that is an object": `{"active":true,"aud":{"api":true}}`,
		"a scope that is one":      `{"active":true,"scope":{"read":true}}`,
		"a client that is a list":  `{"active":true,"client_id":["app"]}`,
		"a subject that is one":    `{"active":true,"sub":{}}`,
		"a subject of a fraction":  `{"active":true,"sub":4.2}`,
		"an issuer that is a list": `{"active":true,"iss":["https://issuer.example"]}`,
	} {
		if answer, err := ParseAnswer(doc); err == nil || errors.Is(err, ErrNoAnswer) || ReasonOf(err) != "" {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	for name, doc := range map[string]string{
		"active in a string": `{"active":"true"}`, "active as a number": `{"active":1}`, "active null": `{"active":null}`, "no active": `{}`,
	} {
		if answer, err := ParseAnswer(doc); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	if answer, err := ParseAnswer(`{"active":false,"exp":"never","aud":7}`); err != nil || answer.Active {
		t.Error("of a token that is not active:", answer, err)
	}
}
