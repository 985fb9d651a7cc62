package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

func init() {
	command.Register(newCommand)
}

// The exit statuses of "caddy oauth explain".
const (
	exitAccepted = 0
	exitRefused  = 1
	exitUnknown  = 2
)

// waitAtMost bounds how long an issuer is waited for.
const waitAtMost = 15 * time.Second

// longest is how much of a token is read: enough to tell that it is too
// large.
const longest = 64 << 10

var errRefused = errors.New("the token is refused")

// call is what one writes behind "caddy oauth explain".
type call struct {
	of                       command.Config
	host                     string
	index                    int
	issuer, jwks, at, file   string
	audience                 []string
	asJSON                   bool
	stdin                    io.Reader
	stdout, stderr           io.Writer
	terminal, typed, noColor bool // stdout is one, stdin is one, NO_COLOR is set
}

func newCommand() *cobra.Command {
	f := &call{}
	cmd := &cobra.Command{
		Use:   "explain [--token-file <file>] [--config <file> | --issuer <url> --audience <aud>] [--json]",
		Short: "Tells why a token passes or does not",
		Long: `Makes every check that the gateway makes of a token, and tells what was
found, what was expected, which rule and RFC decided, and what to change.

The token comes from standard input or --token-file, never as an argument:
arguments are in the shell's history and in the list of processes. No part of
it is printed as it was sent. A whole answer of a token endpoint will do too.

The settings come from the oauth handler of a configuration (--host or --index
where there are several), or from --issuer and --audience. With --jwks <file>
nothing is fetched. ` + command.Rule + `

About an opaque token only its issuer can say something. With a config that
has introspect, it is asked; without one, it cannot be told.

Exit status: 0 accepted, 1 refused, 2 could not judge.`,
	}
	flags := cmd.Flags()
	f.of.Flags(cmd, "the config whose oauth handler judges", "the adapter of that config")
	flags.StringVar(&f.host, "host", "", "the host of the site, where a config has several; with :port where the host has")
	flags.IntVar(&f.index, "index", 0, "the number of the handler, from 1, where there are several")
	flags.StringVar(&f.issuer, "issuer", "", "the issuer, instead of a config")
	flags.StringArrayVar(&f.audience, "audience", nil, "who the token must be meant for; with --issuer, may be repeated")
	flags.StringVar(&f.jwks, "jwks", "", "a file with the issuer's keys; with --issuer")
	flags.StringVar(&f.at, "at", "", "the time to judge at, as in 2026-05-04T12:00:00Z")
	flags.StringVarP(&f.file, "token-file", "f", "", "the file with the token; default: standard input")
	flags.BoolVar(&f.asJSON, "json", false, "as JSON")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return command.Exit(cmd, exitUnknown, errors.New("no arguments: the token comes from standard input or --token-file, since arguments are in the shell's history and in the list of processes"))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f.stdin, f.stdout, f.stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
		f.typed, f.terminal, f.noColor = isTerminal(f.stdin), isTerminal(f.stdout), os.Getenv("NO_COLOR") != ""
		status, err := f.run(cmd.Context())
		if err != nil {
			return command.Exit(cmd, status, err)
		}
		cmd.SilenceErrors = true // it has been told at length
		if status == exitRefused {
			return errRefused
		}
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
	}
	return cmd
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run explains one token and answers the exit status.
func (f *call) run(ctx context.Context) (status int, err error) {
	at := time.Now()
	if f.at != "" {
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return exitUnknown, fmt.Errorf("--at: %q is not a time as 2026-05-04T12:00:00Z is", f.at)
		}
	}
	s, err := f.settings()
	if err != nil {
		return exitUnknown, err
	}
	text, note, err := f.readToken()
	if err != nil {
		return exitUnknown, err
	}
	command.Quiet()
	gateway, release, missing, err := newGateway(s.whole, s.own)
	if err != nil {
		return exitUnknown, err
	}
	defer release()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, waitAtMost)
	defer cancel()
	e := Explain(ctx, gateway, text, optionsOf(s.own, Options{At: at, note: note, missing: missing}))
	e.Gateway = s.site
	if err := f.print(e); err != nil {
		return exitUnknown, err
	}
	return map[string]int{accepted: exitAccepted, refused: exitRefused, unknown: exitUnknown}[e.Verdict], nil
}

func (f *call) print(e *Explanation) error {
	if !f.asJSON {
		e.Write(f.stdout, f.terminal && !f.noColor)
		return nil
	}
	out := json.NewEncoder(f.stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(e)
}

// settings are those of the handler that judges.
type settings struct {
	own   *config.Config
	site  string // where it stands; "": it is made of flags
	whole []byte // the config that it stands in
}

// settings finds the handler that judges, in a config or made of flags.
func (f *call) settings() (s settings, err error) {
	if f.issuer == "" {
		return f.settingsOfConfig()
	}
	switch {
	case f.of != command.Config{} || f.host != "" || f.index != 0:
		return s, errors.New("--issuer stands instead of --config, and has no --adapter, --address, --host or --index")
	case len(f.audience) == 0:
		return s, errors.New("--issuer needs --audience: a token is meant for somebody")
	case f.jwks != "" && !issuers.IsKeyFile(f.jwks):
		return s, errors.New("--jwks takes a file; without it the keys are fetched")
	}
	s.own = &config.Config{Issuer: []*issuers.Issuer{{URL: []string{f.issuer}, Audience: f.audience, JWKS: f.jwks}}}
	return s, nil
}

func (f *call) settingsOfConfig() (s settings, err error) {
	if f.jwks != "" || len(f.audience) > 0 {
		return s, errors.New("--jwks and --audience go with --issuer")
	}
	if s.whole, err = f.of.Read(); err != nil {
		return s, err
	}
	if len(s.whole) == 0 {
		return s, errors.New("no settings: there is no Caddyfile here; give --config, or --issuer and --audience")
	}
	all, err := config.Find(s.whole)
	if err != nil {
		return s, err
	}
	site, err := config.Select(all, f.host, f.index)
	if err != nil {
		return s, err
	}
	s.site = site.Name(config.PlacesOf(all))
	if s.own, err = site.Read(); err != nil {
		return s, fmt.Errorf("reading the oauth handler: %w", err)
	}
	return s, nil
}

// readToken reads what is given, and no more than is looked at.
func (f *call) readToken() (text, note string, err error) {
	in := f.stdin
	switch {
	case f.file != "" && f.file != "-":
		file, err := os.Open(f.file)
		if err != nil {
			return "", "", fmt.Errorf("reading the token: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	case f.typed:
		_, _ = fmt.Fprintln(f.stderr, "Paste the token, then Enter and Ctrl-D.")
	}
	body, err := io.ReadAll(io.LimitReader(in, longest))
	if err != nil {
		return "", "", fmt.Errorf("reading the token: %w", err)
	}
	return givenToken(body)
}
