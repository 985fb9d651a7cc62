package issuers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
)

// What a name or an address changes of what a token means makes another issuer in
// pool and storage; who can be asked with a grant's secrets another server.
func TestANameOrAnEndpointMakesAnotherIssuerAndATokenEndpointAnotherServer(t *testing.T) {
	const url = "https://a.example"
	mark := func(change func(*Issuer)) (fingerprint, reach string) {
		t.Helper()
		i := &Issuer{URL: []string{url}, Audience: []string{"api"}}
		change(i)
		set, err := i.Resolve(gatewaytest.Context(t), caddy.NewReplacer())
		if err != nil {
			t.Fatal(err)
		}
		return i.fingerprint(url, set), reachOf(url, set, i.InsecureHTTP)
	}
	plain, plainReach := mark(func(*Issuer) {})
	for word, row := range map[string]struct {
		change        func(*Issuer)
		issuer, reach bool // another one
	}{
		"access_token_issuer":    {func(i *Issuer) { i.AccessTokenIssuer = "https://b.example" }, true, false},
		"token_endpoint":         {func(i *Issuer) { i.TokenEndpoint = "https://b.example/t" }, true, true},
		"userinfo_endpoint":      {func(i *Issuer) { i.UserinfoEndpoint = "https://b.example/u" }, true, true},
		"authorization_endpoint": {func(i *Issuer) { i.AuthorizationEndpoint = "https://b.example/a" }, true, false},
		"bearer_token_file":      {func(i *Issuer) { i.BearerTokenFile = "/token" }, true, false},
		"client_id_as_audience":  {func(i *Issuer) { i.ClientIDAsAudience = true }, false, false},
	} {
		issuer, reach := mark(row.change)
		if (issuer != plain) != row.issuer || (reach != plainReach) != row.reach {
			t.Errorf("%s: another issuer %t, another server %t", word, issuer != plain, reach != plainReach)
		}
	}
}

func TestAFileWithoutATokenIsNamedAndItsContentIsNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{"pod-token\n": "pod-token", "": "", "\n": "", "two words": "", "a\nb": "", strings.Repeat("x", mostBearer+1): ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readBearer(file)
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %q, %v", content, got.Reveal(), err)
		}
		if err != nil && (!strings.Contains(err.Error(), file) || content != "" && strings.Contains(err.Error(), "two words")) {
			t.Error(err)
		}
	}
	if _, err := readBearer(file + ".gone"); err == nil || !strings.Contains(err.Error(), "bearer_token_file") {
		t.Error(err)
	}
}
