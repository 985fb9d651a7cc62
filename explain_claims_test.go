package caddyoauth

import (
	"strings"
	"testing"
)

func TestExplainTellsWhichClaimAPathMet(t *testing.T) {
	const config = `api.example.com {
	oauth {
		issuer https://issuer.example {
			audience api
			client_id_as_audience
			jwks /etc/caddy/issuer.jwks.json
		}
		require claim kubernetes.io.namespace shop
		require claim groups staff
	}
	reverse_proxy orders:8080
}
`
	f := explainFlags{config: configFile(t, config), adapter: "caddyfile"}
	for _, row := range []struct{ edits, lines []string }{
		{[]string{`"sub"`, `"kubernetes.io":{"namespace":"shop"},"groups":["staff"],"sub"`}, []string{
			"ACCEPTED",
			`ok   require claim kubernetes.io.namespace "shop" at /kubernetes.io/namespace; expected: one of shop`,
			`ok   require claim groups "[staff]"; expected: one of staff`,
		}},
		{[]string{`"sub"`, `"kubernetes":{"io.namespace":"other"},"_claim_names":{"groups":"src1"},"sub"`}, []string{
			`FAIL require claim kubernetes.io.namespace "other" at /kubernetes/io.namespace`,
			"FAIL require claim groups no claim groups, and another place to ask for it (_claim_names, hasgroups)",
			`choose "Groups assigned to the application"`,
		}},
		{[]string{`"aud":"api"`, `"client_id":"other"`}, []string{
			"REFUSED wrong_audience: aud (",
			`no aud, and client_id is "other"; expected: one of "api", and as client_id, where there is no aud (client_id_as_audience)`,
		}},
		{[]string{"https://issuer.example", "https://adfs.corp.example/adfs/services/trust"}, []string{
			`change   Caddyfile: this is what AD FS calls itself in access tokens. Write access_token_issuer "https://adfs.corp.example/adfs/services/trust"`,
		}},
		{[]string{"https://issuer.example", "my-issuer"}, []string{`configure it as a name: issuer "my-issuer" with audience and jwks`}},
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
