package grants

import (
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
)

// A user who reloads the page all the time keeps no other from it.
func TestOneUserWhoLooksAtSessionsAllTheTimeKeepsNoOtherFromIt(t *testing.T) {
	l := newWalks()
	leave, err := l.enter(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	const many = 20
	entered := make(chan string)
	wait := func(user string) {
		leave, err := l.enter(t.Context(), user)
		if err != nil {
			entered <- err.Error()
			return
		}
		entered <- user
		leave()
	}
	for range many {
		go wait("mallory")
	}
	gatewaytest.Await(t, "them to wait", func() bool { return l.present("mallory") == many+1 })
	go wait("alice")
	gatewaytest.Await(t, "alice to wait", func() bool { return l.present("alice") == 1 })
	leave()
	for n := range many {
		if user := <-entered; user == "alice" {
			if n > 3 {
				t.Errorf("alice came after %d of the other's", n)
			}
			return
		}
	}
	t.Error("alice came last")
}

func (l *walks) present(user string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own := l.users[user]; own != nil {
		return own.n
	}
	return 0
}
