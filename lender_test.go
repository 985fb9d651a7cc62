package caddyoauth

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Each site is "<name> <server> <client> <secret>", the newest one last; the
// grant began at the first line's, and want is who lends, or an error.
func TestTheSettingsThatAGrantBeganUnderAreFoundAgain(t *testing.T) {
	for name, c := range map[string]struct {
		began   string
		running bool
		sites   []string
		want    string
	}{
		"its site, whoever came later":                 {"a X me s", false, []string{"a X me s", "b X me s"}, "a X me s"},
		"its site, with a new secret":                  {"a X me s", false, []string{"a X me s2", "b X me s"}, "a X me s2"},
		"its site, with another server":                {"a X me s", false, []string{"a Y me s", "b X me s"}, "a Y me s"},
		"its site's old configuration, while it lasts": {"a X me s", false, []string{"a X me s", "a X me s2"}, "a X me s"},
		"its site, as another client":                  {"a X me s", false, []string{"a X you s", "b Y me s"}, errNoLender.Error()},
		"one with the same secret":                     {"a X me s", false, []string{"b X me s", "c X me s2"}, "b X me s"},
		"the only secret that there is":                {"a X me s", false, []string{"b X me s2", "c X me s2"}, "c X me s2"},
		"nobody, of those with other secrets":          {"a X me s", false, []string{"b X me s2", "c X me s3"}, errLenders.Error()},
		"nobody, of those that mean another server":    {"a X me s", false, []string{"b Y me s", "c Z me s"}, errNoLender.Error()},
		"whatever the secret, to run again":            {"a X me s", true, []string{"b X me s2", "c Y me s", "d X you s3"}, "d X you s3"},
		"nobody of another server, to run again":       {"a X me s", true, []string{"c Y me s"}, errNoLender.Error()},
		"the newest, for a grant of before":            {"- - me -", false, []string{"a X me s", "b Y me s2", "c Y you s"}, "b Y me s2"},
		"the newest, to run one of before again":       {"- - - -", true, []string{"a X me s", "c Y you s"}, "c Y you s"},
		"no site has the name of none":                 {"- X me s", false, []string{"- Y me s"}, errNoLender.Error()},
	} {
		v := new(vault)
		trustOf := func(text string) (*trust, string) {
			words := strings.Fields(strings.ReplaceAll(text, "-", `""`))
			for n := range words {
				words[n] = strings.Trim(words[n], `"`)
			}
			return &trust{
				authority: &authority{server: new(as.Server)}, reach: words[1],
				client: &as.Client{ID: words[2], Secret: secret.New(words[3])},
			}, words[0]
		}
		var trusts []*trust
		for _, site := range c.sites {
			found, at := trustOf(site)
			trusts = append(trusts, found)
			v.keepers = append(v.keepers, &Keeper{site: at, issuers: &Set{byIssuer: map[string]*trust{"https://issuer": found}}})
		}
		began, at := trustOf(c.began)
		from, kind := Origin{Client: began.client.ID, Server: began.reach, Site: at}, session.ByRefreshToken
		if from.Server != "" {
			from.Proof = began.client.Print()
		}
		if c.running {
			from, kind = Origin{Server: began.reach, Site: at}, session.ByRunningAgain
		}
		found, err := v.lender(&session.Grant{Kind: kind, Issuer: "https://issuer", App: from.Seal()})
		got := ""
		if n := slices.Index(trusts, found); n >= 0 {
			got = c.sites[n]
		}
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
