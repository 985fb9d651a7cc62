package revocation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Site is the list as one gateway asks it.
type Site struct {
	*Kept
	block *Revocation
	names map[string]string // of its issuers: what a token calls it → what it is called here
	log   *zap.Logger

	warned atomic.Bool                 // of a token that lives too long
	open   func(context.Context) error // opens the store; nil: there is none
}

// SiteOptions are what a gateway says of itself.
type SiteOptions struct {
	Identity string            // of the store; [Nowhere]: there is none
	Names    map[string]string // of its issuers: what a token calls it → what it is called here
	Log      *zap.Logger
	Open     func(context.Context) error // opens the store; nil: there is none
}

// Open is the list for a gateway, until release is called. block may be nil.
func Open(block *Revocation, how SiteOptions) (s *Site, release func()) {
	k, leave := Acquire(how.Identity)
	s = &Site{Kept: k, block: block, names: how.Names, log: how.Log, open: how.Open}
	k.add(s)
	return s, func() {
		k.remove(s)
		leave()
	}
}

// Outlives tells the log, once, of a token that lives longer than what is taken back
// is remembered: it would count again then.
func (s *Site) Outlives(issuer string, expiry, now time.Time) {
	if s == nil || expiry.Sub(now) <= s.Keeps() || s.warned.Swap(true) {
		return
	}
	s.log.Warn("access tokens live longer than what is taken back is remembered: one that was taken back would count again",
		zap.String("issuer", issuer), zap.Duration("lives", expiry.Sub(now).Round(time.Second)), zap.Duration("keep", s.Keeps()),
		zap.String("do", "write a longer keep into revocation, or have the issuer's tokens live shorter"))
}

// Idle reports whether there is nothing to ask: the list was read, and is empty.
func (s *Site) Idle() bool { return s == nil || s.ledger.Read() && s.ledger.List.Empty() }

// readWithin is how long requests wait for the list to be read at all, all of them
// together.
const readWithin = time.Second

var errUnread = errors.New("the list of what was taken back was never read: the store does not answer")

// Find answers the entry that covers a token, or nil. An error says that it is not
// known, and that the gateway is not to judge without it.
func (s *Site) Find(ctx context.Context, t *revoked.Token) (*revoked.Entry, error) {
	if !s.ledger.Read() {
		s.wait(ctx)
		if !s.ledger.Read() && s.block.refusesUnread() {
			return nil, &verdict.Failure{Reason: verdict.RevocationsUnavailable, Wait: readWithin, Err: errUnread}
		}
	}
	return s.ledger.List.Find(t), nil
}

// wait waits for the first look at the store.
func (s *Site) wait(ctx context.Context) {
	now := time.Now()
	if s.asked.CompareAndSwap(0, now.UnixNano()) && s.open != nil {
		go func() { _ = s.open(context.WithoutCancel(ctx)) }() // which logs what fails
	}
	left := readWithin - now.Sub(time.Unix(0, s.asked.Load()))
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-s.tried:
	case <-timer.C:
	case <-ctx.Done():
	}
}
