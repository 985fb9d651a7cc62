package proxies

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// serverOf trusts 10.0.0.0/8, from the right alone with strict.
func serverOf(t *testing.T, strict int) *caddyhttp.Server {
	t.Helper()
	off := false
	server := map[string]any{
		"listen": []string{"127.0.0.1:0"}, "automatic_https": map[string]any{"disable": true}, "trusted_proxies_strict": strict,
		"trusted_proxies": map[string]any{"source": "static", "ranges": []string{"10.0.0.0/8"}},
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		AppsRaw: caddy.ModuleMap{"http": caddyconfig.JSON(map[string]any{"servers": map[string]any{"s": server}}, nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*caddyhttp.App).Servers["s"]
}

func said(server *caddyhttp.Server, peer string, fields ...string) Said {
	raw := httptest.NewRequest(http.MethodGet, "http://inner/", nil)
	raw.RemoteAddr = peer + ":1"
	for n := 0; n < len(fields); n += 2 {
		raw.Header.Add(fields[n], fields[n+1])
	}
	return SaidOf(caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), httptest.NewRecorder(), server))
}

const (
	proto  = "X-Forwarded-Proto"
	host   = "X-Forwarded-Host"
	from   = "X-Forwarded-For"
	port   = "X-Forwarded-Port"
	prefix = "X-Forwarded-Prefix"
)

func TestTheTrustedProxyNearestToTheBrowserIsBelieved(t *testing.T) {
	strict, loose := serverOf(t, 1), serverOf(t, 0)
	for name, row := range map[string]struct {
		server *caddyhttp.Server
		peer   string
		fields []string
		want   Said
	}{
		"a stranger":            {strict, "192.0.2.1", []string{proto, "https", host, "evil.example", port, "1", prefix, "/x", "Forwarded", "proto=https"}, Said{}},
		"one proxy":             {strict, "10.0.0.1", []string{proto, "https", host, "app.example"}, Said{Scheme: "https", Host: "app.example"}},
		"in capitals":           {strict, "10.0.0.1", []string{proto, "HTTPS"}, Said{Scheme: "https"}},
		"a WebSocket":           {strict, "10.0.0.1", []string{proto, "wss"}, Said{Scheme: "https"}},
		"no scheme that is":     {strict, "10.0.0.1", []string{proto, "gopher"}, Said{}},
		"two trusted":           {strict, "10.0.0.1", []string{proto, "https,http", host, "app.example, inner", from, "192.0.2.1, 10.0.0.2"}, Said{Scheme: "https", Host: "app.example"}},
		"two fields":            {strict, "10.0.0.1", []string{proto, "https", proto, "http", from, "192.0.2.1", from, "10.0.0.2"}, Said{Scheme: "https"}},
		"a client in front":     {strict, "10.0.0.1", []string{proto, "https, http", host, "evil.example, app.example", from, "1.1.1.1, 192.0.2.1"}, Said{Scheme: "http", Host: "app.example"}},
		"a forged address":      {strict, "10.0.0.1", []string{host, "evil.example, app.example, inner", from, "10.9.9.9, 192.0.2.1, 10.0.0.2"}, Said{Host: "app.example"}},
		"the inner overwrites":  {strict, "10.0.0.1", []string{proto, "https", from, "192.0.2.1, 10.0.0.2, 10.0.0.3"}, Said{Scheme: "https"}},
		"addresses with ports":  {strict, "10.0.0.1", []string{proto, "https,http", from, "192.0.2.1:5, 10.0.0.2:7"}, Said{Scheme: "https"}},
		"no addresses, strict":  {strict, "10.0.0.1", []string{proto, "https,http"}, Said{Scheme: "http"}},
		"no addresses":          {loose, "10.0.0.1", []string{proto, "https,http", host, "app.example, inner"}, Said{Scheme: "https", Host: "app.example"}},
		"a port":                {strict, "10.0.0.1", []string{proto, "https", port, "8443"}, Said{Scheme: "https", Port: "8443"}},
		"no port that is":       {strict, "10.0.0.1", []string{port, "70000"}, Said{}},
		"a prefix":              {strict, "10.0.0.1", []string{prefix, "/app/"}, Said{Prefix: "/app"}},
		"two prefixes":          {strict, "10.0.0.1", []string{prefix, "/a, /b", from, "192.0.2.1, 10.0.0.2"}, Said{Prefix: "/a/b"}},
		"a client's prefix":     {strict, "10.0.0.1", []string{prefix, "/evil, /b", from, "192.0.2.1"}, Said{Prefix: "/b"}},
		"Forwarded":             {strict, "10.0.0.1", []string{"Forwarded", `for=192.0.2.1;proto=https;host="app.example:8443"`}, Said{Scheme: "https", Host: "app.example:8443"}},
		"Forwarded of two":      {strict, "10.0.0.1", []string{"Forwarded", `For="[2001:db8::1]:4711";Proto=HTTPS;Host=app.example, for=10.0.0.2;proto=http;host=inner`}, Said{Scheme: "https", Host: "app.example"}},
		"Forwarded of a client": {strict, "10.0.0.1", []string{"Forwarded", "for=1.1.1.1;proto=https;host=evil.example", "Forwarded", "for=192.0.2.1;proto=http;host=app.example"}, Said{Scheme: "http", Host: "app.example"}},
		"Forwarded, hidden":     {strict, "10.0.0.1", []string{"Forwarded", "for=_a;proto=https;host=evil.example,for=unknown;proto=http;host=app.example"}, Said{Scheme: "http", Host: "app.example"}},
		"both":                  {strict, "10.0.0.1", []string{"Forwarded", "proto=http;host=evil.example", proto, "https"}, Said{Scheme: "https"}},
		"Forwarded, broken":     {strict, "10.0.0.1", []string{"Forwarded", `host="app.example`}, Said{}},
	} {
		if got := said(row.server, row.peer, row.fields...); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

func TestAListOfAnyLengthIsReadInBoundedTime(t *testing.T) {
	long := strings.Repeat("10.0.0.2, ", 50_000) + "10.0.0.2"
	got := said(serverOf(t, 1), "10.0.0.1", from, long, proto, strings.Repeat("http,", 50_000)+"https")
	if got.Scheme != "http" {
		t.Errorf("%+v", got)
	}
}

// Whatever stands in Forwarded, reading it ends, and no value has what was not in it.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "for=a", `for="a,b;c\"d";proto=https , host=x`, "a", "=", `x="`, `x="\`, ";;", ",,", "for=a;for=b", "for = a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, one := range forwarded([]string{text}) {
			for name, value := range one {
				if name != strings.ToLower(name) || len(name)+len(value) > len(text) {
					t.Errorf("%q: %q %q", text, name, value)
				}
			}
		}
	})
}
