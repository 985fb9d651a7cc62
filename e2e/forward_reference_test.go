package e2e

import (
	"net/http"
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
