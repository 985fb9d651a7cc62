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

// Unfollowed says that there is no store: the list is kept in this process alone.
func (l *Ledger) Unfollowed() {
	l.alone.Store(true)
	l.read.Store(true)
}

// Followed is closed once the store is open. Where there is none, it never is.
func (l *Ledger) Followed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// Follow keeps the list in docs, and as it is there, until ctx ends.
func (l *Ledger) Follow(ctx context.Context, docs Documents) {
	defer l.unfollow(l.follow(docs))
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

func (l *Ledger) follow(docs Documents) (number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.docs == nil {
		close(l.opened)
	}
	l.docs = docs
	l.follows++
	return l.follows
}

func (l *Ledger) unfollow(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.follows != number {
		return // it was opened again meanwhile
	}
	l.docs, l.opened = nil, make(chan struct{})
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
