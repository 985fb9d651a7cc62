package tokenendpoint

import (
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

func TestOnlySoMuchWaitsAndNoClientGetsItTwice(t *testing.T) {
	room := waitingRoom{all: map[token.Digest]*waitingGrant{}}
	late := make(chan struct{}, 10)
	tokens := new(as.Tokens)
	for n := range mostWaiting + 1 {
		room.put(token.Digest{byte(n), byte(n >> 8)}, "one", tokens, time.Now(), func(*as.Tokens) { late <- struct{}{} })
	}
	<-late // one too many is given back
	room.put(token.Digest{1, 2, 3}, "another", tokens, time.Now(), func(*as.Tokens) { late <- struct{}{} })
	if got, _, known := room.take(token.Digest{1, 2, 3}); got != tokens || !known {
		t.Error("what one server granted takes the places of another's")
	}
	if got, _, known := room.take(token.Digest{}); got != tokens || !known {
		t.Error("nothing waits")
	}
	if got, _, known := room.take(token.Digest{}); got != nil || !known {
		t.Error("it is handed out twice")
	}
	room.drop(token.Digest{})
	if _, _, known := room.take(token.Digest{}); known {
		t.Error("it still waits")
	}
}
