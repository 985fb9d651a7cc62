package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

func TestAnswersAndChallengesAreTheSameOverHTTP1HTTP2AndHTTP3(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	up := startUpstream(t)
	g := newGateway(t)
	g.serve(g.site(g.port, identity(f.url, audience), up) + fmt.Sprintf(`
https://localhost:%d {
	tls internal
	log
	oauth %s %s {
		copy_claims sub>X-User-Id
		require scope orders:read
		realm orders
	}
	reverse_proxy %s
}
`, g.tlsPort, f.url, audience, up.address()))
	address := fmt.Sprintf("https://localhost:%d/", g.tlsPort)
	trust := g.trust()

	h1 := &http.Transport{TLSClientConfig: trust.Clone(), Protocols: new(http.Protocols)}
	h1.Protocols.SetHTTP1(true)
	h2 := &http.Transport{TLSClientConfig: trust.Clone(), Protocols: new(http.Protocols)}
	h2.Protocols.SetHTTP2(true)
	h3 := &http3.Transport{TLSClientConfig: trust.Clone()}
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		closeAll(h3)
	})
	for proto, transport := range map[string]http.RoundTripper{"HTTP/1.1": h1, "HTTP/2.0": h2, "HTTP/3.0": h3} {
		t.Run(strings.ReplaceAll(proto, "/", " "), func(t *testing.T) {
			client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			resp, err := client.Get(address)
			if err != nil {
				t.Fatal(err)
			}
			closeAll(resp.Body)
			if resp.Proto != proto {
				t.Fatalf("the answer came over %s", resp.Proto)
			}
			wantSameAnswers(t, client, address, f)
		})
	}
}

func wantSameAnswers(t *testing.T, client *http.Client, address string, f *fakeIssuer) {
	t.Helper()
	ask := func(token string) answer {
		a, err := try(client, address, token)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ask(f.token(nil)).wantPass(t, "alice")
	bare := ask("").wantChallenge(t, http.StatusUnauthorized, "")
	if bare != `Bearer realm="orders"` {
		t.Errorf("the bare challenge is %q", bare)
	}
	ask(f.badSignature(newSignKey(t))).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	scope := ask(f.token(map[string]any{"scope": "none"})).wantChallenge(t, http.StatusForbidden, "insufficient_scope")
	if !strings.Contains(scope, `scope="orders:read"`) {
		t.Errorf("the challenge %q names no scope", scope)
	}
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = []string{"Bearer " + f.token(nil), "Bearer " + f.token(nil)}
	a, err := send(client, req)
	if err != nil {
		t.Fatal(err)
	}
	a.wantChallenge(t, http.StatusBadRequest, "invalid_request")
}
