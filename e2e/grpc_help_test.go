package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// grpcAPI is an upstream that speaks gRPC over HTTP/2 without TLS. Its health
// service answers single calls, and its reflection is a stream that goes both ways.
type grpcAPI struct {
	address string

	mu     sync.Mutex
	tokens []string // what came as Authorization, each once
}

func startGRPC(t *testing.T) *grpcAPI {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := &grpcAPI{address: listener.Addr().String()}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			api.see(ctx)
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			api.see(stream.Context())
			return handler(srv, stream)
		}),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return api
}

func (a *grpcAPI) see(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, token := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		if !slices.Contains(a.tokens, token) {
			a.tokens = append(a.tokens, token)
		}
	}
}

// seen are the access tokens that came, without their scheme.
func (a *grpcAPI) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]string, len(a.tokens))
	for i, token := range a.tokens {
		all[i] = token[len("Bearer "):]
	}
	return all
}

// grpcGateway serves gRPC with TLS, and the same over HTTP/2 without TLS at its
// other port.
func grpcGateway(t *testing.T, issuer *realIssuer, api *grpcAPI) *gateway {
	t.Helper()
	g := newGateway(t)
	g.options = fmt.Sprintf("servers :%d {\n\t\tprotocols h1 h2c\n\t}", g.port)
	site := fmt.Sprintf(` {
	log
	oauth {
		issuer %s {
			audience %s
			skew 1s
		}
		session {
			store memory
			refresh_wait 1s
		}
		token_endpoint /token
		require scope orders:read
	}
	reverse_proxy h2c://%s
}
`, issuer.url, audience, api.address)
	g.serve(fmt.Sprintf("http://127.0.0.1:%d%s", g.port, site) + fmt.Sprintf("https://localhost:%d%s", g.tlsPort, strings.Replace(site, "{", "{\n\ttls internal", 1)))
	return g
}

// grpcSource gets tokens where the token endpoint is.
func grpcSource(t *testing.T, endpoint, scope string) oauth2.TokenSource {
	t.Helper()
	config := clientcredentials.Config{
		ClientID: "service-ES256", ClientSecret: "secret", TokenURL: endpoint, Scopes: []string{scope},
		EndpointParams: map[string][]string{"resource": {audience}},
	}
	return config.TokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, plainClient))
}

// grpcConn is a client of the gateway's site with TLS.
func grpcConn(t *testing.T, g *gateway, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("dns:///localhost:%d", g.tlsPort),
		append(more, grpc.WithTransportCredentials(credentials.NewTLS(g.trust())), grpc.WithNoProxy())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(conn) })
	return conn
}

// check is a single call.
func check(t *testing.T, conn *grpc.ClientConn, how ...grpc.CallOption) error {
	t.Helper()
	_, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, how...)
	return err
}

// talk is a stream that goes both ways, and ask a question and its answer on it.
type talk struct {
	grpc_reflection_v1.ServerReflection_ServerReflectionInfoClient
}

func openTalk(t *testing.T, conn *grpc.ClientConn) talk {
	t.Helper()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return talk{stream}
}

func (s talk) ask(t *testing.T) {
	t.Helper()
	err := s.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Errorf("on the open stream: %v", err)
	}
}

// refusalsWith counts the gateway's answers with a status.
func refusalsWith(g *gateway, status int) int {
	return len(g.logLines(func(line map[string]any) bool {
		return line["msg"] == "handled request" && line["status"] == float64(status)
	}))
}

// endpoints are where a client gets its tokens: at the issuer, or at the gateway.
func endpoints(issuer *realIssuer, g *gateway) map[string]string {
	return map[string]string{"at the issuer": issuer.url + "/token", "at the gateway": g.url("/token")}
}

// withTokenOf does what oauth.TokenSource does, without asking for TLS.
func withTokenOf(source oauth2.TokenSource) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		token, err := source.Token()
		if err != nil {
			return err
		}
		return call(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.AccessToken), method, req, reply, conn, opts...)
	}
}
