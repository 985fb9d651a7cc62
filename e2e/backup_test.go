package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The copy is made while grants begin and are used. It takes the place of a store
// that is lost, and a session from before goes on with it: it is still there, and
// is refreshed.
func TestGrantsAreBackedUpWhileTheyAreInUseAndServeWhenTheyArePutBack(t *testing.T) {
	forRotating(t, settings{}, func(r *rig, k kind) {
		s, first := k.begin(r), r.tap.lastIssued(r.t)
		robot := r.runCredentials()
		file := filepath.Join(r.g.home, "copy.db")
		busy := startLoad(4, 5*time.Millisecond, func(n int) (answer, error) {
			if n%8 == 0 {
				return r.tryPost("/token", session{basic: []string{"robot", r.robotSecret}}, map[string][]string{"grant_type": {"client_credentials"}})
			}
			return r.tryGet(robot)
		})
		for n := range 3 { // also one after the other
			_ = os.Remove(file)
			stdout, stderr, code := r.g.command("oauth", "backup", "--address", r.g.admin, file)
			if code != 0 || !strings.Contains(stdout, "copy.db: ") {
				r.t.Fatalf("copy %d: %d %s%s", n, code, stdout, stderr)
			}
		}
		for _, one := range busy.stop() {
			if one.err != nil || one.status != http.StatusOK {
				r.t.Errorf("beside a copy: %d %v", one.status, one.err)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			r.t.Errorf("%v %v", info, err)
		}
		if _, stderr, code := r.g.command("oauth", "backup", "--address", r.g.admin, file); code != 2 || !strings.Contains(stderr, "is there already") {
			r.t.Errorf("a file that is there: %d %s", code, stderr)
		}
		if left, _ := filepath.Glob(r.path("grants.db") + "?*"); len(left) > 0 {
			r.t.Errorf("left beside the store: %v", left)
		}
		r.g.stop()
		if err := os.Rename(file, r.path("grants.db")); err != nil {
			r.t.Fatal(err)
		}
		r.start()
		r.life(60)
		r.awaitDeath(first)
		if token := r.get(s).tokenSeen(r.t); token == first.token {
			r.t.Error("the session was not refreshed")
		}
		if a := r.get(robot); a.status != http.StatusOK {
			r.t.Errorf("a grant of a robot: %d", a.status)
		}
	})
}
