package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A Hydra of its own, whose database breaks.
func TestAHydraWhoseDatabaseBreaksEndsNoSession(t *testing.T) {
	t.Parallel()
	h := newHydra("0s")
	s := runHydra(t, h).site(t, "4s", nil)
	v := newGuest(t, nil)
	v.logIn(s.g.url("/orders")).wantPass(t, "alice")
	database := filepath.Join(h.home, "hydra.sqlite")
	whole := map[string][]byte{}
	for _, end := range []string{"", "-wal", "-shm"} {
		if text, err := os.ReadFile(database + end); err == nil {
			whole[end] = text
		}
	}
	for end, text := range whole {
		if err := os.WriteFile(database+end, make([]byte, len(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	await(t, 30*time.Second, "the access token to run out", func() bool {
		return present(t, s.g, v.session(s.g)).status == http.StatusServiceUnavailable
	})
	h.desk.look(s.id, func(c *customer) {
		if len(c.refused) == 0 || c.refused[0] != "invalid_client" {
			t.Errorf("the token endpoint refused with %q, and the page says invalid_client", c.refused)
		}
	})
	if s.active(t, 1) {
		t.Error("introspection says active, and the page says that it does not")
	}
	for end, text := range whole {
		if err := os.WriteFile(database+end, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	await(t, 60*time.Second, "the session to go on", func() bool {
		a := present(t, s.g, v.session(s.g))
		if a.status == http.StatusUnauthorized {
			t.Fatal("the session has ended")
		}
		return a.status == http.StatusOK
	})
}
