package caddyoauth_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// secretsOfOthers are in the inputs below, and nowhere else.
var secretsOfOthers = []string{"the-clients-secret", "a-cookie-secret", "the-password-of-redis", "the-password-of-sentinel", "a-signature-key"}

// convert runs "caddy oauth convert" with what a golden holds: variables of the
// environment, flags, and the lines of a file, by what a line begins with.
func convert(t *testing.T, input string) string {
	t.Helper()
	args, file := []string{"convert", "oauth2-proxy", "--"}, ""
	for line := range strings.Lines(input) {
		line = strings.TrimRight(line, "\n")
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(line, "OAUTH2_PROXY_") {
			t.Setenv(name, value)
		} else if strings.HasPrefix(line, "--") {
			args = append(args, line)
		} else {
			file += line + "\n"
		}
	}
	if strings.TrimSpace(file) != "" {
		path := filepath.Join(t.TempDir(), "oauth2-proxy.cfg")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config="+path)
	}
	cmd := &cobra.Command{Use: "oauth", SilenceUsage: true}
	caddycmd.Commands()["oauth"].CobraFunc(cmd)
	var out, problems strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&problems)
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil || problems.Len() > 0 {
		t.Fatal(err, problems.String())
	}
	return out.String()
}

// Each file in testdata/goldens/convert holds what oauth2-proxy was told, and the
// Caddyfile that comes of it.
func TestAConfigurationOfOAuth2ProxyBecomesACaddyfileThatProvisions(t *testing.T) {
	files, err := filepath.Glob("testdata/goldens/convert/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatal(len(files), err)
	}
	t.Setenv("OAUTH_SESSION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			input, want, _ := strings.Cut(read(t, file), goldenMark)
			got := convert(t, input)
			for _, secret := range secretsOfOthers {
				if strings.Contains(got, secret) {
					t.Errorf("%s is shown", secret)
				}
			}
			if formatted := string(caddyfile.Format([]byte(got))); formatted != got {
				t.Errorf("it is not as \"caddy fmt\" writes it: %s", formatted)
			}
			for _, name := range []string{"CLIENT_SECRET", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"} {
				if os.Getenv("OAUTH2_PROXY_"+name) == "" {
					t.Setenv("OAUTH2_PROXY_"+name, "as the comment says")
				}
			}
			config, _, err := adaptFile(got)
			if err != nil {
				t.Fatalf("%v in\n%s", err, got)
			}
			validate(t, config)
			compare(t, file, input, strings.TrimSpace(got), strings.TrimSpace(want))
		})
	}
}
