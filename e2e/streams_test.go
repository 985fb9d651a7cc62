package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	grpcstatus "google.golang.org/grpc/status"
)

// A client that gives its token back at one node is gone from the other one, too:
// its WebSocket, and its call of gRPC.
func TestWhatIsOpenAtOneNodeEndsWithinASecondWhenItsGrantEndsAtAnother(t *testing.T) {
	t.Parallel()
	issuer, store := startNode(t, "oidc-provider.mjs", "ALGORITHMS=ES256", "TOKEN_SECONDS=300"), startRedis(t)
	up, api := startSwitcher(t), startGRPC(t)
	var nodes []*gateway
	for range 2 {
		g := newGateway(t)
		g.options = "servers {\n\t\tprotocols h1 h2c\n\t}"
		g.serve(fmt.Sprintf(`http://127.0.0.1:%d {
	oauth {
		issuer %s {
			audience %s
		}
		session {
			store redis %s
			keys 0123456789abcdef0123456789abcdef
		}
		token_endpoint /token {
			revocation_endpoint /revoke
		}
	}
	@grpc header Content-Type application/grpc*
	reverse_proxy @grpc h2c://%s
	reverse_proxy %s
}
`, g.port, issuer.url, audience, store.address(), api.address, up.address()))
		nodes = append(nodes, g)
	}
	source := grpcSource(t, nodes[0].url("/token"), "orders:read")
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	ws, status := dig(t, fmt.Sprint("127.0.0.1:", nodes[1].port), "GET /page", append(aWebSocket, "Authorization: Bearer "+token.AccessToken)...)
	if status != http.StatusSwitchingProtocols {
		t.Fatal(status)
	}
	const whole = "\x82\x01x"
	back := make([]byte, len(whole))
	_, _ = io.WriteString(ws.conn, whole)
	if _, err := io.ReadFull(ws.from, back); err != nil || string(back) != whole {
		t.Fatalf("%q %v", back, err)
	}
	conn, err := grpc.NewClient(fmt.Sprint("dns:///127.0.0.1:", nodes[1].port), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(conn)
	info, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(
		metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	call := talk{info}
	call.ask(t)
	await(t, 20*time.Second, "the node to count both", func() bool {
		return strings.Contains(nodes[1].adminGet("/metrics"), `caddy_oauth_streams{kind="grpc"} 1`)
	})
	req, _ := http.NewRequest(http.MethodPost, nodes[0].url("/revoke"), strings.NewReader(url.Values{"token": {token.AccessToken}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("service-ES256", "secret")
	resp, err := plainClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	closeAll(resp.Body)
	ended := time.Now()
	rest, err := io.ReadAll(ws.from)
	if err != nil || !strings.HasPrefix(string(rest), "\x88") || !strings.Contains(string(rest), "\x03\xf0") {
		t.Errorf("the WebSocket ends with %q %v", rest, err)
	}
	if took := time.Since(ended); took > 10*time.Second { // the message comes at once; a busy machine takes its time
		t.Errorf("it took %s", took)
	} else {
		t.Logf("it took %s", took)
	}
	if _, err := call.Recv(); grpcstatus.Code(err) != codes.Unauthenticated {
		t.Errorf("the call ends with %v", err)
	}
}
