package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

func TestAGRPCClientGoesOnWhenItsTokenRunsOutAndSoDoesItsOpenStreamWhereTheGatewayRenewsIt(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"at the issuer", "at the gateway"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			// x/oauth2 gets another token ten seconds before the end of the first.
			issuer := startNode(t, "oidc-provider.mjs", "ALGORITHMS=ES256", "TOKEN_SECONDS=13")
			api := startGRPC(t)
			g := grpcGateway(t, issuer, api)
			source := grpcSource(t, endpoints(issuer, g)[where], "orders:read")
			conn := grpcConn(t, g, grpc.WithPerRPCCredentials(oauth.TokenSource{TokenSource: source}))
			first, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			stream := openTalk(t, conn)
			stream.ask(t)
			await(t, 30*time.Second, "another access token at the API", func() bool {
				if err := check(t, conn); err != nil {
					t.Fatal(err)
				}
				return len(api.seen()) == 2
			})
			await(t, 30*time.Second, "the end of the first access token", func() bool {
				return get(t, g.url("/"), api.seen()[0]).status == http.StatusUnauthorized
			})
			if where == "at the gateway" {
				stream.ask(t)
			} else if _, err := stream.Recv(); grpcstatus.Code(err) != codes.Unauthenticated { // nothing renews what it came with
				t.Errorf("the stream ends with %v", err)
			}
			if err := check(t, conn); err != nil {
				t.Error(err)
			}
			last, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			if same := last.AccessToken == first.AccessToken; same != (where == "at the gateway") {
				t.Errorf("the client's own token is the same: %v", same)
			}
			if leaked := slices.ContainsFunc(api.seen(), func(token string) bool { return strings.HasPrefix(token, "oga_") }); leaked {
				t.Error("the API saw a reference token")
			}
		})
	}
}

func TestAGRPCClientSeesStatusCodesForVerdictsAndFailuresAndNoChallenge(t *testing.T) {
	t.Parallel()
	port := fmt.Sprintf("PORT=%d", freePort(t))
	issuer := startNode(t, "oidc-provider.mjs", "ALGORITHMS=ES256", "TOKEN_SECONDS=4", port)
	g := grpcGateway(t, issuer, startGRPC(t))
	token := func(scope string) oauth.TokenSource {
		return oauth.TokenSource{TokenSource: grpcSource(t, issuer.url+"/token", scope)}
	}
	conn := grpcConn(t, g, grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4,
		"initialBackoff": "0.1s", "maxBackoff": "0.1s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`))
	var header, trailer metadata.MD
	if err := check(t, conn, grpc.Header(&header), grpc.Trailer(&trailer)); grpcstatus.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	if len(header)+len(trailer) > 0 {
		t.Errorf("the client sees %v %v, and the page says that it sees no header", header, trailer)
	}
	if err := check(t, conn, grpc.PerRPCCredentials(token("orders:write"))); grpcstatus.Code(err) != codes.PermissionDenied {
		t.Errorf("with less scope: %v", err)
	}

	held := oauth.TokenSource{TokenSource: grpcSource(t, g.url("/token"), "orders:read")}
	if err := check(t, conn, grpc.PerRPCCredentials(held)); err != nil {
		t.Fatal(err)
	}
	issuer.proc.signal(syscall.SIGTERM)
	await(t, 20*time.Second, "the issuer to be missed", func() bool {
		err := check(t, conn, grpc.PerRPCCredentials(held))
		if code := grpcstatus.Code(err); code != codes.OK && code != codes.Unavailable {
			t.Fatalf("while the issuer is down: %v", err)
		}
		return err != nil
	})
	await(t, 20*time.Second, "the calls of its retry policy", func() bool { return refusalsWith(g, http.StatusServiceUnavailable) == 4 })
	startNode(t, "oidc-provider.mjs", "ALGORITHMS=ES256", "TOKEN_SECONDS=4", port)
	await(t, 60*time.Second, "the same client to go on", func() bool {
		return check(t, conn, grpc.PerRPCCredentials(held)) == nil
	})
}

func TestAGRPCClientWithoutTLSHasToPutItsTokenIntoTheMetadataItself(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "ES256")
	g := grpcGateway(t, issuer, startGRPC(t))
	source := grpcSource(t, g.url("/token"), "orders:read")
	target := fmt.Sprintf("dns:///127.0.0.1:%d", g.port)
	plain := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy()}
	if conn, err := grpc.NewClient(target, append(plain, grpc.WithPerRPCCredentials(oauth.TokenSource{TokenSource: source}))...); err == nil {
		closeAll(conn)
		t.Error("its credentials go over a connection without TLS, and the page says that they do not")
	}
	conn, err := grpc.NewClient(target, append(plain, grpc.WithUnaryInterceptor(withTokenOf(source)))...)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(conn)
	if err := check(t, conn); err != nil {
		t.Error(err)
	}
}
