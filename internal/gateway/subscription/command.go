// Package subscription is "caddy oauth signals": it shows, makes and changes the
// streams of security events that transmitters have for the gateways of a
// configuration (OpenID Shared Signals Framework 1.0 §8).
package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
)

func init() {
	command.Register(newCommand)
}

// actions are what the command does, and what it says then.
var actions = map[string]struct {
	do   func(ctx context.Context, r *signals.Receiver, endpoint string) error
	done string
	who  func(ctx context.Context, r *signals.Receiver, subject map[string]any) error // instead of do
}{
	"show":   {},
	"create": {do: func(ctx context.Context, r *signals.Receiver, to string) error { return r.Create(ctx, to) }, done: "made the stream"},
	"update": {do: func(ctx context.Context, r *signals.Receiver, to string) error { return r.Update(ctx, to) }, done: "changed the stream"},
	"verify": {do: func(ctx context.Context, r *signals.Receiver, _ string) error { return r.Verify(ctx) }, done: "asked for a verification event"},
	"enable": {do: func(ctx context.Context, r *signals.Receiver, _ string) error { return r.SetStatus(ctx, "enabled") }, done: "enabled the stream"},
	"pause":  {do: func(ctx context.Context, r *signals.Receiver, _ string) error { return r.SetStatus(ctx, "paused") }, done: "paused the stream"},
	"delete": {do: func(ctx context.Context, r *signals.Receiver, _ string) error { return r.Delete(ctx) }, done: "deleted the stream"},
	"add":    {who: func(ctx context.Context, r *signals.Receiver, of map[string]any) error { return r.AddSubject(ctx, of) }, done: "added the subject"},
	"remove": {who: func(ctx context.Context, r *signals.Receiver, of map[string]any) error {
		return r.RemoveSubject(ctx, of)
	}, done: "removed the subject"},
}

// flags are those of the command.
type flags struct {
	of     command.Config
	issuer string
	url    string
	who    string
	asJSON bool
}

func newCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "signals [show|create|update|verify|enable|pause|delete|add|remove] [--config <file>] [--issuer <url>] [--url <url>] [--subject <sub>] [--json]",
		Short: "Shows, makes and changes the streams of security events that transmitters send",
		Long: `Asks the transmitter of each signals block about the stream that it has for the
gateway (OpenID Shared Signals Framework), as the gateway does, and says what is
amiss. "create" makes the stream, "update" asks for the events that are known
here and for the delivery of the configuration, "verify" asks for a verification
event, "enable" and "pause" let it go on and hold it, "delete" ends it. "add" and
"remove" are for transmitters that tell only of those subjects that were added:
--subject names one. No secret is printed.

Where the transmitter posts its events it is told the address of the path push
at the site's host; --url names another.

` + command.Rule + `

The exit status is 0 if all went well, 1 if a transmitter says no, cannot be
asked, or something is amiss, and 2 after a mistake in the call or a
configuration that cannot be read.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			action := "show"
			switch {
			case len(args) == 1:
				action = args[0]
			case len(args) > 1:
				return command.Exit(cmd, command.Misused, fmt.Errorf("unknown argument %q", args[1]))
			}
			if _, known := actions[action]; !known {
				return command.Exit(cmd, command.Misused, fmt.Errorf("unknown argument %q; it takes show, create, update, verify, enable, pause, delete, add or remove", action))
			}
			if takes := actions[action].who != nil; takes != (f.who != "") {
				return command.Exit(cmd, command.Misused, errors.New("--subject is whom add and remove are about: they need it, and nothing else takes it"))
			}
			return f.run(cmd, action)
		},
	}
	f.of.Flags(cmd, "The configuration", "Its adapter; a Caddyfile needs none")
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "One issuer of the configuration. Default: each that has signals, for show; else there must be one")
	cmd.Flags().StringVar(&f.url, "url", "", "The URL where the transmitter is to post its events. Default: push at the site's host")
	cmd.Flags().StringVar(&f.who, "subject", "", `Whom add and remove are about: a sub of the issuer, or a subject as JSON: {"format": "email", …}`)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "Print JSON")
	return cmd
}

// within bounds what is done about one stream.
const within = 20 * time.Second

func (f *flags) run(cmd *cobra.Command, action string) error {
	doc, err := f.of.Read()
	if err != nil {
		return command.Exit(cmd, command.Misused, err)
	}
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	all, release, err := subscriptions(parent, doc, f.issuer)
	defer release()
	if err != nil {
		return command.Exit(cmd, command.Misused, err)
	}
	if len(all) > 1 && action != "show" {
		return command.Exit(cmd, command.Misused, errors.New("several issuers have signals: name one with --issuer"))
	}
	var reports []*signals.Report
	var failures []error
	for _, one := range all {
		ctx, cancel := context.WithTimeout(parent, within)
		report, err := f.act(ctx, cmd.OutOrStdout(), one, action)
		cancel()
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", one.issuer, err))
		}
		if report == nil {
			continue
		}
		reports = append(reports, report)
		if len(report.Amiss) > 0 {
			failures = append(failures, fmt.Errorf("%s: something is amiss with the stream", one.issuer))
		}
	}
	if f.asJSON {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		failures = append(failures, encoder.Encode(reports))
	}
	return command.Exit(cmd, 1, errors.Join(failures...))
}

// act does one thing, and shows the stream as it is then.
func (f *flags) act(ctx context.Context, out io.Writer, one subscription, action string) (*signals.Report, error) {
	endpoint := f.url
	path, pushes := one.receiver.Pushes()
	if endpoint == "" && pushes {
		endpoint = one.address(path)
	}
	if endpoint == "" && pushes && (action == "create" || action == "update") {
		return nil, errors.New("where is the transmitter to post? The site has not one host: name the address with --url https://…" + path)
	}
	what := actions[action]
	switch {
	case what.do != nil:
		if err := what.do(ctx, one.receiver, endpoint); err != nil {
			return nil, err
		}
	case what.who != nil:
		subject, err := subjectOf(f.who, one.receiver)
		if err == nil {
			err = what.who(ctx, one.receiver, subject)
		}
		if err != nil {
			return nil, err
		}
	}
	if what.done != "" && !f.asJSON {
		fmt.Fprintln(out, what.done)
	}
	if action == "delete" {
		return nil, nil
	}
	report, err := one.receiver.Describe(ctx)
	if err == nil && !f.asJSON {
		show(out, one.issuer, report)
	}
	return report, err
}

// subjectOf reads whom add and remove are about.
func subjectOf(text string, r *signals.Receiver) (map[string]any, error) {
	if !strings.HasPrefix(text, "{") {
		return r.OfUser(text), nil
	}
	var subject map[string]any
	if err := json.Unmarshal([]byte(text), &subject); err != nil {
		return nil, fmt.Errorf("--subject is no JSON object: %w", err)
	}
	if format, _ := subject["format"].(string); format == "" {
		return nil, errors.New(`--subject has no format, such as {"format": "email", "email": "…"} (RFC 9493)`)
	}
	return subject, nil
}

// show writes for people.
func show(out io.Writer, issuer string, r *signals.Report) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-11s %s\n", name, command.Printable(text))
		}
	}
	fmt.Fprintln(out, command.Printable(issuer))
	line("transmitter", r.Transmitter)
	line("stream", r.Stream)
	line("status", r.Status)
	line("delivery", strings.TrimSpace(r.Method+" "+r.Endpoint))
	line("aud", strings.Join(r.Audience, " "))
	line("subjects", r.Subjects)
	line("events", strings.Join(r.Events, " "))
	for _, text := range r.Amiss {
		line("amiss", text)
	}
}
