package login

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// arrive makes a request that came by a connection, from a proxy that is
// trusted or not.
func arrive(scheme string, trusted bool, headers ...string) *http.Request {
	raw := httptest.NewRequest(http.MethodGet, scheme+"://app.example/a", nil)
	for n := 0; n < len(headers); n += 2 {
		raw.Header.Add(headers[n], headers[n+1])
	}
	r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
	caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, trusted)
	return r
}

func TestTheOriginIsThatOfTheConnectionUnlessATrustedProxySaysOtherwise(t *testing.T) {
	for name, row := range map[string]struct {
		r    *http.Request
		want string
	}{
		"plain":                  {arrive("http", false), "http://app.example"},
		"TLS":                    {arrive("https", false), "https://app.example"},
		"a stranger's headers":   {arrive("http", false, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example"), "http://app.example"},
		"a trusted proxy":        {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "Out.example:443"), "https://out.example"},
		"another port":           {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "out.example:8443"), "https://out.example:8443"},
		"no scheme":              {arrive("https", true, "X-Forwarded-Proto", "gopher"), "https://app.example"},
		"two schemes":            {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"), "https://app.example"},
		"a list":                 {arrive("http", true, "X-Forwarded-Proto", "https, http"), "https://app.example"},
		"Forwarded":              {arrive("http", true, "Forwarded", "for=192.0.2.1;proto=https;host=out.example"), "https://out.example"},
		"a stranger's Forwarded": {arrive("http", false, "Forwarded", "proto=https;host=evil.example"), "http://app.example"},
		"a port of its own":      {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "out.example", "X-Forwarded-Port", "8443"), "https://out.example:8443"},
		"a port in both":         {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "out.example:9443", "X-Forwarded-Port", "8443"), "https://out.example:9443"},
		"the usual port":         {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443"), "https://app.example"},
		"the inner port":         {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Port", "80"), "https://app.example"},
		"IPv6 and a port":        {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "[::1]", "X-Forwarded-Port", "8443"), "https://[::1]:8443"},
		"IPv6 with its own port": {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "[::1]:443"), "https://[::1]"},
	} {
		if got := siteURLOf(row.r).origin(); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestAPrefixThatAProxyTookOffIsPutBack(t *testing.T) {
	for prefix, want := range map[string]string{
		"/app": "/app", "/app/": "/app", "/a/b": "/a/b", "//app": "/app", "/": "", "app": "", "/a/../../b": "/b", "https://evil.example": "",
		`/\evil.example`: "", "/a?b": "", "/a b": "", "/%2e%2e": "", "/a;b": "",
	} {
		r := arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", prefix)
		if got := siteURLOf(r).mount; got != want {
			t.Errorf("%q: the site is below %q, want %q", prefix, got, want)
		}
		if got := targetOf(r); got != want+"/a" {
			t.Errorf("%q: the browser asked for %q", prefix, got)
		}
		stranger := arrive("http", false, "X-Forwarded-Prefix", prefix)
		if got := siteURLOf(stranger).mount + targetOf(stranger); got != "/a" {
			t.Errorf("%q of a stranger: %q", prefix, got)
		}
	}
}

func TestWhatIsNoHostIsNone(t *testing.T) {
	for host, want := range map[string]bool{
		"app.example": true, "app.example:8443": true, "[::1]:80": true, "": false, "a b": false, "a/b": false, "u@h": false,
		"a?b": false, "a#b": false, `a"b`: false, `a\b`: false, "a:b": false, "a\nb": false,
	} {
		if got := (siteURL{scheme: "https", host: host}).plain(); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestOnlyAddressesThatKeepSecureCookiesAreSecure(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "app.localhost": true, "127.0.0.1:80": true, "[::1]:8080": true,
		"app.example": false, "10.0.0.1": false, "localhost.example": false,
	} {
		if got := (siteURL{scheme: "http", host: host}).secure(); got != want {
			t.Errorf("%s: %v", host, got)
		}
		if !(siteURL{scheme: "https", host: host}).secure() {
			t.Error("https is not secure at ", host)
		}
	}
}
