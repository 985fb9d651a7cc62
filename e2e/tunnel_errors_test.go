package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// What comes in the body of a CONNECT over HTTP/2 would be requests to the
// upstream of an error page, of any client and with any identity.
func TestNoTunnelOpensToTheUpstreamOfAnErrorPage(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startSwitcher(t)
	g := newGateway(t)
	g.options = "servers {\nprotocols h1 h2c\n}"
	g.serve(fmt.Sprintf(`
http://:%d {
	oauth %s %s {
		copy_claims sub>X-User-Id
		insecure_upgrades h2c
	}
	reverse_proxy %s
	handle_errors {
		rewrite /page
		reverse_proxy %[4]s
	}
}
`, g.port, f.url, audience, up.address()))
	address := fmt.Sprint("127.0.0.1:", g.port)

	h2c := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	defer h2c.CloseIdleConnections()
	client := &http.Client{Transport: h2c, Timeout: 20 * time.Second}
	resp, err := client.Do(&http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: address}, Host: address, ContentLength: -1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader("GET /admin HTTP/1.1\r\nHost: x\r\nX-User-Id: root\r\n\r\n")),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(resp.Body)
	if got := up.seen(); resp.StatusCode != http.StatusBadRequest || len(got) > 0 {
		t.Errorf("CONNECT: %s, and the upstream saw %q", resp.Status, got)
	}

	d, status := dig(t, address, "GET /orders", "Connection: Upgrade", "Upgrade: h2c")
	d.ask("/admin")
	for _, saw := range up.seen() {
		if status == http.StatusSwitchingProtocols || saw != "HTTP/1.1 /page" {
			t.Errorf("Upgrade: %d, and the upstream saw %q", status, saw)
		}
	}
}
