// Package status is "caddy oauth status": how issuers and stores of a running
// Caddy stand, read from its admin endpoint.
package status

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/breaker"
	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

func init() {
	command.Register(newCommand)
}

func newCommand() *cobra.Command {
	var of command.Config
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [--address <host:port>] [--json]",
		Short: "Prints issuers, keys, caches, breakers and grants of a running gateway",
		Long: `Asks the admin endpoint of a running Caddy how it stands with its issuers:
that of --address, else what the configuration names (--config, else the
Caddyfile here), else localhost:2019.

The exit status is 0 if every issuer has keys and the last fetch went well, 1
if not, or if the gateway cannot be asked, and 2 after a mistake in the call.`,
		Args:          command.NoArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			endpoint, err := of.Endpoint()
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			state, raw, err := ask(endpoint)
			if err != nil {
				return command.Exit(cmd, 1, err)
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(raw)
			} else {
				err = write(cmd.OutOrStdout(), &state, time.Now())
			}
			if err == nil && !well(&state) {
				err = errors.New("not every issuer is well")
			}
			return command.Exit(cmd, 1, err)
		},
	}
	of.Flags(cmd, "A configuration that names the admin endpoint", "The adapter of that configuration")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON")
	return cmd
}

func ask(endpoint string) (state admin.Status, raw []byte, err error) {
	res, err := caddycmd.AdminAPIRequest(endpoint, http.MethodGet, admin.StatusPath, nil, nil)
	if err != nil {
		return state, nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer res.Body.Close()
	if raw, err = io.ReadAll(io.LimitReader(res.Body, 64<<20)); err != nil {
		return state, nil, fmt.Errorf("reading the answer of %s: %w", endpoint, err)
	}
	if err = json.Unmarshal(raw, &state); err != nil {
		return state, nil, fmt.Errorf("reading the answer of %s: %w", endpoint, err)
	}
	return state, raw, nil
}

// well reports whether there are keys of every issuer, as fresh as they can be.
func well(s *admin.Status) bool {
	for i := range s.Issuers {
		if healthOf(&s.Issuers[i]) != "ok" {
			return false
		}
	}
	return true
}

func healthOf(s *issuers.State) string {
	switch {
	case len(s.Keys) == 0:
		return "NO KEYS"
	case s.LastError != "" && s.Restored:
		return "STORED KEYS"
	case s.LastError != "":
		return "NOT ANSWERING"
	case s.Breaker.Open || slices.ContainsFunc(s.Introspection, func(q introspection.State) bool { return q.Breaker.Open }):
		return "BREAKER OPEN"
	}
	return "ok"
}

// print writes tables for people.
func write(w io.Writer, s *admin.Status, now time.Time) error {
	if len(s.Issuers) == 0 {
		_, err := fmt.Fprintln(w, "No issuer: the running configuration has no oauth.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) } // Flush tells of errors
	row("ISSUER", "STATE", "KEYS", "FETCHED", "NEXT FETCH", "CACHE", "BREAKER")
	for i := range s.Issuers {
		one := &s.Issuers[i]
		row(one.Issuer, healthOf(one), fmt.Sprint(len(one.Keys)), fetchedText(one, now), until(one.NextFetch, now),
			fmt.Sprintf("%d of %d", one.Cache.Entries, one.Cache.Most), breakerText(one.Breaker))
	}
	for i := range s.Issuers {
		one := &s.Issuers[i]
		row("")
		row("KEYS OF " + one.Issuer)
		row("KID", "TYPE", "ALGORITHMS", "SEEN FOR")
		for _, key := range one.Keys {
			row(orDash(command.Printable(key.KeyID)), kindOf(&key), strings.Join(key.Algorithms, " "), since(key.Since, now))
		}
		if one.LastError != "" {
			row("The last fetch failed: " + command.Printable(one.LastError))
		}
		printIntrospection(one, row)
		printStatusLists(one, now, row)
	}
	if len(s.Stores) > 0 {
		row("")
		row("STORE", "OPEN", "LIVE", "RENEWING", "UNCERTAIN", "ENDED")
	}
	for _, one := range s.Stores {
		counts := []string{"-", "-", "-", "-"}
		if one.Counted {
			counts = []string{fmt.Sprint(one.Live), fmt.Sprint(one.Renewing), fmt.Sprint(one.Uncertain), fmt.Sprint(one.Ended)}
		}
		row(append([]string{one.Store, yes(one.Open)}, counts...)...)
	}
	printRevoked(s.Revoked, row)
	return t.Flush()
}

// printRevoked tells of lists that have something in them, or are not as they should be.
func printRevoked(all []revocation.State, row func(cells ...string)) {
	begun := false
	for _, one := range all {
		if one.Entries == 0 && one.Read && one.Behind < revocation.Late {
			continue
		}
		if !begun {
			row("")
			row("TAKEN BACK IN", "ENTRIES", "AS IN THE STORE", "BY")
			begun = true
		}
		state := "this process alone"
		switch {
		case !one.Read:
			state = "NEVER READ"
		case one.Behind >= revocation.Late:
			state = "NOT FOR " + one.Behind.Round(time.Second).String()
		case one.Store != "":
			state = "yes"
		}
		row(orDash(one.Store), fmt.Sprintf("%d of %d", one.Entries, one.Most), state, orDash(kindsOf(one.Kinds)))
	}
}

// kindsOf says by what entries are found, and how many ask for a renewal alone.
func kindsOf(n revoked.Kinds) string {
	var all []string
	for _, one := range []struct {
		name string
		n    int
	}{
		{"jti", n.Tokens}, {"sid", n.Sessions}, {"subject", n.Subjects}, {"client", n.Clients}, {"issuer", n.Issuers},
		{"match", n.Claims}, {"to be renewed", n.Renewals},
	} {
		if one.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", one.n, one.name))
		}
	}
	return strings.Join(all, ", ")
}

func printIntrospection(s *issuers.State, row func(cells ...string)) {
	if len(s.Introspection) == 0 {
		return
	}
	row("")
	row("INTROSPECTION AT " + s.Issuer)
	row("ENDPOINT", "CLIENT", "ASKED ABOUT", "REMEMBERED", "INACTIVE", "BREAKER")
	for _, one := range s.Introspection {
		about := map[bool]string{true: "every token", false: "opaque tokens"}[one.Always]
		row(orDash(command.Printable(one.Endpoint)), command.Printable(one.Client), about,
			fmt.Sprint(one.Remembered), fmt.Sprint(one.Inactive), breakerText(one.Breaker))
	}
}

func printStatusLists(s *issuers.State, now time.Time, row func(cells ...string)) {
	if len(s.StatusLists) == 0 {
		return
	}
	row("")
	row("STATUS LISTS OF " + s.Issuer)
	row("URI", "TOKENS", "FETCHED", "NEXT FETCH", "GOOD FOR", "LAST FETCH")
	for _, one := range s.StatusLists {
		fetched := "never"
		if !one.Fetched.IsZero() {
			fetched = since(one.Fetched, now) + " ago"
		}
		row(command.Printable(one.URI), fmt.Sprint(one.Tokens), fetched, until(one.FreshUntil, now), until(one.GoodUntil, now), cmp.Or(command.Printable(one.LastError), "ok"))
	}
}

func fetchedText(s *issuers.State, now time.Time) string {
	switch {
	case s.Source == "file":
		return "from a file"
	case s.Restored:
		return since(s.Fetched, now) + " ago, stored"
	case s.Fetched.IsZero():
		return "never"
	}
	return since(s.Fetched, now) + " ago"
}

func breakerText(b breaker.State) string {
	if b.Open {
		return fmt.Sprintf("open for %.0fs", b.Seconds)
	}
	return "closed"
}

func kindOf(k *issuers.KeyState) string {
	switch {
	case k.Bits > 0:
		return fmt.Sprintf("%s %d", k.Type, k.Bits)
	case k.Curve != "":
		return k.Type + " " + k.Curve
	}
	return k.Type
}

func since(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return now.Sub(at).Round(time.Second).String()
}

func until(at, now time.Time) string {
	switch {
	case at.IsZero():
		return "-"
	case at.Before(now):
		return "now"
	}
	return "in " + at.Sub(now).Round(time.Second).String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
