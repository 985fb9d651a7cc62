package grants

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

const walkWait = 3 * time.Second

var errWalking = &session.Unavailable{RetryAfter: walkWait, Err: errors.New("others are looking at their sessions")}

// walks lets one request walk a store at a time: a page that every user who is
// logged in can ask for must not cost more. Of each user one waits for that, and
// the others behind it: so a user who asks all the time keeps no other from it.
// Each store has its own, since another one may be slow.
type walks struct {
	turn  chan struct{}
	mu    sync.Mutex
	users map[string]*walker
}

type walker struct {
	turn chan struct{}
	n    int // that wait or walk
}

func newWalks() *walks { return &walks{turn: make(chan struct{}, 1), users: map[string]*walker{}} }

// enter waits for a user's turn, and for so long.
func (l *walks) enter(ctx context.Context, user ...string) (leave func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, walkWait)
	defer cancel()
	name := strings.Join(user, "\x00")
	own := l.come(name)
	for n, turn := range []chan struct{}{own.turn, l.turn} {
		select {
		case turn <- struct{}{}:
			continue
		case <-waiting.Done():
		}
		if n > 0 {
			<-own.turn
		}
		l.part(name, own)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return nil, errWalking
	}
	return func() { <-l.turn; <-own.turn; l.part(name, own) }, nil
}

func (l *walks) come(name string) *walker {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.users[name]
	if own == nil {
		own = &walker{turn: make(chan struct{}, 1)}
		l.users[name] = own
	}
	own.n++
	return own
}

func (l *walks) part(name string, own *walker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.n--; own.n == 0 {
		delete(l.users, name)
	}
}
