package forwardauth

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Words are those of the block, for error texts.
const Words = "from, method, uri, statuses"

// Parse reads forward_auth. Syntax:
//
//	forward_auth {
//		from     <address|network|unix...>
//		method   <header>
//		uri      <header>
//		statuses <status...>
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*ForwardAuth, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	if len(d.RemainingArgs()) > 0 {
		return nil, d.Errf("forward_auth takes no argument; write a block with from")
	}
	f := &ForwardAuth{}
	return f, grammar.Block(d, f.parseWord)
}

func (f *ForwardAuth) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "from":
		return grammar.List(d, &f.From)
	case "method":
		return seen.Text(d, &f.Method)
	case "uri":
		return seen.Text(d, &f.URI)
	case "statuses":
		var texts []string
		if err := grammar.List(d, &texts); err != nil {
			return err
		}
		for _, text := range texts {
			status, err := strconv.Atoi(text)
			if err != nil {
				return d.Errf("statuses takes 302 with login, 400, 401, 403 and 425; not %q", text)
			}
			f.Statuses = append(f.Statuses, status)
		}
	default:
		return grammar.Unknown(d, "forward_auth", Words)
	}
	return nil
}
