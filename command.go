package caddyoauth

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "oauth",
		Usage: "<command>",
		Short: "Operates the OAuth gateway",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			for _, build := range subcommands {
				cmd.AddCommand(build())
			}
		},
	})
}

// subcommands of "caddy oauth". Each file of one adds its own.
var subcommands []func() *cobra.Command
