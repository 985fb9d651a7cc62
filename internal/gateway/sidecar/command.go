// Package sidecar is "caddy oauth sidecar": environment variables as a
// configuration, for a container beside an application.
package sidecar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
)

func init() { command.Register(newCommand) }

const help = `
Runs the gateway in front of UPSTREAM, configured by the environment alone:
for a container beside a service. It needs OAUTH_ISSUER, OAUTH_AUDIENCE and
UPSTREAM; docs/sidecar.md lists all variables. Whatever is wrong with them is
told at once, and nothing is started then.

SIGTERM and SIGINT end it gracefully. SIGUSR1 has it read the files again that
variables name (…_FILE).
`

// newCommand makes "caddy oauth sidecar".
func newCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:          "sidecar [--print]",
		Short:        "Runs the gateway, configured by the environment",
		Long:         strings.TrimSpace(help),
		Args:         command.NoArguments,
		SilenceUsage: true,
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the configuration, without secrets, and run nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		doc, err := configOf(os.Environ(), os.ReadFile)
		switch {
		case err != nil:
			cmd.SilenceErrors = true
			cmd.PrintErrln("caddy oauth sidecar: the environment is wrong:")
			cmd.PrintErrln("  " + strings.ReplaceAll(err.Error(), "\n", "\n  "))
			return err
		case show:
			return printConfig(cmd.OutOrStdout(), doc)
		}
		return run(doc)
	}
	return cmd
}

func printConfig(to io.Writer, doc json.RawMessage) error {
	var all any
	from := json.NewDecoder(bytes.NewReader(doc))
	from.UseNumber() // durations in nanoseconds, unrounded
	if err := from.Decode(&all); err != nil {
		return err
	}
	text := json.NewEncoder(to)
	text.SetEscapeHTML(false) // sub>X-User-Id is for people
	text.SetIndent("", "  ")
	return text.Encode(all)
}

// run is "caddy run" with a configuration that was made here. It ends
// by a signal, or when the configuration cannot be started.
func run(doc json.RawMessage) error {
	caddy.TrapSignals()
	log, standard, _ := caddy.BufferedLog() // until the configuration says where to and how much
	defer caddy.UnbufferDefaultLogger(standard)
	// Go keeps to the container's processors by itself, and not to its memory.
	if _, err := memlimit.Set(memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithLogger(slog.New(slog.DiscardHandler))); err != nil && !errors.Is(err, memlimit.ErrNoLimit) {
		log.Debug("the container's memory limit is not known", zap.Error(err))
	}
	caddy.SetLastConfig("the environment", "sidecar", func(string, string) error {
		doc, err := configOf(os.Environ(), os.ReadFile)
		if err != nil {
			return err
		}
		return caddy.Load(doc, true)
	})
	if err := caddy.Load(doc, true); err != nil {
		return fmt.Errorf("starting the sidecar: %w", err)
	}
	caddy.Log().Info("the sidecar is running")
	select {}
}
