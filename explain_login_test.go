package caddyoauth

import "testing"

// A config with login needs a client, which explaining leaves out: then every
// token was answered with that, and with no verdict.
func TestAConfigWithLoginIsExplainedToo(t *testing.T) {
	config := configFile(t, "api.example {\noauth {\nissuer https://issuer.example {\naudience api\nclient gateway secret\n}\nlogin\n}\n}\n")
	if status, out, err := explained(t, explainFlags{config: config, adapter: "caddyfile"}, "a.b.c"); status != statusRefused || err != nil {
		t.Error(status, out, err)
	}
}
