package devissuer

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Handler{})
	httpcaddyfile.RegisterHandlerDirective("devissuer", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("devissuer", httpcaddyfile.Before, "respond")
}

// Handler is the authorization server as a Caddy module. It answers its own
// endpoints and passes every other request on, so that several can stand in
// one site.
//
// It is for development only. Keys and refresh tokens are in memory: each
// start and each reload of the config makes new keys and forgets the refresh
// tokens.
type Handler struct {
	// The issuer URL, exactly as it is to stand in the tokens.
	Issuer string `json:"issuer,omitempty"`

	// Who the access tokens are for.
	Audience []string `json:"audience,omitempty"`

	// Who may ask for tokens.
	Client []Client `json:"client,omitempty"`

	// How long access tokens live, in whole seconds. Default: 5m.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Further paths where the token endpoint answers.
	TokenPath []string `json:"token_path,omitempty"`

	// The grant of a request that names none. It can be client_credentials,
	// and then gives a refresh token too, which RFC 6749 §4.4.3 advises
	// against: it is there to show the life of a token pair. Default: such a
	// request is refused.
	DefaultGrant string `json:"default_grant,omitempty"`

	// Further claims of every access token.
	Claim map[string]any `json:"claim,omitempty"`

	server *Server
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.devissuer",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision makes the server, with new keys.
func (h *Handler) Provision(ctx caddy.Context) error {
	ctx.Logger().Warn("devissuer is for development only: " +
		"its keys are random and its clients' secrets stand in the config; " + h.Issuer)
	var err error
	h.server, err = New(Options{
		Issuer:       h.Issuer,
		Audience:     h.Audience,
		Clients:      h.Client,
		Lifetime:     time.Duration(h.Lifetime),
		TokenPaths:   h.TokenPath,
		DefaultGrant: h.DefaultGrant,
		Claims:       h.Claim,
	})
	return err
}

// ServeHTTP answers the server's endpoints and passes everything else on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !h.server.Owns(r.URL.Path) {
		return next.ServeHTTP(w, r)
	}
	h.server.ServeHTTP(w, r)
	return nil
}

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile reads the directive:
//
//	devissuer [<matcher>] <issuer_url> {
//		audience      <aud...>
//		client        <id> <secret> [<scope...>]     # repeatable
//		public_client <id> [<scope...>]              # the same for one without a secret
//		redirect_uri  <client_id> <url...>           # of a client above; browsers may log in then
//		lifetime      <duration>                     # default 5m
//		token_path    <path...>                      # besides <issuer_url>/token
//		default_grant client_credentials
//		claim         <name> <value...>              # repeatable; several values make a list
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if !d.AllArgs(&h.Issuer) {
		return d.Err("devissuer: takes one argument, the issuer URL, such as http://127.0.0.1:8080/issuer")
	}
	if _, err := parseIssuer(h.Issuer); err != nil {
		return d.WrapErr(err)
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		word := d.Val()
		if seen[word] && !slices.Contains(repeatable, word) {
			return d.Errf("%s: is there already; it can stand once", word)
		}
		seen[word] = true
		if err := h.unmarshalWord(word, d.RemainingArgs()); err != nil {
			return d.WrapErr(err)
		}
	}
	switch {
	case !seen["audience"]:
		return d.Err("devissuer: audience is missing")
	case !seen["client"] && !seen["public_client"]:
		return d.Err("devissuer: client is missing")
	}
	return nil
}

var repeatable = []string{"client", "public_client", "claim", "redirect_uri"}

// unmarshalWord reads one line of the block. Its errors lack the place, which
// the caller adds.
func (h *Handler) unmarshalWord(word string, args []string) error {
	switch word {
	case "audience":
		h.Audience = args
		return needArgs(word, args, 1, "<aud...>")
	case "client":
		return h.unmarshalClient(args)
	case "public_client":
		if err := needArgs(word, args, 1, "<id> [<scope...>]"); err != nil {
			return err
		}
		return h.addClient(Client{ID: args[0], Scopes: args[1:]})
	case "redirect_uri":
		return h.unmarshalRedirectURI(args)
	case "lifetime":
		return h.unmarshalLifetime(args)
	case "token_path":
		h.TokenPath = args
		for _, path := range args {
			if err := checkTokenPath(path); err != nil {
				return err
			}
		}
		return needArgs(word, args, 1, "<path...>")
	case "default_grant":
		if len(args) != 1 || args[0] != grantClient {
			return fmt.Errorf("default_grant: can only be %s", grantClient)
		}
		h.DefaultGrant = args[0]
		return nil
	case "claim":
		return h.unmarshalClaim(args)
	}
	return fmt.Errorf("%s: unknown word; there are audience, client, public_client, redirect_uri, lifetime, token_path, default_grant and claim", word)
}

func (h *Handler) unmarshalClient(args []string) error {
	if err := needArgs("client", args, 2, "<id> <secret> [<scope...>]"); err != nil {
		return err
	}
	if args[1] == "" {
		return fmt.Errorf("client %q: the secret must not be empty; one without a secret is a public_client", args[0])
	}
	return h.addClient(Client{ID: args[0], Secret: args[1], Scopes: args[2:]})
}

func (h *Handler) addClient(c Client) error {
	if slices.ContainsFunc(h.Client, func(other Client) bool { return other.ID == c.ID }) {
		return fmt.Errorf("client %q is listed twice", c.ID)
	}
	h.Client = append(h.Client, c)
	return checkClient(c)
}

func (h *Handler) unmarshalRedirectURI(args []string) error {
	if err := needArgs("redirect_uri", args, 2, "<client_id> <url...>"); err != nil {
		return err
	}
	for i := range h.Client {
		if c := &h.Client[i]; c.ID == args[0] {
			c.RedirectURIs = append(c.RedirectURIs, args[1:]...)
			return checkClient(*c)
		}
	}
	return fmt.Errorf("redirect_uri: there is no client %q above", args[0])
}

func (h *Handler) unmarshalLifetime(args []string) error {
	if len(args) != 1 {
		return errors.New("lifetime: takes one duration, such as 15s")
	}
	d, err := caddy.ParseDuration(args[0])
	if err != nil {
		return fmt.Errorf("lifetime: %w", err)
	}
	h.Lifetime = caddy.Duration(d)
	return checkLifetime(d)
}

func (h *Handler) unmarshalClaim(args []string) error {
	if err := needArgs("claim", args, 2, "<name> <value...>"); err != nil {
		return err
	}
	name, values := args[0], args[1:]
	if _, twice := h.Claim[name]; twice {
		return fmt.Errorf("claim %q: is there already; it can stand once", name)
	}
	if h.Claim == nil {
		h.Claim = map[string]any{}
	}
	h.Claim[name] = values
	if len(values) == 1 {
		h.Claim[name] = values[0]
	}
	return checkClaim(name)
}

func needArgs(word string, args []string, least int, syntax string) error {
	if len(args) < least {
		return fmt.Errorf("%s: arguments are missing: %s", word, syntax)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
