package grants

import (
	"slices"
	"strings"
	"testing"
)

// Each site is "<name> <server> <client> <secret>", the newest one last; the
// grant began at the first line's, and want is whose settings count, or an error.
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
		"its site, as another client":                  {"a X me s", false, []string{"a X you s", "b Y me s"}, errNoIssuer.Error()},
		"one with the same secret":                     {"a X me s", false, []string{"b X me s", "c X me s2"}, "b X me s"},
		"the only secret that there is":                {"a X me s", false, []string{"b X me s2", "c X me s2"}, "c X me s2"},
		"none, of those with other secrets":            {"a X me s", false, []string{"b X me s2", "c X me s3"}, errSecrets.Error()},
		"none, of those that mean another server":      {"a X me s", false, []string{"b Y me s", "c Z me s"}, errNoIssuer.Error()},
		"whatever the secret, to run again":            {"a X me s", true, []string{"b X me s2", "c Y me s", "d X you s3"}, "d X you s3"},
		"none of another server, to run again":         {"a X me s", true, []string{"c Y me s"}, errNoIssuer.Error()},
		"the newest, for a grant of before":            {"- - me -", false, []string{"a X me s", "b Y me s2", "c Y you s"}, "b Y me s2"},
		"the newest, to run one of before again":       {"- - - -", true, []string{"a X me s", "c Y you s"}, "c Y you s"},
		"no site has the name of none":                 {"- X me s", false, []string{"- Y me s"}, errNoIssuer.Error()},
	} {
		read := func(text string) candidate {
			words := strings.Fields(strings.ReplaceAll(text, "-", `""`))
			for n := range words {
				words[n] = strings.Trim(words[n], `"`)
			}
			return candidate{site: words[0], server: words[1], client: words[2], proof: words[3]}
		}
		var all []candidate
		for _, site := range slices.Backward(c.sites) {
			all = append(all, read(site))
		}
		began := read(c.began)
		from := Origin{Server: began.server, Site: began.site}
		if !c.running {
			from.Client = began.client
		}
		if !c.running && from.Server != "" {
			from.Proof = began.proof
		}
		got := ""
		found, err := choose(from, !c.running, all)
		if err != nil {
			got = err.Error()
		}
		for n, site := range c.sites {
			if found == &all[len(all)-1-n] {
				got = site
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
