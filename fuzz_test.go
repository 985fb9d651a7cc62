package caddyoauth

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Whatever stands in the block, adapting it does not panic, and what adapts
// provisions, or says why not, without a network.
func FuzzCaddyfile(f *testing.F) {
	for _, body := range []string{
		"", "strip_token", "realm \"a b\"\ncache 0", "issuer https://b.example {\naudience x y\nskew 5s\ntoken_type at+jwt\n}",
		"issuer https://b.example {\njwks testdata/keys/issuer.jwks.json\naudience x\n}", "issuer {env.X} {\naudience {$Y}\n}",
		"issuer http://b.example https://b.example {\ninsecure_http\ninsecure_any_audience\nalgorithms ES256 Ed25519\n}",
		"require scope a b\nrequire /x/* claim a.b c d\nrequire @m scope x", "credentials header X-A\ncredentials cookie c\ncredentials query q",
		"copy_claims sub>X-A b.c\nlist_claims a b\nallow_anonymous", "issuer https://b.example {\naudience a\ntrust_pool file testdata/keys/ca.crt\n}",
		"require {\n}", "issuer {", "}", "realm a {\nb\n}", "issuer https://b.example/%zz { audience \"\" }",
	} {
		f.Add(body)
	}
	ctx := testContext(f)
	f.Fuzz(func(t *testing.T, body string) {
		// These reach beyond what is tested here: other files, and Caddy's own
		// modules that may dial.
		if regexp.MustCompile(`import|trust_pool\s+(\S*[^f\s]\S*|f)\b|/dev/|/proc/`).MatchString(strings.ReplaceAll(body, "trust_pool file ", "")) {
			t.Skip()
		}
		config, err := adapt(":80 {\n@m method POST\noauth https://issuer.example api {\n" + body + "\n}\n}\n")
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		var doc any
		if err := json.Unmarshal(config, &doc); err != nil {
			t.Fatal("it adapts to what is no JSON: ", err)
		}
		for _, raw := range findOauth(doc) {
			g := new(Gateway)
			if err := caddy.StrictUnmarshalJSON(raw, g); err != nil {
				t.Fatal("it adapts to what is no gateway: ", err)
			}
			inner, cancel := caddy.NewContext(ctx)
			_ = g.Provision(inner)
			for _, require := range g.Require {
				if len(require.Scope) == 0 && require.Claim == "" {
					t.Error("a requirement of nothing")
				}
			}
			_ = g.Cleanup()
			cancel()
		}
	})
}

func findOauth(doc any) (found []json.RawMessage) {
	switch doc := doc.(type) {
	case map[string]any:
		if doc["handler"] == "oauth" {
			delete(doc, "handler")
			raw, _ := json.Marshal(doc)
			return []json.RawMessage{raw}
		}
		for _, v := range doc {
			found = append(found, findOauth(v)...)
		}
	case []any:
		for _, v := range doc {
			found = append(found, findOauth(v)...)
		}
	}
	return found
}
