package redisstore

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

const (
	listenSilence = 3 * time.Second // after so much of it the subscription is tried
	listenAgain   = 200 * time.Millisecond
	listenRefused = 5 * time.Second // after so much of it one that the server refuses is tried again
)

var errNotListening = errors.New("the subscription to changes is broken")

// ear is the one subscription of this process.
type ear struct {
	from *redis.PubSub
	gone chan struct{}          // closed when nothing is heard any more
	wait map[string]chan uint64 // who waits for which answer; they get the line
}

// Wake tells changed of each row that any node has changed.
func (s *Store) Wake(changed func(session.Key)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastWake++
	number := s.lastWake
	s.waking[number] = changed
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waking, number)
	}
}

// CatchUp sends a word of its own the way that changes take, and waits until it
// is told of that: it was told then of those before. A server that only answers
// where it tells of changes may be the old master, of which no client asks anything
// any more.
func (s *Store) CatchUp(ctx context.Context) (line uint64, err error) {
	s.mu.Lock()
	e := s.ear
	if e == nil {
		s.mu.Unlock()
		return 0, errNotListening
	}
	s.lastWord++
	word, answer := strconv.FormatUint(s.lastWord, 10), make(chan uint64, 1)
	e.wait[word] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(e.wait, word)
	}()
	if err := s.link.Load().client.Publish(ctx, s.own, word).Err(); err != nil {
		return 0, err
	}
	select {
	case line := <-answer:
		return line, nil
	case <-e.gone:
		return 0, errNotListening
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// listen subscribes, and again when the connection breaks; what was said
// meanwhile is lost.
func (s *Store) listen() {
	for s.ctx.Err() == nil {
		l, pause := s.link.Load(), listenAgain
		if err := s.hear(l); redis.HasErrorPrefix(err, "NOPERM") {
			pause = listenRefused
		}
		select {
		case <-s.ctx.Done():
		case <-l.replaced:
		case <-time.After(pause):
		}
	}
}

// hear is one subscription's life, and why it ended.
func (s *Store) hear(l *link) error {
	e := &ear{from: l.client.Subscribe(s.ctx, s.indexers, s.channel, s.own), gone: make(chan struct{}), wait: map[string]chan uint64{}}
	s.setEar(e)
	defer func() {
		s.setEar(nil)
		close(e.gone)
		_ = e.from.Close()
	}()
	go func() { // the library reads on whatever the context says
		select {
		case <-s.ctx.Done():
		case <-l.replaced:
		case <-e.gone:
		}
		_ = e.from.Close()
	}()
	for silent := false; ; {
		message, err := e.from.ReceiveTimeout(s.ctx, listenSilence)
		switch {
		case err == nil:
			silent = false
			s.heard(e, message)
		case silent || !timedOut(err) || e.from.Ping(s.ctx) != nil:
			return err
		default:
			silent = true
		}
	}
}

func timedOut(err error) bool {
	failure, ok := errors.AsType[net.Error](err)
	return ok && failure.Timeout()
}

func (s *Store) setEar(e *ear) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ear = e
}

// heard takes what the server says, one after the other.
func (s *Store) heard(e *ear, message any) {
	switch m := message.(type) {
	case *redis.Subscription: // the library may have made a new connection
		s.mu.Lock()
		defer s.mu.Unlock()
		s.line++
	case *redis.Message:
		if m.Channel == s.channel {
			if len(m.Payload) == len(session.Key{}) {
				s.tell(session.Key([]byte(m.Payload)))
			}
			return
		}
		if m.Channel == s.indexers {
			return // that it was heard is all it says
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if answer := e.wait[m.Payload]; answer != nil {
			delete(e.wait, m.Payload)
			answer <- s.line
		}
	}
}

func (s *Store) tell(key session.Key) {
	s.mu.Lock()
	all := make([]func(session.Key), 0, len(s.waking))
	for _, changed := range s.waking {
		all = append(all, changed)
	}
	s.mu.Unlock()
	for _, changed := range all {
		changed(key)
	}
}
