package signals

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// OwnWords are words that no other block has.
const OwnWords = "push, authorization_header, poll, poll_endpoint, stream, verify, silent, on, match"

// Words are those of the block.
const Words = "audience, push, authorization_header, poll, poll_endpoint, stream, token, scope, metadata, verify, silent, on, match"

// Parse reads:
//
//	signals [<transmitter_url>] {
//		audience             <aud...>
//		push                 <path>
//		authorization_header <secret>
//		poll
//		poll_endpoint        <url>
//		stream               <id>
//		token                <secret>
//		scope                <scope...>
//		metadata             <url>
//		verify               <duration>
//		silent               keep|refuse
//		on                   <event> revoke|renew|note
//		match                <format> <claim>
//	}
//
// What it needs of the rest of its issuer's block is checked there.
func Parse(d *caddyfile.Dispenser) (*Signals, error) {
	s := new(Signals)
	switch args := d.RemainingArgs(); {
	case len(args) > 1 || len(args) == 1 && args[0] == "":
		return nil, d.Errf("signals takes the URL of the transmitter, or none where that is the issuer: signals [<transmitter_url>]")
	case len(args) == 1:
		s.URL = args[0]
	}
	return s, grammar.Block(d, s.parseWord)
}

func (s *Signals) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "audience":
		return grammar.List(d, &s.Audience)
	case "push":
		return seen.Text(d, &s.Push)
	case "authorization_header":
		return seen.Text(d, &s.AuthorizationHeader)
	case "poll":
		return seen.Flag(d, &s.Poll)
	case "poll_endpoint":
		return seen.Text(d, &s.PollEndpoint)
	case "stream":
		return seen.Text(d, &s.Stream)
	case "token":
		return seen.Text(d, &s.Token)
	case "scope":
		return grammar.List(d, &s.Scope)
	case "metadata":
		return seen.Text(d, &s.Metadata)
	case "verify":
		return seen.Duration(d, &s.Verify)
	case "silent":
		return seen.Text(d, &s.Silent)
	case "on":
		return pair(d, &s.On, "a type of event and what it does", "session-revoked renew")
	case "match":
		return pair(d, &s.Match, "a format of subjects and a claim", "email email")
	}
	return grammar.Unknown(d, "signals", Words)
}

// pair reads a word with two arguments, of which the first stands once.
func pair(d *caddyfile.Dispenser, to *map[string]string, what, example string) error {
	word, args := d.Val(), d.RemainingArgs()
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return d.Errf("%s takes %s: %[1]s %s", word, what, example)
	}
	if _, there := (*to)[args[0]]; there {
		return d.Errf("%s %s is there twice", word, args[0])
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[args[0]] = args[1]
	return nil
}
