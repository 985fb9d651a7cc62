// Package grantlist is "caddy oauth grants": the grants of a running Caddy, listed
// and ended by its admin endpoint.
package grantlist

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
)

func init() {
	command.Register(newCommand)
}

// wish is what the flags say.
type wish struct {
	of              command.Config
	issuer, subject string
	state, store    string
	after           string
	limit           int
	all, asJSON     bool
}

const where = `The admin endpoint is that of --address, else what the configuration names
(--config, else the Caddyfile here), else localhost:2019.`

func newCommand() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "grants [--issuer <url> --subject <subject>] [--state <state>] [--all] [--json]",
		Short: "Lists the grants of a running gateway, and ends some",
		Long: `Asks the admin endpoint of a running Caddy for the grants that it keeps: each
with its name in the logs (sref), state, why it ended, how often it was
refreshed, and times. Nothing of it is secret, and nothing says whose it is.

Without --all there are --limit of them at most, and where there are more, it
says with which --after to go on. Of one --subject of an --issuer they are found
at once, however many others there are; by --state all are looked at.

` + where + `

The exit status is 0 if all that was asked for is printed, 1 if the gateway
cannot be asked, and 2 after a mistake in the call.`,
		Args:          command.NoArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(); err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			endpoint, err := w.of.Endpoint()
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			return command.Exit(cmd, 1, w.list(endpoint, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&w.state, "state", "", "Only grants in this state: "+strings.Join(admin.States, ", "))
	cmd.Flags().StringVar(&w.store, "store", "", "Only grants of this store, as \"caddy oauth status\" names it")
	cmd.Flags().IntVar(&w.limit, "limit", 100, "How many to print at most")
	cmd.Flags().StringVar(&w.after, "after", "", "Go on after the page that ended there")
	cmd.Flags().BoolVar(&w.all, "all", false, "Print all of them")
	cmd.Flags().BoolVar(&w.asJSON, "json", false, "Print each grant as JSON, on a line of its own")
	cmd.AddCommand(newEnd())
	return cmd
}

func newEnd() *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use:   "end <sref>... | --issuer <url> --subject <subject>",
		Short: "Ends grants: some by their names in the logs, or all of one subject",
		Long: `Ends grants on every node: requests with what their clients hold are refused
from then on. The issuer is not told.

` + where + `

The exit status is 0 if all of them have ended, 1 if there was no such grant, or
the gateway cannot be asked, and 2 after a mistake in the call.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, srefs []string) error {
			if err := w.check(); err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			if (len(srefs) == 0) == (w.subject == "") || slices.ContainsFunc(srefs, func(s string) bool { return url.PathEscape(s) != s || s == "" }) {
				return command.Exit(cmd, command.Misused, errors.New("name grants by their sref, or --issuer and --subject"))
			}
			endpoint, err := w.of.Endpoint()
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			if w.subject != "" {
				return command.Exit(cmd, 1, w.endSubject(endpoint, cmd.OutOrStdout()))
			}
			return command.Exit(cmd, 1, endNamed(endpoint, srefs, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	w.flags(cmd)
	return cmd
}

func (w *wish) flags(cmd *cobra.Command) {
	w.of.Flags(cmd, "A configuration that names the admin endpoint", "The adapter of that configuration")
	cmd.Flags().StringVar(&w.issuer, "issuer", "", "The issuer of --subject")
	cmd.Flags().StringVar(&w.subject, "subject", "", "Only grants of this subject, as the access token names it")
}

func (w *wish) check() error {
	switch {
	case (w.issuer == "") != (w.subject == ""):
		return errors.New("--issuer and --subject go together")
	case w.state != "" && !slices.Contains(admin.States, w.state):
		return fmt.Errorf("--state takes one of %s", strings.Join(admin.States, ", "))
	case w.limit < 0:
		return errors.New("--limit takes a number above zero")
	}
	return nil
}
