package caddyoauth

import (
	"fmt"
	"strconv"
	"strings"

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

var subcommands []func() *cobra.Command

// register puts a command under "caddy oauth". It is called by init functions.
func register(build func() *cobra.Command) { subcommands = append(subcommands, build) }

// exitUsage is the exit status of a command that was called wrongly.
const exitUsage = 2

// noArguments refuses arguments as a mistake in the call.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return exitWith(cmd, exitUsage, fmt.Errorf("unknown argument %q", args[0]))
	}
	return nil
}

// exitWith tells an error on stderr and ends a command with this status. No
// error ends it well.
func exitWith(cmd *cobra.Command, status int, err error) error {
	if err == nil {
		return nil
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.PrintErrln(cmd.CommandPath() + ": " + err.Error())
	if status < exitUsage {
		return err // Caddy exits with 1
	}
	// Only Caddy can make the error that its main function reads a status from.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
}

// printable keeps what strangers wrote from telling a terminal what to do, and in
// one column.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}
