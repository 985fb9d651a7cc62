package caddyoauth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Each file holds an environment and the configuration it makes, which must
// also provision.
func TestEachEnvironmentMakesItsConfiguration(t *testing.T) {
	files, err := filepath.Glob("testdata/goldens/sidecar/*.txt")
	if err != nil || len(files) < 3 {
		t.Fatal("no goldens", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			env, want, _ := strings.Cut(string(text), "\n----------\n")
			entries := strings.SplitSeq(strings.TrimSpace(env), "\n")
			for entry := range entries {
				name, value, _ := strings.Cut(entry, "=")
				seen[name] = true
				if strings.Contains(want, value) && (strings.HasSuffix(name, "_SECRET") || strings.HasSuffix(name, "_KEY")) {
					t.Errorf("%s shows %s", file, name)
				}
				t.Setenv(name, value)
			}
			status, shown, problems := oauthCommand(t, "", "sidecar", "--print")
			if status != 0 {
				t.Fatalf("%s: %s", file, problems)
			}
			if os.Getenv("UPDATE_SIDECAR") != "" {
				if err := os.WriteFile(file, []byte(strings.TrimSpace(env)+"\n----------\n"+shown), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if shown != want {
				t.Errorf("%s: got\n%swant\n%s", file, shown, want)
			}
			provisions(t, file, []byte(shown))
		})
	}
	page, err := os.ReadFile("docs/sidecar.md") // which names them all
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([A-Z_]+)`").FindAllStringSubmatch(string(page), -1)
	for _, row := range rows {
		if name := row[1]; !seen[name] && !seen[name+"_FILE"] {
			t.Errorf("no golden has %s", name)
		}
	}
	if len(rows) < 40 {
		t.Errorf("%d variables only", len(rows))
	}
}

func provisions(t *testing.T, file string, config json.RawMessage) {
	t.Helper()
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = json.RawMessage(fmt.Sprintf(`{"module":"file_system","root":%q}`, t.TempDir()))
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	if err := caddy.Validate(&cfg); err != nil {
		t.Errorf("%s does not provision: %v", file, err)
	}
}
