package storetest_test

import (
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/storetest"
)

// exclusive is a memory store that one vault has to itself.
type exclusive struct{ *session.Memory }

func (exclusive) Exclusive() bool { return true }

func TestExclusiveMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store { return exclusive{session.NewMemory(time.Now)} })
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store { return session.NewMemory(time.Now) })
}
