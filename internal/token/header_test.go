package token

import (
	"strings"
	"testing"
)

// Rules 8, 10 and 11: the JOSE header.

func TestAHeaderIsRefusedThatAsksForMoreOrHasAWrongType(t *testing.T) {
	for name, row := range map[string]struct {
		member string
		want   Reason
	}{
		"crit with an extension":   {`"crit":["exp"],"exp":1`, HeaderRefused},
		"crit with b64":            {`"crit":["b64"],"b64":false`, HeaderRefused},
		"an empty crit":            {`"crit":[]`, HeaderRefused},
		"a crit of null":           {`"crit":null,"kid":"k1"`, ""},
		"b64 false":                {`"b64":false`, HeaderRefused},
		"b64 true":                 {`"b64":true`, HeaderRefused},
		"cty JWT, a nested token":  {`"cty":"JWT"`, HeaderRefused},
		"cty jwt, in other case":   {`"cty":"jwt"`, HeaderRefused},
		"cty as a media type":      {`"cty":"application/jwt"`, HeaderRefused},
		"cty a number":             {`"cty":1`, HeaderRefused},
		"another cty":              {`"cty":"json","kid":"k1"`, ""},
		"cty null":                 {`"cty":null,"kid":"k1"`, ""},
		"kid a number":             {`"kid":1`, HeaderRefused},
		"kid null, which is none":  {`"kid":null`, ""},
		"kid a list":               {`"kid":["k1"]`, HeaderRefused},
		"kid an object":            {`"kid":{"k1":1}`, HeaderRefused},
		"kid true":                 {`"kid":true`, HeaderRefused},
		"kid empty, which is none": {`"kid":""`, ""},
		"typ a number":             {`"typ":1,"kid":"k1"`, HeaderRefused},
		"typ null":                 {`"typ":null,"kid":"k1"`, ""},
		"typ a list":               {`"typ":["at+jwt"],"kid":"k1"`, HeaderRefused},
		"kid as a path":            {`"kid":"../../../../dev/null"`, KeyUnknown},
		"kid as SQL":               {`"kid":"x' UNION SELECT 'k1"`, KeyUnknown},
		"kid in another case":      {`"kid":"K1"`, KeyUnknown},
		"kid with a space":         {`"kid":"k1 "`, KeyUnknown},
		"kid with a NUL":           {`"kid":"k1\u0000"`, KeyUnknown},
		"kid under another name":   {`"KID":"k1"`, ""},
		"crit under another name":  {`"CRIT":["x"],"kid":"k1"`, ""},
		"the right kid":            {`"kid":"k1"`, ""},
		"the right kid in escapes": {`"kid":"\u006b1"`, ""},
		"members nobody knows":     {`"kid":"k1","x":{"crit":["x"]},"url":"http://127.0.0.1/"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw := mintRaw(t, k1(), `{"alg":"ES256",`+row.member+`}`, "")
			_, err := prove(profile(t), raw)
			wantReason(t, err, row.want)
		})
	}
}

func TestAlgIsOneString(t *testing.T) {
	for _, member := range []string{`"alg":null`, `"alg":1`, `"alg":["ES256"]`, `"alg":{"ES256":1}`, `"ALG":"ES256"`, `"x":1`} {
		_, err := Parse(mintRaw(t, k1(), `{`+member+`,"kid":"k1"}`, ""))
		wantReason(t, err, HeaderRefused)
	}
}

func TestAKeyInTheTokenNeverChoosesTheKey(t *testing.T) {
	attacker := signer("k1", "ES256", "other P-256")
	for name, member := range map[string]string{
		"jwk":      `"jwk":` + jwkOf(t, attacker, nil),
		"jku":      `"jku":"https://attacker.example/jwks"`,
		"x5u":      `"x5u":"https://attacker.example/cert"`,
		"x5c":      `"x5c":["MIIB"]`,
		"x5t":      `"x5t":"AAAA"`,
		"x5t#S256": `"x5t#S256":"AAAA"`,
	} {
		t.Run(name+" of an attacker", func(t *testing.T) {
			src := &source{set: keySet(t, k1())}
			p := profile(t)
			p.Keys = src
			_, err := prove(p, mintRaw(t, attacker, `{"alg":"ES256","kid":"k1",`+member+`}`, ""))
			wantReason(t, err, SignatureFailed)
			if src.newer != 0 {
				t.Error("a newer set was asked for")
			}
		})
		t.Run(name+" is no reason to refuse", func(t *testing.T) {
			_, err := prove(profile(t), mintRaw(t, k1(), `{"alg":"ES256","kid":"k1",`+member+`}`, ""))
			wantReason(t, err, "")
		})
	}
}

func TestALongKidIsCutInTheRefusal(t *testing.T) {
	_, err := prove(profile(t), mint(t, signer(strings.Repeat("x", 5000), "ES256", "P-256"), nil))
	wantReason(t, err, KeyUnknown)
	if len(err.Error()) > 300 {
		t.Errorf("%d bytes of a stranger's kid in an error", len(err.Error()))
	}
}
