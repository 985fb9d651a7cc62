package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// benchGateway provisions a gateway whose keys come from a file.
func benchGateway(tb testing.TB, keys []*jwssign.Key, change func(*Gateway)) *Gateway {
	tb.Helper()
	jwks := filepath.Join(tb.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, jwssign.Set(keys...), 0o600); err != nil {
		tb.Fatal(err)
	}
	g := &Gateway{Config: config.Config{Issuer: []*issuers.Issuer{{URL: []string{"https://issuer.example"}, Audience: []string{"api"}, JWKS: jwks}}}}
	if change != nil {
		change(g)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = g.Cleanup() })
	return g
}

func benchKey(tb testing.TB, alg string) *jwssign.Key {
	tb.Helper()
	key, err := jwssign.Generate("k-"+alg, alg)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// benchToken looks like what real servers issue: some 700 bytes.
func benchToken(tb testing.TB, key *jwssign.Key, n int) string {
	tb.Helper()
	tok, err := key.Token("at+jwt", map[string]any{
		"iss": "https://issuer.example", "aud": "api", "sub": fmt.Sprintf("7f9c2ba4-e88f-4c52-9a1f-%012d", n),
		"client_id": "orders-frontend", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"jti": fmt.Sprintf("3d1a9c7e-55f4-4b7e-8a90-%012d", n), "scope": "openid profile orders:read orders:write",
		"email": "alice@example.com", "groups": []string{"staff", "admin"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

func benchRequest(tok string) (*http.Request, *httptest.ResponseRecorder) {
	r := httptest.NewRequest(http.MethodGet, "/orders/17?full=1", nil)
	r.Header.Set("Authorization", "Bearer "+tok)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "bench/1.0")
	r.Header.Set("X-Request-Id", "42")
	return r, httptest.NewRecorder()
}

var nothing = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// BenchmarkHandler is the whole handler, without what Caddy itself spends on a
// request: "prepare" measures that part alone, to be taken off the others.
func BenchmarkHandler(b *testing.B) {
	key := benchKey(b, "ES256")
	tok := benchToken(b, key, 0)
	for _, bench := range []struct {
		name   string
		change func(*Gateway)
	}{
		{"cached", nil},
		{"cached_scope_and_sub", func(g *Gateway) {
			g.Require = []*policy.Requirement{{Scope: []string{"orders:read"}}}
			g.CopyClaims = []string{"sub>X-User-Id"}
		}},
		{"cached_other_claims", func(g *Gateway) {
			g.CopyClaims = []string{"sub>X-User-Id", "email>X-User-Email", "groups>X-User-Groups"}
		}},
		{"uncached_ES256", func(g *Gateway) { zero := 0; g.Cache = &zero }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			benchServe(b, benchGateway(b, []*jwssign.Key{key}, bench.change), tok)
		})
	}
	b.Run("cached_beside_10000_revoked", func(b *testing.B) {
		g := benchGateway(b, []*jwssign.Key{key}, nil)
		for n := range 10_000 {
			e := revoked.Entry{Issuer: "https://issuer.example", Before: time.Now()}
			*[]*string{&e.ID, &e.Session, &e.Subject, &e.Client}[n%4] = fmt.Sprint("some ", n)
			if err := g.validator.Revoked.Add(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
		benchServe(b, g, tok)
	})
	b.Run("cached_opaque", func(b *testing.B) {
		benchServe(b, benchAsker(b, nil), "goodF3k0p9Zt2mQ8vL1xR7sB4nW6yH5c")
	})
	b.Run("cached_opaque_other_claims", func(b *testing.B) {
		benchServe(b, benchAsker(b, []string{"sub>X-User-Id", "email>X-User-Email", "groups>X-User-Groups"}), "goodF3k0p9Zt2mQ8vL1xR7sB4nW6yH5c")
	})
	b.Run("prepare", func(b *testing.B) { benchServe(b, nil, tok) })
}

// benchAsker provisions a gateway whose issuer calls every token active.
func benchAsker(b *testing.B, copies []string) *Gateway {
	b.Helper()
	issuer := newGrantor(b, nil)
	issuer.says(http.StatusOK, fmt.Sprintf(`{"active":true,"iss":%q,"aud":"api","sub":"7f9c2ba4-e88f-4c52-9a1f-000000000000",
		"client_id":"orders-frontend","exp":%d,"scope":"openid profile orders:read orders:write","token_type":"Bearer",
		"email":"alice@example.com","groups":["staff","admin"]}`, issuer.URL, time.Now().Add(time.Hour).Unix()))
	return benchGateway(b, nil, func(g *Gateway) {
		g.Issuer = []*issuers.Issuer{{
			URL: []string{issuer.URL}, Audience: []string{"api"},
			Introspect: &introspection.Introspect{}, Client: &issuers.Client{ID: "gateway", Secret: "secret"},
		}}
		g.CopyClaims = copies
	})
}

func benchServe(b *testing.B, g *Gateway, tok string) {
	r0, w := benchRequest(tok)
	field, server := r0.Header["Authorization"], &caddyhttp.Server{}
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		r0.Header["Authorization"] = field // the handler leaves another token for the upstream
		r := caddyhttp.PrepareRequest(r0, caddy.NewReplacer(), w, server)
		if g == nil {
			_ = nothing(w, r)
			continue
		}
		if err := g.ServeHTTP(w, r, nothing); err != nil {
			b.Fatal(err)
		}
	}
	if w.Code != http.StatusOK {
		b.Fatal(w.Code, w.Body)
	}
}

// reportCPU reports the processor time of each operation, the collector's included.
// Beside ns/op it is the same on a machine that is busy with something else.
func reportCPU(b *testing.B) (done func()) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	runtime.GC()
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkCachedTokenHeap reports the heap that a remembered token keeps, with
// the claims that were asked for.
func BenchmarkCachedTokenHeap(b *testing.B) {
	key := benchKey(b, "EdDSA")
	const tokens = 50_000
	for name, claims := range map[string][]string{"no_claims": nil, "email": {"email"}, "email_and_groups": {"email", "groups"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g := benchGateway(b, []*jwssign.Key{key}, nil)
				before := heap()
				for n := range tokens {
					who, err := g.validator.Validate(b.Context(), benchToken(b, key, n))
					if err != nil {
						b.Fatal(err)
					}
					for _, claim := range claims {
						who.Claim(claim)
					}
				}
				remembered := float64(issuers.States(time.Now(), nil)[0].Cache.Entries)
				b.ReportMetric(float64(heap()-before)/remembered, "B/token")
				b.ReportMetric(remembered, "tokens")
				_ = g.Cleanup()
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
