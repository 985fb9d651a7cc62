package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// notWebSockets are wishes for a tunnel through which anything could be asked.
var notWebSockets = [][]string{
	{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
	{"Connection: upgrade", "Upgrade: H2C"},
	{"Connection: Upgrade", "Upgrade: websocket, h2c"},
	{"Connection: Upgrade", "Upgrade: h2c, websocket"},
	{"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"},
	{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"},
}

var aWebSocket = []string{"Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// A client that may read one page must not reach another by a second request in a
// connection that turned into a tunnel: no rule would judge it, and it would
// carry whatever identity it likes.
func TestNoTunnelOpensAWayPastTheRules(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startSwitcher(t)
	rules := func(more string) string {
		return fmt.Sprintf("oauth %s %s {\ncopy_claims sub>X-User-Id\nrequire /admin scope admin\n%s\n}\n", f.url, audience, more)
	}
	g := newGateway(t)
	open := freePort(t)
	g.serve(fmt.Sprintf("http://127.0.0.1:%d {\n%sreverse_proxy %s\n}\nhttp://127.0.0.1:%d {\n%sreverse_proxy %[3]s\n}\n",
		g.port, rules(""), up.address(), open, rules("allow_anonymous")))
	side := newSidecar(t, theBinary, "OAUTH_ISSUER="+f.url, "OAUTH_INSECURE_HTTP=true", "UPSTREAM="+up.address())
	side.run(t, http.StatusOK)

	bearer := "Authorization: Bearer " + f.token(nil)
	for _, way := range []struct{ name, address, credential, as string }{
		{"with a token", fmt.Sprint("127.0.0.1:", g.port), bearer, " alice"},
		{"anonymous", fmt.Sprint("127.0.0.1:", open), "Accept: */*", ""},
		{"through the sidecar", strings.TrimPrefix(side.url, "http://"), bearer, " alice"},
	} {
		t.Run(way.name, func(t *testing.T) {
			for _, wish := range notWebSockets {
				before := len(up.seen())
				d, status := dig(t, way.address, "GET /page", append(wish, way.credential)...)
				d.ask("/admin")
				if got := up.seen()[before:]; status != http.StatusNoContent || !slices.Equal(got, []string{"HTTP/1.1 /page" + way.as}) {
					t.Errorf("%q: %d, and the upstream saw %q", wish, status, got)
				}
			}
			before := len(up.seen())
			for _, line := range []string{"CONNECT /page", "CONNECT " + way.address} {
				if _, status := dig(t, way.address, line, way.credential); status != http.StatusBadRequest || len(up.seen()) != before {
					t.Errorf("%s: %d, and the upstream saw %q", line, status, up.seen()[before:])
				}
			}
			d, status := dig(t, way.address, "GET /page", append(aWebSocket, way.credential)...)
			if status != http.StatusSwitchingProtocols || !d.echoes() {
				t.Errorf("a WebSocket: %d", status)
			}
		})
	}
}

// The gateway cannot take anything off a request that another proxy holds.
func TestBehindAProxyThatAsksNoTunnelOpensAWayPastTheRules(t *testing.T) {
	behindEachProxy(t, func(a *asker) {
		up := startSwitcher(a.T)
		address := strings.TrimPrefix(a.start(a.T, strings.TrimPrefix(a.judge.url(""), "http://"), up.address()), "http://")
		bearer := "Authorization: Bearer " + a.reading
		for _, wish := range notWebSockets {
			before := len(up.seen())
			d, status := dig(a.T, address, "GET /page", append(wish, bearer)...)
			d.ask("/admin")
			if status >= http.StatusInternalServerError {
				a.Errorf("%q: %d", wish, status)
			}
			for _, saw := range up.seen()[before:] {
				if !strings.HasSuffix(saw, " /page alice") {
					a.Errorf("%q: the upstream saw %q", wish, saw)
				}
			}
		}
		d, status := dig(a.T, address, "GET /page", append(aWebSocket, bearer)...)
		if status != http.StatusSwitchingProtocols || !d.echoes() {
			a.Errorf("a WebSocket: %d", status)
		}
	})
}
