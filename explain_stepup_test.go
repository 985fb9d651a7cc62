package caddyoauth

import (
	"strings"
	"testing"
)

const stepUpConfig = `api.example.com {
	oauth {
		resource https://api.example.com/mcp
		issuer https://issuer.example {
			audience api
			jwks /etc/caddy/issuer.jwks.json
		}
		require scope admin
		require acr silver gold
		require max_age 5m
		require /pay/* acr gold
	}
	reverse_proxy orders:8080
}
`

func TestExplainTellsWhatIsWrongWithALogIn(t *testing.T) {
	f := explainFlags{config: configFile(t, stepUpConfig), adapter: "caddyfile"}
	const both, aud = `"aud":["api","https://api.example.com/mcp"]`, `"aud":"api"`
	for _, row := range []struct {
		edits []string
		lines []string
	}{
		{[]string{aud, both, `"sub"`, `"acr":"bronze","auth_time":{now-60},"sub"`}, []string{
			"REFUSED acr_insufficient: require acr (RFC 9470 §3)",
			"  answer   401 insufficient_user_authentication",
			`  because  require acr: "bronze"; expected: one of silver gold`,
			"  change   Client: send the user to log in again with acr_values",
			"ok   require max_age  auth_time 1m0s ago; expected: auth_time at most 5m0s ago, and the skew [RFC 9470 §3]",
			"if   require acr",
			"FAIL require scope",
		}},
		{[]string{aud, both, `"sub"`, `"acr":"gold","sub"`}, []string{
			"REFUSED login_too_old: require max_age (RFC 9470 §3)",
			"  because  require max_age: no claim auth_time; expected:",
		}},
		{[]string{aud, both, `"sub"`, `"acr":"silver","auth_time":{now-60},"sub"`, "orders:read", "admin"}, []string{
			"ACCEPTED",
			"Where the matcher fits, the answer is 401. Client: send the user",
		}},
		{[]string{`"sub"`, `"acr":"gold","auth_time":{now-60},"sub"`}, []string{
			"REFUSED wrong_audience: aud (",
			`expected: "https://api.example.com/mcp" (resource), and one of "api"`,
			"  change   Client: ask for a token with resource=https://api.example.com/mcp (RFC 8707).",
		}},
	} {
		_, out, err := explained(t, f, sign(t, "es256", row.edits...))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range row.lines {
			if !strings.Contains(out, line) {
				t.Errorf("%q: no line %q in\n%s", row.edits, line, out)
			}
		}
	}
}
