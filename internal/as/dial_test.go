package as

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// loopbackService is something that only this machine can reach, such as Caddy's
// admin endpoint: it notes who connects.
type loopbackService struct {
	mu    sync.Mutex
	times int
	port  string
}

func listenOnLoopback(t *testing.T) *loopbackService {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	w := &loopbackService{}
	_, w.port, _ = net.SplitHostPort(listener.Addr().String())
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.times++
			w.mu.Unlock()
			_ = conn.Close()
		}
	}()
	return w
}

func (w *loopbackService) visits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times
}

// naming is an issuer on 127.0.0.1 whose metadata name one address for all.
func naming(address *string) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"/.well-known/oauth-authorization-server": func(rw http.ResponseWriter, r *http.Request) {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		self := scheme + "://" + r.Host
		fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%[3]q,"revocation_endpoint":%[3]q,"device_authorization_endpoint":%[3]q,
			"introspection_endpoint":%[3]q,"end_session_endpoint":%[3]q,"authorization_endpoint":%[3]q,"registration_endpoint":%[3]q}`, self, self+"/keys", *address)
	}}
}

// askAll calls every endpoint that the gateway posts to.
func askAll(t *testing.T, s *Server) (errs []error) {
	t.Helper()
	_, err := s.Token(t.Context(), public, refreshing)
	errs = append(errs, err, s.Revoke(t.Context(), public, secret.New("a-token"), "refresh_token"))
	_, err = s.DeviceAuthorization(t.Context(), public, nil)
	errs = append(errs, err)
	_, _, err = s.Introspect(t.Context(), Introspection{Client: public}, secret.New("a-token"))
	return append(errs, err)
}

// With a bad issuer's metadata the gateway used to post to Caddy's own admin
// endpoint.
func TestMetadataOfAnIssuerWithTLSDoNotLeadToPlainHTTPOnLoopback(t *testing.T) {
	home, address := listenOnLoopback(t), ""
	w := serveTLS(t, naming(&address))
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "127.0.0.2"} {
		address = "http://" + host + ":" + home.port + "/stop"
		s := dial(t, w, func(c *Config) { c.Trust = w.trust })
		for _, err := range askAll(t, s) {
			if err == nil || home.visits() > 0 {
				t.Fatalf("%s: error %v, and %d visits", address, err, home.visits())
			}
		}
		ends, err := s.Endpoints(t.Context())
		if err != nil || ends.Authorization+ends.EndSession+ends.Registration != "" || len(ends.Refused) != 7 {
			t.Errorf("%s: %+v, %v", address, ends, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		if err := refusedMetadata(t, metadata(issuerURL, "http://127.0.0.1:9/keys")); !strings.Contains(err.Error(), "plain http on loopback itself") {
			t.Errorf("keys: %v", err)
		}
	})
}

func TestMetadataLeadToPlainHTTPOnLoopbackFromThere(t *testing.T) {
	const home = "http://127.0.0.1:9/keys"
	for name, set := range map[string]func(*Config, *fakeIssuer){
		"metadata": func(c *Config, f *fakeIssuer) {
			c.Metadata = "http://localhost:9/as.json"
			f.set(c.Metadata, metadata(issuerURL, home))
		},
		"insecure_http": func(c *Config, f *fakeIssuer) {
			c.AllowHTTP = true
			f.set(formRFC, metadata(issuerURL, home))
		},
		"the issuer": func(c *Config, f *fakeIssuer) {
			c.Issuer = "http://[::1]:9"
			f.set(c.Issuer+"/.well-known/oauth-authorization-server", metadata(c.Issuer, home))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(home, serve(keyA))
				ready(t, issuer, func(c *Config) { set(c, issuer) })
			})
		})
	}
}

// routableExcept takes the test's issuer for a public one, whatever its address.
func routableExcept(issuer *wire) func(netip.Addr) zone {
	asked := netip.MustParseAddrPort(issuer.Listener.Addr().String()).Addr()
	return func(ip netip.Addr) zone {
		if ip == asked {
			return routableZone
		}
		return zoneOf(ip)
	}
}

// The text of an address says nothing of where a name leads.
func TestWhatANameResolvesToDecidesWhereMetadataLead(t *testing.T) {
	home, address := listenOnLoopback(t), ""
	for _, scheme := range []string{"http", "https"} {
		for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"} {
			address = scheme + "://" + host + ":" + home.port + "/stop"
			w := elsewhere(t, &address)
			s := dial(t, w, func(c *Config) { c.AllowHTTP, c.zone = true, routableExcept(w) })
			for n, err := range askAll(t, s) {
				if !LedToForbiddenAddress(err) {
					t.Errorf("%s, call %d: %v", address, n, err)
				}
			}
			if n := home.visits(); n > 0 {
				t.Fatalf("%s: %d visits", address, n)
			}
			// The operator's own words lead anywhere.
			if _, _, err := s.Introspect(t.Context(), Introspection{Endpoint: address, Client: public}, secret.New("a-token")); err == nil || LedToForbiddenAddress(err) {
				t.Errorf("%s as configured: %v", address, err)
			}
			home.mu.Lock()
			home.times = 0
			home.mu.Unlock()
		}
	}
}

// elsewhere is an issuer on another address than what is at home.
func elsewhere(t *testing.T, address *string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("this machine has one loopback address alone: ", err)
	}
	w := newWire(t, naming(address))
	_ = w.Listener.Close()
	w.Listener = listener
	w.Start()
	return w
}

func TestKeysAreNotFetchedWhereMetadataMayNotLead(t *testing.T) {
	home := listenOnLoopback(t)
	address := ""
	w := elsewhere(t, &address)
	handle := w.Config.Handler
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.URL, "http://localhost:"+home.port+"/keys")
			return
		}
		handle.ServeHTTP(rw, r)
	})
	set := func(c *Config) { c.AllowHTTP, c.zone = true, routableExcept(w) }
	if err := firstError(t, dial(t, w, set)); !LedToForbiddenAddress(err) || home.visits() > 0 {
		t.Errorf("%v, and %d visits", err, home.visits())
	}
	// From loopback they lead to loopback: the connection is made.
	if err := firstError(t, dial(t, w, set, func(c *Config) { c.zone = nil })); LedToForbiddenAddress(err) || home.visits() == 0 {
		t.Errorf("%v, and %d visits", err, home.visits())
	}
}

func TestWhereAddressesAre(t *testing.T) {
	for want, all := range map[zone][]string{
		loopbackZone:   {"127.0.0.1", "127.255.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"},
		linkLocalZone:  {"169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"},
		unroutableZone: {"224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "0.1.2.3", "fec0::1"},
		routableZone:   {"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "203.0.113.1", "fd00::1", "2001:db8::1", "64:ff9b::cb00:7101"},
	} {
		for _, address := range all {
			if got := zoneOf(netip.MustParseAddr(address)); got != want {
				t.Errorf("%s: %d, want %d", address, got, want)
			}
		}
	}
}

// A proxy may well be on loopback: it is the operator's own.
func TestAProxyOfTheEnvironmentIsDialledWhereverItIsAndLedNowhereSpecial(t *testing.T) {
	// net/http reads the environment once for a process, so the function that
	// does is given what it would say.
	r := dialing{zoneOf}
	for address, astray := range map[string]bool{
		"https://login.example.com/token": false, "https://169.254.169.254/token": true, "https://[fe80::1]/token": true, "https://10.0.0.1/token": false,
	} {
		for _, own := range []bool{true, false} {
			ctx := restrictAddress(t.Context(), routableZone)
			if own {
				ctx, _ = allowAnyAddress(t.Context(), zoneOf)
			}
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
			err := r.through(req)
			if LedToForbiddenAddress(err) != (astray && !own) {
				t.Errorf("%s, own words: %t: %v", address, own, err)
			}
			if dialled := r.control(ctx, "tcp", "127.0.0.1:3128", nil); err == nil && dialled != nil {
				t.Errorf("the proxy is not dialled: %v", dialled)
			}
		}
	}
}
