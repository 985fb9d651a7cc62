package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

// fencedBlock is one of a page of docs/.
func fencedBlock(t *testing.T, name, language, mark string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if block[1] == language && strings.Contains(block[2], mark) {
			return block[2]
		}
	}
	t.Fatalf("docs/%s has no block of %s with %q", name, language, mark)
	return ""
}

// streamer is an application that streams: events with a pause that ends only when
// the first has arrived, and calls in the manner of gRPC, with trailers.
func startStreamer(t *testing.T) (address string, heard chan struct{}) {
	t.Helper()
	heard = make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-heard:
				fmt.Fprint(w, "data: second\n\n")
			case <-r.Context().Done():
			}
		case "/upload":
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		case "/say.Service/Call":
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			fmt.Fprintf(w, "%s %s %s", r.Proto, r.Header.Get("Authorization")[:6], body)
			w.Header().Set("Grpc-Status", "0")
		default:
			fmt.Fprint(w, len(r.Header.Get("Authorization")), " ", r.Header.Get("X-Forwarded-Proto"))
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://"), heard
}

func TestBehindNginxAndHAProxyStreamsLargeTokensAndLargeBodiesPass(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(t *testing.T, port, grpc int, gateway string){
		"nginx": func(t *testing.T, port, grpc int, gateway string) {
			dir := t.TempDir()
			text := change(t, fencedBlock(t, "recipes.md", "nginx", "grpc_pass"), "127.0.0.1:8080", fmt.Sprint("127.0.0.1:", port),
				"127.0.0.1:8082", fmt.Sprint("127.0.0.1:", grpc), "127.0.0.1:8081", gateway)
			text = "pid nginx.pid;\ndaemon off;\nmaster_process off;\nerror_log stderr info;\n" +
				strings.Replace(text, "http {\n", "http {\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\n"+
					"fastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n", 1)
			startProcess(t, dir, nil, installed(t, "nginx", "nginx-light"), "-p", dir, "-e", "stderr", "-c", writeFile(t, dir, "nginx.conf", text))
		},
		"haproxy": func(t *testing.T, port, _ int, gateway string) {
			text := change(t, fencedBlock(t, "recipes.md", "haproxy", "proto h2"), "127.0.0.1:8080", fmt.Sprint("127.0.0.1:", port), "127.0.0.1:8081", gateway)
			startProcess(t, t.TempDir(), nil, installed(t, "haproxy", "haproxy"), "-db", "-f", writeFile(t, t.TempDir(), "haproxy.cfg", text))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, g, ws := startFakeIssuer(t), newGateway(t), startSwitcher(t)
			app, heard := startStreamer(t)
			calls := startGRPC(t)
			g.options = "servers {\n\t\tprotocols h1 h2c\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"
			g.serve(fmt.Sprintf("http://:%d {\n\toauth %s %s\n\treverse_proxy /grpc.* h2c://%s\n\t@grpc header Content-Type application/grpc*\n\treverse_proxy @grpc h2c://%s\n\treverse_proxy /page %s\n\treverse_proxy %[5]s\n}\n",
				g.port, f.url, audience, calls.address, app, ws.address()))
			port, calling := freePort(t), freePort(t)
			if name == "haproxy" {
				calling = port
			}
			run(t, port, calling, fmt.Sprint("127.0.0.1:", g.port))
			for _, at := range []int{port, calling} {
				await(t, 20*time.Second, name+" to listen", func() bool {
					conn, err := net.DialTimeout("tcp", fmt.Sprint("127.0.0.1:", at), time.Second)
					if err == nil {
						closeAll(conn)
					}
					return err == nil
				})
			}
			testStreams(t, at(port), at(calling), f, heard)
			testCalls(t, fmt.Sprint("127.0.0.1:", calling), f)
			d, status := dig(t, fmt.Sprint("127.0.0.1:", port), "GET /page", append(aWebSocket, "Authorization: Bearer "+f.token(nil))...)
			if status != http.StatusSwitchingProtocols || !d.echoes() {
				t.Errorf("a WebSocket: %d", status)
			}
		})
	}
}

func testStreams(t *testing.T, web, grpc string, f *fakeIssuer, heard chan struct{}) {
	t.Helper()
	ask := func(client *http.Client, method, url, token string, body io.Reader, headers ...string) *http.Response {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, method, url, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		for n := 0; n < len(headers); n += 2 {
			req.Header.Set(headers[n], headers[n+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, url, err)
		}
		t.Cleanup(func() { closeAll(resp.Body) })
		return resp
	}
	whole := func(resp *http.Response) string {
		t.Helper()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	plain := newClient(time.Minute)
	large := f.token(map[string]any{"pad": strings.Repeat("a", 12_000)})
	if got := whole(ask(plain, http.MethodGet, web+"/", large, nil, "X-Forwarded-Proto", "https")); got != fmt.Sprint(7+len(large), " http") {
		t.Errorf("a large token: %s", got)
	}
	token := f.token(nil)
	const megabytes = 20 << 20
	if got := whole(ask(plain, http.MethodPost, web+"/upload", token, bytes.NewReader(make([]byte, megabytes)))); got != fmt.Sprint(megabytes, " <nil>") {
		t.Errorf("a large body: %s", got)
	}
	events := ask(plain, http.MethodGet, web+"/events", token, nil)
	first := make([]byte, len("data: first\n\n"))
	if _, err := io.ReadFull(events.Body, first); err != nil { // before there is a second one
		t.Errorf("the first event: %v", err)
	}
	close(heard)
	if got := whole(events); got != "data: second\n\n" {
		t.Errorf("the second event: %q", got)
	}
	h2 := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	h2.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	call := ask(h2, http.MethodPost, grpc+"/say.Service/Call", token, strings.NewReader("hello"), "Content-Type", "application/grpc", "TE", "trailers")
	if got := whole(call); got != "HTTP/2.0 Bearer hello" || call.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("a call: %d %q, trailers %v", call.StatusCode, got, call.Trailer)
	}
	refused := ask(h2, http.MethodPost, grpc+"/say.Service/Call", "nonsense", strings.NewReader("hello"), "Content-Type", "application/grpc", "TE", "trailers")
	if refused.StatusCode != http.StatusUnauthorized {
		t.Errorf("a call with a bad token: %d", refused.StatusCode)
	}
}

// testCalls has grpc-go call a server of its own kind through the front.
func testCalls(t *testing.T, address string, f *fakeIssuer) {
	t.Helper()
	for token, want := range map[string]codes.Code{f.token(nil): codes.OK, "nonsense": codes.Unauthenticated} {
		source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
			grpc.WithUnaryInterceptor(withTokenOf(source)), grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				return open(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), desc, conn, method, opts...)
			}))
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t, conn); grpcstatus.Code(err) != want {
			t.Errorf("grpc-go gets %v, want %v", err, want)
		}
		if want == codes.OK {
			both := openTalk(t, conn)
			both.ask(t)
			both.ask(t) // it goes both ways, more than once
		}
		closeAll(conn)
	}
}

func TestAWebSocketOutlivesAReloadWhereTheProxyLetsIt(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startSwitcher(t)
	for words, want := range map[string]bool{"": false, "stream_close_delay 5m\nstream_timeout 8h": true} {
		g := newGateway(t)
		site := func(more string) string {
			return fmt.Sprintf("http://127.0.0.1:%d {\n\toauth %s %s\n\treverse_proxy %s {\n\t%s\n}\n%s\n}\n", g.port, f.url, audience, up.address(), words, more)
		}
		g.serve(site(""))
		d, status := dig(t, fmt.Sprint("127.0.0.1:", g.port), "GET /page", append(aWebSocket, "Authorization: Bearer "+f.token(nil))...)
		if status != http.StatusSwitchingProtocols || !d.echoes() {
			t.Fatalf("a WebSocket: %d", status)
		}
		g.write(site("header X-New 1"))
		g.reload()
		await(t, 20*time.Second, "the new configuration", func() bool { return get(t, g.url("/page"), f.token(nil)).header.Get("X-New") == "1" })
		if got := d.echoes(); got != want {
			t.Errorf("with %q it goes on: %v, want %v", words, got, want)
		}
	}
}
