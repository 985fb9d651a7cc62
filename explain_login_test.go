package caddyoauth

import (
	"strings"
	"testing"
	"time"
)

// A config with login needs a client, which explaining leaves out: then every
// token was answered with that, and with no verdict.
func TestAConfigWithLoginIsExplainedToo(t *testing.T) {
	config := configFile(t, "api.example {\noauth {\nissuer https://issuer.example {\naudience api\nclient gateway secret\n}\nlogin\n}\n}\n")
	if status, out, err := explained(t, explainFlags{config: config, adapter: "caddyfile"}, "a.b.c"); status != statusRefused || err != nil {
		t.Error(status, out, err)
	}
}

// A token is not all that is known of a session's user.
func TestExplainSaysWhatABrowsersSessionMayHaveBesideTheToken(t *testing.T) {
	issuer := newGrantor(t, nil)
	site := func(words string) string {
		return configFile(t, "api.example {\noauth {\nissuer "+issuer.URL+" {\naudience api\nclient gateway secret\n}\nlogin {\n"+words+"\n}\nrequire claim groups staff\n}\n}\n")
	}
	for name, row := range map[string]struct{ words, token, says string }{
		"claims that count":     {"claims id_token userinfo", issuer.access("alice"), "also has the claims of id_token and userinfo"},
		"claims that could":     {"", issuer.access("alice"), "claims id_token userinfo in login has it count"},
		"marks of an ID token":  {"", issuer.access("alice", map[string]any{"nonce": "n"}), "may stand behind a browser's session"},
		"a token that has them": {"", issuer.access("alice", map[string]any{"groups": "staff"}), "ACCEPTED"},
	} {
		_, out, err := explained(t, explainFlags{config: site(row.words), adapter: "caddyfile", at: time.Now().UTC().Format(time.RFC3339)}, row.token)
		if err != nil || !strings.Contains(strings.Join(strings.Fields(out), " "), row.says) {
			t.Errorf("%s: no %q in %s, %v", name, row.says, out, err)
		}
	}
}
