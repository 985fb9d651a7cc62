// Package command is "caddy oauth": the parent of its commands, their exit
// statuses, and text that is safe to print.
package command

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
				return Exit(cmd, Misused, fmt.Errorf("unknown command %q; see caddy oauth --help", args[0]))
			}
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			// Also of the commands below it.
			cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return Exit(cmd, Misused, err) })
			for _, build := range subcommands {
				cmd.AddCommand(build())
			}
		},
	})
}

var subcommands []func() *cobra.Command

// Register puts a command under "caddy oauth". It is called by init functions.
func Register(build func() *cobra.Command) { subcommands = append(subcommands, build) }

// Misused is the exit status of a command that was called wrongly.
const Misused = 2

// NoArguments refuses arguments as a mistake in the call.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Exit(cmd, Misused, fmt.Errorf("unknown argument %q", args[0]))
	}
	return nil
}

// Exit tells an error on stderr and ends a command with this status. No
// error ends it well.
func Exit(cmd *cobra.Command, status int, err error) error {
	if err == nil {
		return nil
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.PrintErrln(cmd.CommandPath() + ": " + err.Error())
	if status < Misused {
		return err // Caddy exits with 1
	}
	// Only Caddy can make the error that its main function reads a status from.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
}

// Printable keeps what strangers wrote from telling a terminal what to do, and in
// one column.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}
