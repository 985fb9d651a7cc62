package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// A JWT that nobody asks its issuer about is refused once an operator says so: at
// every node of a shared store, behind a restart, and for nobody else.
func TestWhatAnOperatorTakesBackIsRefusedAtEveryNodeAndBehindARestart(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(home string) (words string){
		"redis": func(string) string { return "redis " + startRedis(t).address() },
		"bolt":  func(home string) string { return "bolt " + filepath.Join(home, "grants.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, up := startFakeIssuer(t), startUpstream(t)
			nodes := []*gateway{newGateway(t)}
			if name == "redis" {
				nodes = append(nodes, newGateway(t))
			}
			where := store(nodes[0].home)
			for _, g := range nodes {
				g.serve(fmt.Sprintf("http://127.0.0.1:%d {\n\toauth {\n\t\tissuer %s {\n\t\t\taudience %s\n\t\t}\n\t\tsession {\n\t\t\tstore %s\n\t\t\tkeys 0123456789abcdef0123456789abcdef\n\t\t}\n\t\tcopy_claims sub>X-User-Id\n\t}\n\treverse_proxy %s\n}\n",
					g.port, f.url, audience, where, up.address()))
			}
			token, other := f.token(map[string]any{"sub": "mallory"}), f.token(map[string]any{"sub": "alice"})
			for _, g := range nodes {
				g.bearer(token).wantPass(t, "mallory")
			}
			said, complaint, code := nodes[0].command("oauth", "revoke", "--issuer", f.url, "--subject", "mallory", "--address", nodes[0].admin)
			if code != 0 {
				t.Fatalf("%d %s %s", code, said, complaint)
			}
			began := time.Now()
			for i, g := range nodes {
				await(t, 10*time.Second, fmt.Sprintf("node %d to refuse it", i), func() bool { return g.bearer(token).status == http.StatusUnauthorized })
			}
			t.Logf("every node refuses it after %s", time.Since(began).Round(time.Millisecond))
			last := nodes[len(nodes)-1]
			last.bearer(token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
			last.bearer(other).wantPass(t, "alice")
			last.stop()
			<-last.proc.done
			last.start()
			await(t, 10*time.Second, "it to be refused behind a restart", func() bool { return last.bearer(token).status == http.StatusUnauthorized })
			last.bearer(other).wantPass(t, "alice")
		})
	}
}
