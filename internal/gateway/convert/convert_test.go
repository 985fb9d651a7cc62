package convert

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const hiddenText = "a secret that nobody may see"

func TestAFlagCountsBeforeTheEnvironmentAndThatBeforeTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "oauth2-proxy.cfg")
	text := "client_id = \"file\"\nscope = \"file\"\nprompt = \"file\"\nemail_domains = [\"a.example\", \"b.example\"]\ncookie_secure = false\nlogging_max_age = 3\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := read([]string{"--config", file, "--client-id=flag", "--upstream=http://a,http://b", "--upstream", "http://c", "--reverse-proxy", "--pass-user-headers=false"},
		[]string{"OAUTH2_PROXY_CLIENT_ID=environment", "OAUTH2_PROXY_SCOPE=environment", "PATH=/", "OAUTH2_PROXY_PROMPT="})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"client-id": "flag", "scope": "environment", "prompt": "file", "email-domain": "a.example b.example", "cookie-secure": "false",
		"upstream": "http://a http://b http://c", "reverse-proxy": "true", "pass-user-headers": "false", "logging-max-age": "3",
	} {
		if got := strings.Join(all.list(name), " "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestWhatCannotBeReadIsAnErrorThatShowsNoValue(t *testing.T) {
	for name, row := range map[string]struct {
		flags []string
		file  string
		want  string
	}{
		"an unknown flag":        {[]string{"--no-such-flag=" + hiddenText}, "", `--"no-such-flag" is none of`},
		"one with a single dash": {[]string{"-client-secret=" + hiddenText}, "", "which begin with --"},
		"a space before a value": {[]string{"--client-secret=", hiddenText}, "", "argument 2 is no flag"},
		"a value that is gone":   {[]string{"--client-secret"}, "", "has no value"},
		"a flag that is none":    {[]string{"--reverse-proxy=" + hiddenText}, "", "true or false"},
		"alpha":                  {[]string{"--alpha-config=x.yaml"}, "", "another language"},
		"no TOML":                {nil, "client_secret = \"x\"\nclient_secret " + hiddenText, "in line 2"},
		"twice":                  {nil, "client_secret = \"" + hiddenText + "\"\nclient_secret = \"" + hiddenText + "\"", "in line 2"},
		"a table":                {nil, "[client_secret]\nx = \"" + hiddenText + "\"", "client_secret: not a text"},
		"a list of lists":        {nil, "upstreams = [[\"" + hiddenText + "\", \"x\"]]", "upstreams: not a list"},
		"a control character":    {nil, "client_id = \"a\\nb " + hiddenText + "\"", "control character"},
	} {
		flags := row.flags
		if row.file != "" {
			file := filepath.Join(t.TempDir(), "oauth2-proxy.cfg")
			if err := os.WriteFile(file, []byte(row.file), 0o600); err != nil {
				t.Fatal(err)
			}
			flags = append(flags, "--config="+file)
		}
		_, err := read(flags, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), hiddenText) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

// No option of another's is left out, and the page has the same words.
// A text may be a list. What is an entry of one already is not taken apart: of a route
// with a comma in it two other ones would come, which are open as well.
func TestAnEntryOfAListIsOneWhateverIsInIt(t *testing.T) {
	const route = "^/[a-z]{2,}$"
	for text, want := range map[string][]string{`["` + route + `"]`: {route}, `"/a,/b"`: {"/a", "/b"}} {
		all := settings{set: map[string]*setting{}}
		if err := all.readTOML("skip_auth_routes = "+text, "x"); err != nil {
			t.Fatal(err)
		}
		if got := all.list("skip-auth-route"); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// What oauth2-proxy keeps out by default is kept out.
func TestWhatIsNotSaidIsAsClosedAsThere(t *testing.T) {
	const login = "--provider=oidc --oidc-issuer-url=https://login.example.com --client-id=app --email-domain=* "
	for name, row := range map[string]struct{ flags, has, lacks string }{
		"an unverified address":            {"--upstream=http://127.0.0.1:1", "@unverified", ""},
		"one, where another proxy asks":    {"--upstream=static://202", "require claim email_verified true", ""},
		"one that may be":                  {"--upstream=http://127.0.0.1:1 --insecure-oidc-allow-unverified-email", "", "verified"},
		"a client's token":                 {"--upstream=http://127.0.0.1:1 --extra-jwt-issuers=https://robots.example.com=r", "", "audience"},
		"one that may be brought":          {"--upstream=http://127.0.0.1:1 --skip-jwt-bearer-tokens --extra-jwt-issuers=https://robots.example.com=r", "issuer https://robots.example.com", ""},
		"an address that a stranger tells": {"--upstream=http://127.0.0.1:1 --redirect-url=https://app.example.com/oauth2/callback", "trusted_proxies static 127.0.0.0/8 ::1", "private_ranges"},
		"another machine":                  {"--upstream=http://127.0.0.1:1 --http-address=localhost:4180", "bind 127.0.0.1", ""},
	} {
		all, err := read(strings.Fields(login+row.flags), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if text := all.caddyfile(); !strings.Contains(text, row.has) || row.lacks != "" && strings.Contains(text, row.lacks) {
			t.Errorf("%s: want %q and not %q in\n%s", name, row.has, row.lacks, text)
		}
	}
}

func TestThePageAboutMovingHasEachOption(t *testing.T) {
	text, err := os.ReadFile("../../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(options) != 168 {
		t.Errorf("%d options, oauth2-proxy 7.15.6 has 168", len(options))
	}
	for _, o := range options {
		row := fmt.Sprintf("| `--%s` | %s |\n", o.name, o.says)
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/migrate.md has no row\n%s", row)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add("client_id = \"app\"\nupstreams = [\"http://127.0.0.1:3000\"]", "--email-domain=example.com", "OAUTH2_PROXY_SCOPE=openid")
	f.Add("redirect_url = \"https://a/oauth2/callback\"\nreverse_proxy = true", "--skip-auth-route=GET=^/x{", "OAUTH2_PROXY_EMAIL_DOMAINS=*")
	f.Add("session_store_type = \"redis\"\nredis_connection_url = \"redis://u:p@[::1]:1/2\"", "--upstream=file:///x#/y", "OAUTH2_PROXY_TRUSTED_IPS=::/0")
	f.Fuzz(func(t *testing.T, file, flags, environment string) {
		all := &settings{set: map[string]*setting{}}
		if all.readTOML(file, "a file") != nil || all.readEnvironment(strings.Split(environment, "\n")) != nil {
			return
		}
		byFlag, _, err := readFlags(strings.Fields(flags))
		if err != nil {
			return
		}
		for name, one := range byFlag {
			all.set[name] = one
		}
		for _, o := range options {
			if o.kind == secret {
				all.set[o.name] = &setting{optionBy(func(other *option) bool { return other.name == o.name }), []string{"redis://x:" + hiddenText + "@h:1"}, "a file"}
			}
		}
		delete(all.set, "authenticated-emails-file") // which would be read
		if text := all.caddyfile(); strings.Contains(text, hiddenText) || strings.Count(text, "{") != strings.Count(text, "}") && !strings.ContainsAny(file+flags+environment, "{}") {
			t.Errorf("what came of it:\n%s", text)
		}
	})
}
