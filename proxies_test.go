package caddyoauth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/proxies"
)

const countingSite = `http://127.0.0.1:%d {
	oauth {
		issuer https://issuer.example {
			audience api
			jwks testdata/keys/issuer.jwks.json
			%s
		}
	}
}
`

// A proxy adds to the X-Forwarded-For that the client sent, and without the
// second word Caddy believes what stands at the client's end of it.
func TestTrustedProxiesThatAreNotStrictAreWarnedOfWhereLimitsCountByAddress(t *testing.T) {
	t.Cleanup(func() { _ = caddy.Stop() })
	const introspect = "client gateway a-secret\nintrospect http://127.0.0.1:1/introspect"
	for _, row := range []struct{ servers, words, want string }{
		{"trusted_proxies static 127.0.0.1/32", introspect, "warn"},
		{"trusted_proxies static 127.0.0.1/32\ntrusted_proxies_strict", introspect, "ok"},
		{"trusted_proxies static 127.0.0.1/32", "", ""},
		{"protocols h1", introspect, ""},
	} {
		log := filepath.Join(t.TempDir(), "log")
		text := fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\nstorage file_system %s\nlog {\noutput file %s\n}\nservers {\n%s\n}\n}\n", storageDir(t), log, row.servers) +
			fmt.Sprintf(countingSite, freePort(t), row.words) + fmt.Sprintf(countingSite, freePort(t), row.words)
		load(t, text)
		lines, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if n := strings.Count(string(lines), proxies.Loose); n != map[string]int{"warn": 2}[row.want] { // one for each server
			t.Errorf("%q %q: %d warnings", row.servers, row.words, n)
		}
		got := ""
		for _, one := range examinedWhole(t, text).Findings {
			if one.Check == "proxies" {
				got = one.Result
			}
		}
		if got != row.want {
			t.Errorf("%q %q: the doctor says %q", row.servers, row.words, got)
		}
	}
}
