package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/tunnel"
)

// What the gateway strips from a question the proxy still has, so here such a
// request is refused.
func TestAQuestionAboutATunnelIsRefusedUnlessItIsAWebSocket(t *testing.T) {
	g := judgeOf(t, "", "insecure_upgrades TLS/1.0")
	token := []string{"Authorization", "Bearer " + goodToken(t, "")}
	for _, row := range []struct {
		method string
		fields []string
		want   string
	}{
		{"GET", []string{"h2c"}, "400 tunnel"},
		{"GET", []string{"websocket, h2c"}, "400 tunnel"},
		{"GET", []string{"websocket", "h2c"}, "400 tunnel"},
		{"GET", []string{"websocket", "websocket"}, "400 tunnel"},
		{"GET", []string{""}, "400 tunnel"},
		{"GET", []string{"WebSocket"}, "200"},
		{"GET", []string{"tls/1.0"}, "200"},
		{"CONNECT", nil, "400 tunnel"},
		{"CONNECT", []string{"websocket"}, "400 tunnel"},
	} {
		headers := slices.Clone(token)
		for _, field := range row.fields {
			headers = append(headers, "Connection", "Upgrade", "Upgrade", field)
		}
		if got := g.verdict(g.ask(row.method, "/", headers...)); got != row.want {
			t.Errorf("%s %q: %s, want %s", row.method, row.fields, got, row.want)
		}
	}
}

// connected is a request as Caddy's servers hand on an extended CONNECT.
func connected(major int, protocol string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodConnect, "https://api.example/orders", nil)
	r.Host, r.RemoteAddr = "api.example", "192.0.2.1:4711"
	r.ProtoMajor, r.ProtoMinor, r.Proto = major, 0, fmt.Sprint("HTTP/", major, ".0")
	if major == 3 {
		r.Proto = protocol
	} else {
		r.Header[":protocol"] = []string{protocol}
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	return r
}

func TestAWebSocketOfAnotherSiteDoesNotPassWithACookieOverHTTP2AndHTTP3Either(t *testing.T) {
	s := newPortal(t, "", nil)
	b := s.browser().logIn()
	for _, major := range []int{2, 3} {
		for origin, want := range map[string]int{"https://evil.example": 403, "https://api.example": 200} {
			r := connected(major, "websocket", "Origin", origin, "Cookie", "__Host-oauth="+b.cookies["__Host-oauth"])
			s.saw = nil
			if got := s.serve(r).Code; got != want || len(s.saw) != want/200%2 {
				t.Errorf("HTTP/%d, %s: %d, and %d requests upstream", major, origin, got, len(s.saw))
			}
			for _, saw := range s.saw {
				if saw.Method != http.MethodConnect { // or the proxy would not know it for a WebSocket
					t.Errorf("HTTP/%d: the proxy got %s", major, saw.Method)
				}
			}
		}
		for _, protocol := range []string{"h2c", "WebSocket", "websocket, h2c", ""} {
			if got := s.serve(connected(major, protocol)).Code; got != http.StatusBadRequest {
				t.Errorf("HTTP/%d, %q: %d", major, protocol, got)
			}
		}
	}
}

func TestTheDoctorWarnsOfUpgradesThatAreAllowed(t *testing.T) {
	issuer := newGrantor(t, nil)
	d := examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n}\ninsecure_upgrades h2c\n}", issuer.URL))
	d.wants(t, "warn settings: insecure_upgrades h2c")
}

// However the fields are written, what is left of them is one word that may
// pass, or nothing.
func FuzzUpgrade(f *testing.F) {
	f.Add("websocket", "", "Upgrade")
	f.Add("h2c", "websocket", "upgrade, HTTP2-Settings")
	f.Add("websocket,h2c", "", "Upgrade ,x")
	f.Add("weBſocket", "\x00", "\xff")
	f.Fuzz(func(t *testing.T, first, second, connection string) {
		h := http.Header{"Connection": {connection}, "Upgrade": {first}, tunnel.HTTP2Settings: {second}}
		if second != "" {
			h["Upgrade"] = append(h["Upgrade"], second)
		}
		r := &http.Request{Header: h}
		stripped := tunnel.Protocols{"x"}.Strip(h)
		(&identity.Headers{}).Strip(r)
		switch left := h["Upgrade"]; {
		case stripped != (len(left) == 0):
			t.Errorf("stripped is %v, and %q is left", stripped, left)
		case len(left) > 0 && (len(left) != 1 || strings.ToLower(left[0]) != tunnel.WebSocket && strings.ToLower(left[0]) != "x"):
			t.Errorf("%q is left", left)
		case len(left) == 0 && strings.Contains(","+strings.ToLower(strings.ReplaceAll(h.Get("Connection"), " ", ""))+",", ",upgrade,"):
			t.Errorf("Connection is %q, and there is no Upgrade", h["Connection"])
		}
	})
}
