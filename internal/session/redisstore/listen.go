package redisstore

import (
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

const (
	listenCheck  = 3 * time.Second // after so much silence the subscription is tried
	listenBuffer = 4096            // keys that were not told yet; more get lost
)

// Wake tells changed of each row that anybody has changed.
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

// listen is the one subscription of this process. It comes back by itself when
// the connection breaks; what was said meanwhile is lost.
func (s *Store) listen() {
	for s.ctx.Err() == nil {
		l := s.link.Load()
		s.hear(l, l.client.Subscribe(s.ctx, s.channel))
	}
}

func (s *Store) hear(l *link, from *redis.PubSub) {
	defer func() { _ = from.Close() }()
	messages := from.Channel(redis.WithChannelHealthCheckInterval(listenCheck), redis.WithChannelSize(listenBuffer))
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-l.replaced:
			return
		case m, open := <-messages:
			if !open {
				return
			}
			if len(m.Payload) == len(session.Key{}) {
				s.tell(session.Key([]byte(m.Payload)))
			}
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
