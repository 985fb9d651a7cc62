package issuers

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// checkSignals looks at what an issuer needs for listening to a transmitter.
func (i *Issuer) checkSignals() error {
	s := i.Signals
	switch {
	case s == nil:
		return nil
	case len(i.URL) > 1:
		return errors.New("signals is of one issuer, and not of several URLs: one's transmitter would take back what another has issued. Use a block for each")
	case s.URL == "" && !i.discovered() && s.Metadata == "":
		return errors.New(`signals: the issuer is a name that leads nowhere here: write "signals <transmitter_url>"`)
	}
	return s.Check(i.Client != nil && i.GrantsTokens())
}

// Receive answers what listens to the transmitter of the issuer's events: for the
// running gateway, or for asking the transmitter alone. mark tells receivers apart
// that mean something else.
func (i *Issuer) Receive(issuer string, set Settings, client *as.Client, server *as.Server, mark string) (*signals.Receiver, func()) {
	with := signals.Settings{
		Issuer: issuer, Names: []string{issuer}, Config: i.Server(issuer, set), Algorithms: set.Algorithms, Skew: i.Leeway(), Mark: mark,
	}
	with.Config.Now, with.Config.Jitter = time.Now, rand.Float64
	if set.Tokens != "" {
		with.Names = append(with.Names, set.Tokens)
	}
	if client != nil && server != nil && i.GrantsTokens() {
		with.Client = client
		with.Grant = func(ctx context.Context, client as.Client, form map[string][]string) (*as.Tokens, error) {
			return server.Token(ctx, client, form)
		}
	}
	return i.Signals.Open(set.Signals, with)
}

// CheckSignals refuses a token that a transmitter's event has taken back by another
// claim than the list of what was taken back knows, or until it is renewed; and it
// fails where the transmitter's silence is to count. since is as with CheckRevoked.
func (s *Set) CheckSignals(ctx context.Context, p *token.Principal, since time.Time) error {
	receiver := s.Of(p).Signals
	if receiver == nil {
		return nil
	}
	if err := receiver.Heard(s.Now()); err != nil || s.Revoked.Idle() {
		return err
	}
	t := p.Revocable()
	for _, one := range receiver.Known(&t, p.Claim, since) {
		entry, err := s.Revoked.Find(ctx, &one.Token)
		if err != nil {
			return err
		}
		if entry == nil {
			continue
		}
		reason := token.Revoked
		if one.Renewed {
			reason = token.Outdated
		}
		refused := verdict.OfToken(&token.Refusal{Reason: reason, Detail: DescribeRevoked(entry)}, p.Issuer)
		if rejection, is := errors.AsType[*verdict.Rejection](refused); is {
			rejection.Since = entry.Added
		}
		return refused
	}
	return nil
}
