package caddyoauth

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// oauthCommand runs "caddy oauth <args>" in this process.
func oauthCommand(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := &cobra.Command{Use: "oauth", SilenceUsage: true}
	caddycmd.Commands()["oauth"].CobraFunc(cmd)
	var out, problems bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&problems)
	cmd.SetArgs(args)
	cmd.SetContext(t.Context())
	if err := cmd.Execute(); err != nil {
		status = 1 // as Caddy exits, unless it is told another
		if code := reflect.Indirect(reflect.ValueOf(err)); code.Kind() == reflect.Struct && code.FieldByName("ExitCode").IsValid() {
			status = int(code.FieldByName("ExitCode").Int())
		}
	}
	return status, out.String(), problems.String()
}
