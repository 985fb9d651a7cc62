package revoked

import (
	"context"
	"errors"
	"time"
)

func (l *Ledger) wait(ctx context.Context, stored chan error) error {
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wake has a round begin now: somebody has written.
func (l *Ledger) Wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// Read reports whether everything that is stored was read once, or there is no
// store.
func (l *Ledger) Read() bool { return l.read.Load() }

// Unfollowed says that there is no store.
func (l *Ledger) Unfollowed() { l.read.Store(true) }

// Follow keeps the list in docs, and as it is there, until ctx ends.
func (l *Ledger) Follow(ctx context.Context, docs Documents) {
	l.mu.Lock()
	l.docs = docs
	l.mu.Unlock()
	defer l.unfollow()
	tick := time.NewTicker(pollEach)
	defer tick.Stop()
	for {
		l.Round(ctx, docs)
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		case <-tick.C:
		}
	}
}

func (l *Ledger) unfollow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.docs = nil
	for _, stored := range l.waiting {
		stored <- errors.New("the store was closed")
	}
	l.waiting = nil
}

// Round reads what others have written and writes what they do not know. Follow
// calls it; tests do.
func (l *Ledger) Round(ctx context.Context, docs Documents) {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	l.expire()
	l.rounds.Lock()
	err := l.reach(ctx, docs)
	l.rounds.Unlock()
	if err == nil {
		l.read.Store(true)
	}
	for _, stored := range waiting {
		stored <- err
	}
	if l.observe != nil {
		l.observe(err)
	}
}

// reach makes rounds until no other node has written meanwhile.
func (l *Ledger) reach(ctx context.Context, docs Documents) error {
	ctx, cancel := context.WithTimeout(ctx, roundTakes)
	defer cancel()
	err := ErrChanged
	for try := 0; try < mostTries && errors.Is(err, ErrChanged); try++ {
		err = l.round(ctx, docs)
	}
	return err
}
