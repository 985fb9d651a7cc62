package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

func init() {
	command.Register(newCommand)
}

func newCommand() *cobra.Command {
	var of command.Config
	var issuer string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [--config <file> [--adapter <name>] | --issuer <url>] [--json]",
		Short: "Reaches the issuers and the store of a configuration and says what is amiss",
		Long: `Reaches each issuer of a configuration as the gateway would, and reports on
its metadata, keys, algorithms, clock, certificates and endpoints, and on what
is missing for the features that are configured. Where there is a resource, its
own metadata are read as clients read them. Where grants are kept, it looks at
their store. Nothing is changed, no grant is asked for, and no secret is
printed. With introspect the client's secret is sent to the introspection
endpoint, as the gateway sends it.

` + command.Rule + `

The exit status is 0 if nothing fails, 1 if something does, and 2 after a
mistake in the call or a configuration that cannot be read.`,
		Args:          command.NoArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gateways, doc, err := sitesOf(&of, issuer)
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			d, err := run(cmd.Context(), gateways, doc)
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			if err := d.print(cmd.OutOrStdout(), asJSON); err != nil {
				return command.Exit(cmd, 1, err)
			}
			if d.worst() == resultFail {
				return command.Exit(cmd, 1, errors.New("something fails; the lines above say what to do"))
			}
			return nil
		},
	}
	of.Flags(cmd, "The configuration", "Its adapter; a Caddyfile needs none")
	cmd.Flags().StringVar(&issuer, "issuer", "", "One issuer, instead of a configuration")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON")
	return cmd
}

// sitesOf are those of a configuration, with the whole of it, or a bare
// one for one issuer.
func sitesOf(of *command.Config, issuer string) (gateways []site, doc []byte, err error) {
	switch {
	case issuer != "" && *of != command.Config{}:
		return nil, nil, errors.New("--issuer stands instead of a configuration: it has no --config, --adapter or --address")
	case issuer != "":
		// The audience is not looked at here.
		bare := &config.Config{Issuer: []*issuers.Issuer{{URL: []string{issuer}, Audience: []string{"-"}}}}
		return []site{{Config: bare}}, nil, bare.Check()
	}
	if doc, err = of.Read(); err != nil {
		return nil, nil, err
	}
	gateways, err = sitesIn(doc)
	if err == nil && len(gateways) == 0 {
		err = errors.New("there is no oauth in this configuration")
	}
	return gateways, doc, err
}

// run looks at gateways, and at the configuration around them if there is
// one.
func run(ctx context.Context, gateways []site, whole []byte) (*doctor, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	inner, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	defer cancel()
	d := &doctor{ctx: ctx, caddy: inner, now: time.Now}
	if whole != nil {
		d.cuts = cutsAtReload(whole)
		if err := d.survey(whole); err != nil {
			return nil, err
		}
	}
	d.stored = slices.ContainsFunc(gateways, func(g site) bool { return g.Check() == nil && d.keeps(g.Config) })
	for _, g := range gateways {
		d.examine(g)
	}
	d.findings = withoutRepeats(d.findings)
	return d, nil
}

// withoutRepeats leaves out what is said again, of an issuer that stands in several
// sites.
func withoutRepeats(all []finding) (different []finding) {
	seen := map[finding]bool{}
	for _, one := range all {
		if !seen[one] {
			seen[one] = true
			different = append(different, one)
		}
	}
	return different
}

// print writes for people, or for programs.
func (d *doctor) print(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "\t")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(map[string]any{"result": d.worst(), "findings": d.findings})
	}
	var text strings.Builder
	issuer := ""
	for n, one := range d.findings {
		if one.Issuer != issuer || n == 0 {
			issuer = one.Issuer
			switch {
			case issuer != "":
				fmt.Fprintln(&text, command.Printable(issuer))
			case n > 0:
				fmt.Fprintln(&text, "the configuration")
			}
		}
		fmt.Fprintf(&text, "  %-4s  %-12s  %s\n", one.Result, one.Check, command.Printable(one.Text))
		if one.Do != "" {
			fmt.Fprintf(&text, "  %-4s  %-12s  -> %s\n", "", "", command.Printable(one.Do))
		}
	}
	_, err := fmt.Fprintf(w, "%s%s\n", &text, d.worst())
	return err
}
