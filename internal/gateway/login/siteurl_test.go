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
		"two schemes":            {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"), "http://app.example"},
		"a list":                 {arrive("http", true, "X-Forwarded-Proto", "https, http"), "http://app.example"},
		"IPv6 with its own port": {arrive("http", true, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "[::1]:443"), "https://[::1]"},
	} {
		if got := siteURLOf(row.r).origin(); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
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
