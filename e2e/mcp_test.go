package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// mcpSite is an MCP server that knows nothing of OAuth, behind the gateway, and
// an authorization server at which the client is not registered.
type mcpSite struct {
	t        *testing.T
	g        *gateway
	as       *realIssuer
	resource string
	upstream *httptest.Server
	heard    chan struct{} // closed when a message of the tool "wait" has come
	hear     sync.Once
}

// startMCP starts a server at this path of its host.
func startMCP(t *testing.T, path string) *mcpSite {
	t.Helper()
	s := &mcpSite{t: t, g: newGateway(t), heard: make(chan struct{})}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	say := func(text string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	}
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		return say(req.Extra.Header.Get("X-User-Id")), nil, nil
	})
	// It ends only when its client has heard of it.
	mcp.AddTool(server, &mcp.Tool{Name: "wait"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1})
		if err != nil {
			return nil, nil, err
		}
		select {
		case <-s.heard:
			return say("heard"), nil, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	})
	s.upstream = httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	t.Cleanup(func() {
		s.upstream.CloseClientConnections()
		s.upstream.Close()
	})
	s.resource = s.g.url(path)
	s.as = startNode(t, "mcp.mjs", "RESOURCE="+s.resource)
	s.write("mcp:tools")
	s.g.start()
	return s
}

// write writes the example as the gateway's configuration, with the addresses
// of this test and the scope that it asks for.
func (s *mcpSite) write(scope string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "caddyfile", "mcp.Caddyfile"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.g.write(strings.NewReplacer(
		"mcp.example.com {", fmt.Sprintf("http://127.0.0.1:%d {\n\tlog", s.g.port),
		"https://login.example.com", s.as.url,
		"https://mcp.example.com/mcp", s.resource,
		"scope mcp:tools", "scope "+scope,
		"mcp:9000", strings.TrimPrefix(s.upstream.URL, "http://"),
	).Replace(string(text)))
}

// raise makes the running gateway ask for more, while clients are connected.
func (s *mcpSite) raise() {
	s.write("mcp:tools mcp:admin")
	if stderr, code := s.g.tryReload(); code != 0 {
		s.t.Errorf("caddy reload failed with %d:\n%s", code, stderr)
	}
}

// refusals are the reasons in the gateway's log, each once.
func (s *mcpSite) refusals() (reasons []string) {
	for _, line := range s.g.logLines(func(line map[string]any) bool { return line["msg"] == "refused" }) {
		reasons = append(reasons, fmt.Sprint(line["status"], " ", line["reason"]))
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

func TestTheGoClientOfMCPLogsInCallsToolsAndStepsUpThroughTheGateway(t *testing.T) {
	t.Parallel()
	s, alice := startMCP(t, "/mcp"), newPerson()
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "a test", RedirectURIs: []string{callback}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
		}},
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			back, err := alice.authorize(ctx, args.URL)
			if err != nil {
				return nil, err
			}
			return &auth.AuthorizationResult{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}, nil
		},
		Client: plainClient,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "a test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { s.hear.Do(func() { close(s.heard) }) },
	})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: s.resource, OAuthHandler: handler, HTTPClient: newClient(2 * time.Minute), // the SDK itself waits for ever
	}, nil)
	if err != nil {
		t.Fatal("connecting: ", err)
	}
	defer closeAll(session)
	call := func(name string) {
		t.Helper()
		params := &mcp.CallToolParams{Name: name, Arguments: map[string]any{}}
		params.SetProgressToken(name)
		result, err := session.CallTool(ctx, params)
		if err != nil && strings.HasSuffix(err.Error(), "EOF") {
			result, err = session.CallTool(ctx, params) // a reload has closed the connection, and no client repeats a POST by itself
		}
		if err != nil {
			t.Fatalf("calling %s: %v", name, err)
		}
		want := map[string]string{"whoami": "alice", "wait": "heard"}[name]
		if text, ok := result.Content[0].(*mcp.TextContent); !ok || text.Text != want {
			t.Errorf("%s answers %+v, want %s", name, result.Content[0], want)
		}
	}
	call("whoami")
	s.raise()
	call("whoami")
	call("wait")
	s.checkAsked(alice.asked)
}

// checkAsked is what every client must have gone through.
func (s *mcpSite) checkAsked(asked []string) {
	s.t.Helper()
	if len(asked) != 2 || asked[0] != "mcp:tools" {
		s.t.Fatalf("authorization was asked for with the scopes %q; want mcp:tools first, then more", asked)
	}
	if more := strings.Fields(asked[1]); !slices.Contains(more, "mcp:admin") || !slices.Contains(more, "mcp:tools") {
		s.t.Errorf("stepping up asked for %q", more)
	}
	if got := strings.Join(s.refusals(), ", "); got != "401 no_credential, 403 missing_scope" {
		s.t.Errorf("the gateway refused: %s", got)
	}
	var counts struct{ Registrations, Metadata int }
	if a := get(s.t, s.as.url+"/_test/counts", ""); json.Unmarshal([]byte(a.body), &counts) != nil || counts.Registrations == 0 || counts.Metadata < 2 {
		s.t.Errorf("the authorization server was asked %s", a.body)
	}
}

// The packages of two revisions of the specification, for a server below its host
// and at the root of it.
func TestTheTypeScriptClientsOfMCPLogInCallToolsAndStepUpThroughTheGateway(t *testing.T) {
	t.Parallel()
	for _, sdk := range []string{"@modelcontextprotocol/client", "@modelcontextprotocol/sdk"} {
		for _, path := range []string{"/mcp", ""} {
			t.Run(sdk+" at the path "+path, func(t *testing.T) {
				t.Parallel()
				s := startMCP(t, path)
				got := s.typeScript(sdk)
				s.checkAsked(got.Asked)
				if len(got.Resources) != 1 || got.Resources[0] != s.resource {
					t.Errorf("it asked for %q, want %s", got.Resources, s.resource)
				}
			})
		}
	}
}

// A client of before writes the address of a server at the root of its host with a
// slash, and the server puts that into aud. It asks for the scope that it was told,
// and knows of no more.
func TestATypeScriptClientOfMCPThatAddsASlashIsLetInToAServerAtTheRoot(t *testing.T) {
	t.Parallel()
	s := startMCP(t, "")
	got := s.typeScript("@modelcontextprotocol/sdk-1.20", "mcp:tools mcp:admin")
	if want := s.resource + "/"; len(got.Resources) != 1 || got.Resources[0] != want {
		t.Errorf("it asked for %q, want %s", got.Resources, want)
	}
	if refusals := s.refusals(); len(refusals) != 1 || refusals[0] != "401 no_credential" {
		t.Errorf("the gateway refused: %q", refusals)
	}
}

// typeScriptSaw is what a TypeScript client tells.
type typeScriptSaw struct {
	First, Second, Last string
	Asked, Resources    []string
	Logins              int
}

// typeScript runs a client with these words, from log-in to log-out.
func (s *mcpSite) typeScript(words ...string) (got typeScriptSaw) {
	s.t.Helper()
	test := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/called":
			s.raise()
		case "/heard":
			s.hear.Do(func() { close(s.heard) })
		}
	}))
	defer test.Close()
	words = append([]string{filepath.Join("clients", "mcp.mjs"), s.resource, test.URL}, words...)
	out, stderr, code := runCommand(s.t, s.t.TempDir(), "", "node", words...)
	if code != 0 {
		s.t.Fatalf("the TypeScript client ended with %d:\n%s", code, stderr)
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		s.t.Fatalf("the TypeScript client wrote %q: %v", out, err)
	}
	if got.First != "alice" || got.Second != "alice" || got.Last != "heard" || got.Logins != 1 {
		s.t.Errorf("the TypeScript client got %+v", got)
	}
	return got
}

func TestAScriptOfAnyOriginFindsItsWayToALogIn(t *testing.T) {
	t.Parallel()
	s := startMCP(t, "/mcp")
	ask := func(method, path string, headers ...string) answer {
		t.Helper()
		req, err := http.NewRequest(method, s.g.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://inspector.example")
		for n := 0; n < len(headers); n += 2 {
			req.Header.Set(headers[n], headers[n+1])
		}
		a, err := send(plainClient, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
			t.Errorf("%s %s is for the origins %q", method, path, got)
		}
		return a
	}
	const document = "/.well-known/oauth-protected-resource/mcp"
	for _, path := range []string{"/mcp", document} {
		a := ask(http.MethodOptions, path, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,mcp-protocol-version")
		if a.status != http.StatusNoContent || !strings.HasSuffix(a.header.Get("Access-Control-Allow-Headers"), "*") {
			t.Errorf("the preflight of %s: %d %v", path, a.status, a.header)
		}
	}
	a := ask(http.MethodPost, "/mcp")
	if want := fmt.Sprintf("Bearer scope=%q, resource_metadata=%q", "mcp:tools", s.g.url(document)); a.status != http.StatusUnauthorized || a.header.Get("Www-Authenticate") != want ||
		!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("without a token: %d %v, want %s", a.status, a.header, want)
	}
	a = ask(http.MethodGet, document)
	want := fmt.Sprintf(`{"resource":%q,"authorization_servers":[%q],"scopes_supported":["mcp:tools"],"bearer_methods_supported":["header"]}`, s.resource, s.as.url)
	if a.status != http.StatusOK || strings.TrimSpace(a.body) != want {
		t.Errorf("the document: %d %s; want %s", a.status, a.body, want)
	}
}
