package caddyoauth

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oauth",
		Usage: "<command>",
		Short: "Operates the OAuth gateway",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return nil
				}
				return exitWith(cmd, exitUsage, fmt.Errorf("unknown command %q; see caddy oauth --help", args[0]))
			}
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			// Also of the commands below it.
			cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return exitWith(cmd, exitUsage, err) })
			for _, build := range subcommands {
				cmd.AddCommand(build())
			}
		},
	})
}

// subcommands of "caddy oauth". Each file of one adds its own.
var subcommands []func() *cobra.Command
