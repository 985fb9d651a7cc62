// Package convert is "caddy oauth convert": a Caddyfile made of another proxy's
// configuration, with a comment for whatever has no counterpart.
package convert

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
)

func init() {
	command.Register(newCommand)
}

// from is what is converted.
const from = "oauth2-proxy"

func newCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "convert oauth2-proxy [-- <flags of oauth2-proxy>]",
		Short: "Makes a Caddyfile of the configuration of oauth2-proxy",
		Long: `Reads what oauth2-proxy 7.15 would read: the flags behind "--", the file that
its flag --config names, and the variables OAUTH2_PROXY_... of the environment.
Writes a Caddyfile, with a comment for each option that has no counterpart, and
for what is to be looked at. Secrets are never printed: placeholders such as
{env.OAUTH2_PROXY_CLIENT_SECRET} stand for them.

	caddy oauth convert oauth2-proxy -- --config /etc/oauth2-proxy.cfg > Caddyfile

The exit status is 0 once the Caddyfile is written, and 2 where an option cannot
be read.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] != from || len(args) > 1 && cmd.ArgsLenAtDash() != 1 {
				return command.Exit(cmd, command.Misused, errors.New("name what is to be converted, and its flags behind --: caddy oauth convert oauth2-proxy -- --config <file>"))
			}
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := read(args[1:], os.Environ())
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), all.caddyfile())
			return command.Exit(cmd, 1, err)
		},
	}
}
