package caddyoauth

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheDoctorSaysWhatBecomesOfOpenConnections(t *testing.T) {
	issuer := newGrantor(t, nil)
	site := func(words, proxy string) string {
		return fmt.Sprintf("oauth %s api {\ntoken_endpoint /token\nsession {\nstore memory\n}\nstreams {\n%s\n}\n}\nreverse_proxy 127.0.0.1:1 {\n%s\n}", issuer.URL, words, proxy)
	}
	const cut = "without stream_close_delay"
	examined(t, site("on_expiry keep", "")).wants(t, "warn settings: outlives its access token")
	examined(t, site("on_renewal /renewed", "")).wants(t, "ok settings: the upstream is told at /renewed")
	examined(t, site("close_code 4401", "")).wants(t, "warn settings: "+cut)
	for _, one := range examined(t, site("close_code 4401", "stream_close_delay 8h")).Findings {
		if strings.Contains(one.Text, cut) {
			t.Errorf("nothing is cut: %+v", one)
		}
	}
}

func TestExplainTellsWhatBecomesOfAConnectionThatStaysOpen(t *testing.T) {
	for words, want := range map[string]string{
		"close_code 4401": "a WebSocket with the code 4401",
		"on_expiry keep":  "goes on when it has run out",
	} {
		config := fmt.Sprintf(`api.example.com {
	oauth {
		issuer https://issuer.example {
			audience api
			jwks /etc/caddy/issuer.jwks.json
		}
		streams {
			%s
		}
	}
	reverse_proxy orders:8080
}
`, words)
		_, out, err := explained(t, explainFlags{config: configFile(t, config), adapter: "caddyfile"}, sign(t, "es256"))
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s%v", words, want, out, err)
		}
	}
}
