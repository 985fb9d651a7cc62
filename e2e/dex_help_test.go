package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// dex is a Dex that starts at once and knows its clients by then, so each test
// has one of its own.
type dex struct {
	desk *desk
	url  string // the issuer
	proc *process
}

const dexPassword = "a password"

// runDex serves the recipe of docs/issuers/dex.md, changed by pairs, for a browser
// at the gateway of this address.
func runDex(t *testing.T, gateway string, pairs ...string) *dex {
	t.Helper()
	return runDexBelow(t, "/dex", gateway, pairs...)
}

// runDexBelow is the same with another path of the issuer's address.
func runDexBelow(t *testing.T, path, gateway string, pairs ...string) *dex {
	t.Helper()
	built, port, home := builtServer(t, "dex"), freePort(t), t.TempDir()
	d := &dex{desk: openDesk(at(port))}
	d.url = d.desk.url + path
	hash, err := bcrypt.GenerateFromPassword([]byte(dexPassword), bcrypt.MinCost+6)
	if err != nil {
		t.Fatal(err)
	}
	said := change(t, recipeOf(t, "issuers/dex.md", "yaml", "staticClients"), append([]string{
		"https://dex.example.com/dex", d.url, "https://app.example.com", gateway,
		"oauth2:\n", "oauth2:\n  passwordConnector: local\n",
	}, pairs...)...)
	writeFile(t, home, "dex.yml", said+fmt.Sprintf(`
storage: {type: memory}
web: {http: 127.0.0.1:%d}
logger: {level: warn}
enablePasswordDB: true
staticPasswords:
  - {email: alice@example.com, username: alice, userID: alice, hash: '%s', groups: [staff]}
  - {email: bob@example.com, username: bob, userID: bob, hash: '%s'}
`, port, hash, hash))
	d.proc = startProcess(t, home, nil, built, "serve", filepath.Join(home, "dex.yml"))
	await(t, 30*time.Second, "Dex to be ready", func() bool {
		select {
		case <-d.proc.done:
			t.Fatalf("Dex has ended:\n%s", tail(d.proc.out.String(), 20))
		default:
		}
		a, err := try(plainClient, at(port)+path+"/.well-known/openid-configuration", "")
		return err == nil && a.status == http.StatusOK
	})
	return d
}

// person types an e-mail address and the password.
func (d *dex) person(t *testing.T, name string) *guest {
	return newGuest(t, map[string]string{"login": name + "@example.com", "password": dexPassword})
}

// token is one of a user, by the user's password.
func (d *dex) token(t *testing.T, user string) string {
	t.Helper()
	return askToken(t, d.url+"/token", "orders-app", "change-me", url.Values{
		"grant_type": {"password"}, "username": {user + "@example.com"}, "password": {dexPassword}, "scope": {"openid email groups"},
	})
}

// site is the recipe for browsers as the page has it, with a Dex.
func dexSite(t *testing.T, pairs ...string) (*dex, *gateway) {
	t.Helper()
	g := newGateway(t)
	d := runDex(t, g.url(""), pairs...)
	g.serve(change(t, recipeOf(t, "issuers/dex.md", "caddyfile", "login {"),
		"app.example.com", g.url(""), "https://dex.example.com/dex", d.url, "orders:8080", startUpstream(t).address(),
		"{$DEX_SECRET:change-me}", "change-me"))
	return d, g
}
