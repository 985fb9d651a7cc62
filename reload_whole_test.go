package caddyoauth

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/session/boltstore"
)

// whole is a configuration with everything that outlives a reload, in the n-th
// of its forms: each has other settings, so that little is taken over.
func (h *deployment) whole(n int) string {
	text := strings.NewReplacer(
		"client gateway the-gateways-own-secret", fmt.Sprintf("client gateway the-gateways-own-secret\nalgorithms %s\nintrospect {\nrate %d\n}", []string{"EdDSA", "EdDSA ES256"}[n/20%2], 10+n),
		"token_endpoint /auth", "login /_oauth\naudit\ntoken_endpoint /auth",
		fmt.Sprintf("output file %s {\n\t\t\troll_disabled\n\t\t}", h.path("log")), "output discard",
	).Replace(h.config(fmt.Sprintf("idle %dh", n+1)))
	return strings.Replace(text, "hello", fmt.Sprint("form ", n), 1)
}

// loaded loads a configuration, or answers why it cannot be.
func loaded(t *testing.T, text string) error {
	t.Helper()
	doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Load(doc, true)
}

func TestFiftyReloadsOfAWholeConfigurationLeaveNothingBehind(t *testing.T) {
	h := newDeployment(t)
	h.issuer.metadata["authorization_endpoint"] = h.issuer.URL + "/authorize"
	use := func(n int) {
		t.Helper()
		await(t, "the new configuration to answer", func() bool {
			_, _, body := h.ask(http.MethodGet, "/", "", "Authorization", "Bearer "+h.token().AccessToken)
			return strings.HasPrefix(body, fmt.Sprint("form ", n, " "))
		})
		if status, _, _ := h.ask(http.MethodGet, "/", "", "Authorization", "Bearer opaque"); status != http.StatusServiceUnavailable && status != http.StatusUnauthorized {
			t.Errorf("an opaque token gets %d", status)
		}
		if status, _, _ := h.ask(http.MethodGet, "/_oauth/login", ""); status != http.StatusFound {
			t.Errorf("a log-in begins with %d", status)
		}
	}
	load(t, h.whole(0))
	use(0)
	load(t, h.whole(1)) // the first reload starts lasting goroutines of Caddy's own
	use(1)
	base := runtime.NumGoroutine()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var old []weak.Pointer[Gateway]
	for n := 2; n < 52; n++ {
		running := runningHandlers(t)
		if len(running) == 0 {
			t.Fatal("no gateway")
		}
		for _, one := range running {
			old = append(old, weak.Make(one))
		}
		if n%10 == 0 {
			for name, broken := range map[string]string{
				"an issuer": "http://127.0.0.1:1 {\noauth {env.SURELY_NOT_SET_HERE} api\n}\n", "a port": fmt.Sprintf("http://%s {\nbind 127.0.0.1\nrespond hi\n}\n", taken.Addr()),
				"a store": "http://127.0.0.1:1 {\noauth {\nissuer https://other.example {\naudience api\nintrospect\nclient a b\n}\nsession {\nstore bolt {env.SURELY_NOT_SET_HERE}\n}\n}\n}\n",
			} {
				if loaded(t, h.whole(100+n)+broken) == nil {
					t.Fatal(name, " that is wrong: it loads")
				}
			}
		}
		load(t, h.whole(n))
		use(n)
	}
	await(t, "goroutines to return to the baseline", func() bool { return runtime.NumGoroutine() <= base+2 })
	if n := len(issuers.States(time.Now(), nil)) + len(introspection.All()) + len(grants.States()); n != 3 {
		t.Errorf("%d issuers, introspectors and vaults are held, want one of each", n)
	}
	await(t, "the memory of the gateways before to be free", func() bool {
		runtime.GC()
		left := 0
		for _, one := range old {
			if one.Value() != nil {
				left++
			}
		}
		return left <= 2
	})
	h.stop()
	if n := len(issuers.States(time.Now(), nil)) + len(introspection.All()) + len(grants.States()); n != 0 {
		t.Errorf("%d issuers, introspectors and vaults are held after the end", n)
	}
	store, err := boltstore.Open(h.path("grants.db"), time.Now)
	if err != nil {
		t.Fatal("the store is not closed: ", err)
	}
	_ = store.Close()
}
