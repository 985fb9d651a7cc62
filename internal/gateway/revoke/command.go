// Package revoke is "caddy oauth revoke": taking back what was granted, at the admin
// endpoint of a running Caddy.
package revoke

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

func init() {
	command.Register(newCommand)
}

// call is what one writes behind "caddy oauth revoke".
type call struct {
	of                  command.Config
	named               admin.Revocation
	before, until, file string
	list, letIn, asJSON bool
	now                 time.Time
	stdin               io.Reader
	out                 io.Writer
	request             func(method string, body []byte) ([]byte, error)
}

func newCommand() *cobra.Command {
	f := &call{}
	cmd := &cobra.Command{
		Use:   "revoke --issuer <url> [--subject <sub>] [--client <id>] [--sid <sid>] [--jti <jti>] | --token <file> | --list",
		Short: "Takes back tokens, sessions, or all of a user or a client",
		Long: `Asks a running Caddy, by its admin endpoint, to refuse from now on what was
granted, and to end the grants behind it, on all nodes. All that is named has
to match. Without --sid and --jti what is issued from now on is good again.

--token reads a JWT from a file, or from standard input (-), and takes back
that one token, by its jti. It is never an argument: arguments are in the
shell's history and in the list of processes. Nothing of it leaves this
command but its iss, jti and exp.

--list prints what was taken back, and --let-in lets in again what names the
same. ` + command.Rule + `

The exit status is 0 if it was done, 1 if not or not everywhere yet, and 2 after
a mistake in the call.`,
		Args:          command.NoArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			endpoint, err := f.of.Endpoint()
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			f.now, f.stdin, f.out = time.Now(), cmd.InOrStdin(), cmd.OutOrStdout()
			f.request = func(method string, body []byte) ([]byte, error) { return ask(endpoint, method, body) }
			err = f.run()
			status := 1
			if _, misused := errors.AsType[*mistake](err); misused {
				status = command.Misused
			}
			return command.Exit(cmd, status, err)
		},
	}
	f.of.Flags(cmd, "A configuration that names the admin endpoint", "The adapter of that configuration")
	flags := cmd.Flags()
	flags.StringVar(&f.named.Issuer, "issuer", "", "The issuer, as it is configured")
	flags.StringVar(&f.named.Subject, "subject", "", "The user: sub")
	flags.StringVar(&f.named.Client, "client", "", "The client: client_id, azp, cid or appid")
	flags.StringVar(&f.named.Session, "sid", "", "The session at the issuer: sid")
	flags.StringVar(&f.named.ID, "jti", "", "The token: jti")
	flags.StringVar(&f.named.Reason, "reason", "", "Why, for the list and the log")
	flags.StringVar(&f.before, "before", "", "The last moment of what is meant: a time (RFC 3339), or how long ago (10m)")
	flags.StringVar(&f.until, "until", "", "How long to remember it: a time (RFC 3339), or for how long (24h)")
	flags.StringVar(&f.file, "token", "", "A file with the token to take back, - for standard input")
	flags.BoolVar(&f.list, "list", false, "Print what was taken back")
	flags.BoolVar(&f.letIn, "let-in", false, "Let in again what names the same")
	flags.BoolVar(&f.asJSON, "json", false, "Print JSON")
	return cmd
}

// mistake is one in the call.
type mistake struct{ error }

func wrong(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...)} }

func (f *call) run() error {
	if f.list {
		return f.print()
	}
	if err := f.complete(); err != nil {
		return err
	}
	body, err := json.Marshal(&f.named)
	if err != nil {
		return err
	}
	if f.letIn {
		if _, err := f.request(http.MethodDelete, body); err != nil {
			return err
		}
		_, err = fmt.Fprintln(f.out, "Let in again.")
		return err
	}
	raw, err := f.request(http.MethodPost, body)
	if err != nil {
		return err
	}
	if f.asJSON {
		_, err = f.out.Write(raw)
		return err
	}
	var done admin.Revoked
	if err := json.Unmarshal(raw, &done); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	_, err = fmt.Fprintf(f.out, "Taken back; %d grants ended at once, others that it covers end with their next request.\n", done.Ended)
	return err
}

// complete reads what the flags say.
func (f *call) complete() (err error) {
	if f.file != "" {
		if err := f.readToken(); err != nil {
			return err
		}
	}
	if f.named.Issuer == "" {
		return wrong("--issuer is missing")
	}
	if f.named.Before, err = moment(f.before, f.now, -1); err != nil {
		return wrong("--before: %w", err)
	}
	until, err := moment(f.until, f.now, 1)
	if err != nil {
		return wrong("--until: %w", err)
	}
	if !until.IsZero() {
		f.named.Until = until
	}
	return nil
}

// moment reads a time, or how far from now it is.
func moment(text string, now time.Time, sign int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := caddy.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(time.Duration(sign) * d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is neither a time such as 2027-01-31T12:00:00Z nor a duration such as 10m", text)
	}
	return at, nil
}

// longest is how much of a token is read.
const longest = 64 << 10

// readToken takes from a token what names it.
func (f *call) readToken() error {
	from := f.stdin
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return &mistake{err}
		}
		defer func() { _ = file.Close() }() // it was read
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, longest))
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	claims, err := token.PayloadClaims(strings.TrimSpace(string(text)))
	if err != nil {
		return wrong("it is no JWT, so that only its issuer can take it back; --subject, --client and --sid take back what stands behind it")
	}
	if f.named.ID = claims.String("jti"); f.named.ID == "" {
		return wrong("the token has no jti, which would name it alone; take back its session (--sid) or its subject")
	}
	if f.named.Issuer == "" {
		f.named.Issuer = claims.String("iss")
	}
	if ends := claims.Times().Ends; !ends.IsZero() {
		f.named.Until = ends.Add(time.Minute) // and the clocks that differ
	}
	return nil
}

// print lists what was taken back.
func (f *call) print() error {
	raw, err := f.request(http.MethodGet, nil)
	if err != nil {
		return err
	}
	if f.asJSON {
		_, err = f.out.Write(raw)
		return err
	}
	var all []admin.Revocation
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if len(all) == 0 {
		_, err = fmt.Fprintln(f.out, "Nothing is taken back.")
		return err
	}
	for _, one := range all {
		if _, err = fmt.Fprintln(f.out, line(&one)); err != nil {
			return err
		}
	}
	return nil
}

func line(r *admin.Revocation) string {
	named := []string{"issuer " + command.Printable(r.Issuer)}
	for _, one := range []struct{ name, text string }{
		{"subject", r.Subject}, {"client", r.Client}, {"sid", r.Session}, {"jti", r.ID},
	} {
		if one.text != "" {
			named = append(named, one.name+" "+command.Printable(one.text))
		}
	}
	text := strings.Join(named, ", ")
	if !r.Before.IsZero() {
		text += ", issued until " + r.Before.UTC().Format(time.RFC3339)
	}
	text += fmt.Sprintf("; by %s at %s, until %s", r.Source, r.Added.UTC().Format(time.RFC3339), r.Until.UTC().Format(time.RFC3339))
	if r.Tokens {
		text += ", tokens only"
	}
	if r.Reason != "" {
		text += ": " + command.Printable(r.Reason)
	}
	return text
}

func ask(endpoint, method string, body []byte) ([]byte, error) {
	res, err := caddycmd.AdminAPIRequest(endpoint, method, admin.RevocationsPath, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(res.Body, 256<<20))
}
