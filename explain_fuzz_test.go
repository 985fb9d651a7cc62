package caddyoauth

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/explain"
)

// fuzzGateways have every kind of check in them.
func fuzzGateways(tb testing.TB) (all []*Gateway) {
	tb.Helper()
	ctx := testContext(tb)
	_, handlers := adaptSite(tb, defaultConfig+`
oauth {
	issuer https://issuer.example {
		audience api
		token_type at+jwt
		jwks testdata/keys/issuer.jwks.json
	}
	issuer https://other.example {
		insecure_any_audience
		jwks testdata/keys/other.jwks.json
	}
	require scope orders:read
	require /admin/* claim groups admins
	require claim sub alice
	copy_claims sub email realm_access.roles>X-Roles
}`)
	for _, raw := range handlers {
		g := new(Gateway)
		if err := caddy.StrictUnmarshalJSON(raw, g); err != nil {
			tb.Fatal(err)
		}
		if err := g.Provision(ctx); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = g.Cleanup() })
		all = append(all, g)
	}
	return all
}

// Whatever is given, explaining it does not panic, shows nothing of its
// signature, tells no terminal what to do, and says what the gateway would.
func FuzzExplain(f *testing.F) {
	fact := &fact{T: &testing.T{}}
	good := signToken(f, "es256", defaultHeader, fact.expand(defaultPayload))
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	for _, text := range []string{
		good, "Bearer " + good, `"` + good + `"`, "Authorization: Bearer " + good, good[:len(good)/2], parts[0] + "." + parts[1], "",
		"oga_" + strings.Repeat("a", 64), "ogr_x", "a.b.c.d.e", "ya29.x", " . . ", "\x1b[2J.\x00.\x07",
		parts[0] + "." + parts[1] + "." + b64([]byte(strings.Repeat("0", 64))),
		// The signature again, as a claim and as a kid.
		b64([]byte(`{"alg":"ES256","kid":"`+parts[2]+`"}`)) + "." + b64([]byte(`{"iss":"`+parts[2]+`","aud":["`+parts[2]+`"],"groups":"`+parts[2]+`","sub":"\u001b[31m"}`)) + "." + parts[2],
		b64([]byte(`{"alg":"none","typ":"\u001b]0;x\u0007"}`)) + "." + b64([]byte(`{"iss":"https://issuer.example/","exp":-1e308,"nbf":1e308,"scope":"a\nb","email":"a\r\nb"}`)) + ".AA",
	} {
		for at := range 2 {
			f.Add([]byte(text), at == 0)
		}
	}
	gateways := fuzzGateways(f)
	f.Fuzz(func(t *testing.T, text []byte, grants bool) {
		if len(text) > 8<<10 {
			return
		}
		explainAnything(t, gateways, string(text), grants)
	})
}

// explainAnything holds for whatever is given.
func explainAnything(t *testing.T, gateways []*Gateway, text string, grants bool) {
	t.Helper()
	raw := strings.TrimSpace(text)
	for _, g := range gateways {
		e := explain.Explain(t.Context(), g, text, explain.Options{At: verdictClock, Grants: grants, Held: true})
		checkExplained(t, e, raw)
		if e.Verdict != "accepted" {
			continue
		}
		bare := raw
		if field, value, is := strings.Cut(raw, ":"); is && strings.EqualFold(field, "Authorization") {
			bare = strings.TrimSpace(strings.TrimSpace(value)[7:])
		}
		g.validator.Now = func() time.Time { return verdictClock }
		if _, err := g.validator.Validate(t.Context(), bare); err != nil {
			t.Fatalf("accepted, and yet: %v", err)
		}
	}
}

// The same for many tokens that are broken by chance: of a package with Caddy
// in it, fuzzing looks at few.
func TestTokensBrokenByChanceShowNothingOfTheirSignature(t *testing.T) {
	gateways := fuzzGateways(t)
	chance := rand.New(rand.NewPCG(1, 2)) // the same each time
	b64 := base64.RawURLEncoding.EncodeToString
	good := sign(t, "es256")
	signature := good[strings.LastIndexByte(good, '.')+1:]
	for n := range 300 {
		text := good
		if n%2 == 0 { // the signature, or much of it, wherever a claim can be shown
			piece := signature[chance.IntN(20) : 60+chance.IntN(len(signature)-60)]
			claim := []string{"iss", "aud", "scope", "groups", "sub", "typ", "email", "nonce", "exp"}[chance.IntN(9)]
			text = b64([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+[]string{"es256", "x" + piece}[chance.IntN(2)]+`"}`)) + "." +
				b64([]byte(`{"iss":"https://issuer.example","aud":"api","exp":1800000300,"x":1,"`+claim+`":"a `+piece+`"}`)) + "." + signature
		}
		for range chance.IntN(4) {
			at := chance.IntN(len(text))
			switch chance.IntN(4) {
			case 0:
				text = text[:at] + string(rune(chance.IntN(256))) + text[at:]
			case 1:
				text = text[:at] + text[min(len(text), at+chance.IntN(5)):]
			case 2:
				text = text[at:] + text[:at]
			case 3:
				text = []string{"Bearer ", `"`, "Authorization: Bearer ", "oga_", "ogr_"}[chance.IntN(5)] + text
			}
		}
		explainAnything(t, gateways, text, n%3 == 0)
	}
}

// What every explanation is made of is there in the JSON under stable names.
func TestTheJSONOfAnExplanationIsStable(t *testing.T) {
	status, out, err := explained(t, explainFlags{config: configFile(t, explainConfig), adapter: "caddyfile", asJSON: true}, sign(t, "es256", "{now+300}", "{now-60}"))
	if status != statusRefused || err != nil {
		t.Fatal(status, err)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway", "verdict", "status", "error", "reason", "check", "clause", "detail", "change", "issuer", "at", "checks"} {
		if doc[name] == nil {
			t.Errorf("no %s in %s", name, out)
		}
	}
	page, err := os.ReadFile("docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range doc {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/explain.md does not name %s", name)
		}
	}
}
