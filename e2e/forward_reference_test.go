package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// The upstream proves each token it gets, and the rig looks for references in
// whatever the upstream and the logs saw.
func TestBehindAProxyThatAsksAReferenceTokenBecomesTheAccessToken(t *testing.T) {
	t.Parallel()
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{oauth: "forward_auth {\n\t\t\tfrom 127.0.0.1\n\t\t\tstatuses 401 403\n\t\t}"})
			s := r.runCredentials()

			// As a judge it needs a site for every host.
			text, err := os.ReadFile(r.g.config)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, r.g.home, "Caddyfile", change(t, string(text), fmt.Sprintf("http://127.0.0.1:%d {", r.g.port), fmt.Sprintf(":%d {", r.g.port)))
			r.g.reload()
			url := f.start(t, strings.TrimPrefix(r.g.url(""), "http://"), r.api.address())
			got := get(t, url+"/orders", s.access)
			got.wantPass(t, "robot")
			if auth := got.seen(t).Header.Values("Authorization"); len(auth) != 1 || !strings.HasPrefix(auth[0], "Bearer ey") {
				t.Errorf("the upstream saw Authorization %q", auth)
			}
			if got := get(t, url+"/orders?x="+s.access, s.access); got.status != http.StatusUnauthorized {
				t.Errorf("with a reference in the query too: %d", got.status)
			}
			r.revoke(s, s.access)
			if got := get(t, url+"/orders", s.access); got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("Www-Authenticate"), `error="invalid_token"`) {
				t.Errorf("revoked: %d %q", got.status, got.header.Values("Www-Authenticate"))
			}
			if n := r.api.requests.Load(); n != 1 {
				t.Errorf("%d requests reached the upstream, want 1", n)
			}
		})
	}
}
