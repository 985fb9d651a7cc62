package login

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Words are those of a login block, for errors and the manual.
const Words = "scope, resource, parameter, response_mode, post_logout, logout_parameter, claims, identity, forward, insecure_no_pkce, cookie"

// Parse reads:
//
//	login [<prefix>] {
//		scope       <scope...>
//		resource    <url...>
//		parameter   <name> <value>
//		response_mode query|form_post
//		post_logout <url|path>
//		logout_parameter <name> <value>
//		claims      id_token|userinfo...
//		identity    access_token|id_token|userinfo
//		forward     access_token|id_token|none
//		insecure_no_pkce
//		cookie      <name>
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*Login, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	l, line := new(Login), d.Token()
	if args := d.RemainingArgs(); len(args) > 1 || len(args) == 1 && args[0] == "" {
		return nil, d.Errf("login takes one path at most, such as %s", defaultPrefix)
	} else if len(args) == 1 {
		l.Prefix = args[0]
	}
	if err := grammar.Block(d, l.parseWord); err != nil {
		return nil, err
	}
	return l, grammar.At(line, l.checkWords())
}

func (l *Login) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "scope":
		return grammar.List(d, &l.Scope)
	case "resource":
		return grammar.List(d, &l.Resource)
	case "parameter":
		return parseParameter(d, &l.Parameter)
	case "logout_parameter":
		return parseParameter(d, &l.LogoutParameter)
	case "claims":
		return grammar.List(d, &l.Claims)
	case "post_logout":
		return seen.Text(d, &l.PostLogout)
	case "response_mode":
		return seen.Text(d, &l.ResponseMode)
	case "insecure_no_pkce":
		return seen.Flag(d, &l.InsecureNoPKCE)
	case "identity":
		return seen.Text(d, &l.Identity)
	case "forward":
		return seen.Text(d, &l.Forward)
	case "cookie":
		return seen.Text(d, &l.Cookie)
	default:
		return grammar.Unknown(d, "login", Words)
	}
}

// parseParameter reads a name with its value, each name once.
func parseParameter(d *caddyfile.Dispenser, to *map[string]string) error {
	word, args := d.Val(), d.RemainingArgs()
	if len(args) != 2 || args[0] == "" {
		return d.Errf("%s takes a name and a value", word)
	}
	if _, twice := (*to)[args[0]]; twice {
		return d.Errf("%s %s is there twice", word, args[0])
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[args[0]] = args[1]
	return nil
}
