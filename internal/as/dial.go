package as

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// An issuer's metadata name the addresses that the gateway posts to, with its
// own credentials. A bad issuer would name what only this machine can reach:
// Caddy's admin endpoint, or the metadata service of a cloud. So what metadata
// name may be on loopback, or on the link, only if the metadata themselves came
// from there: then it is the operator's own words that lead there. What a name
// resolves to decides, when it is dialled, and not its text.
//
// Private networks are not held back: an issuer whose name is public outside
// and private inside a company is common, and there is no telling it from a bad
// one.

// zone is where an address is, seen from this machine.
type zone uint8

const (
	routableZone   zone = iota
	loopbackZone        // loopback, or unspecified, which connects to it
	linkLocalZone       // link-local: neighbours, and metadata services of clouds
	unroutableZone      // nothing that can be connected to
)

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")        // RFC 1122 §3.2.1.3
	reserved    = netip.MustParsePrefix("240.0.0.0/4")      // RFC 1112 §4, and broadcast
	translated  = netip.MustParsePrefix("64:ff9b::/96")     // RFC 6052: of an IPv4 address
	compatible  = netip.MustParsePrefix("0:0:0:0:0:0::/96") // RFC 4291 §2.5.5.1, deprecated
	siteLocal   = netip.MustParsePrefix("fec0::/10")        // RFC 3879, deprecated
)

func zoneOf(ip netip.Addr) zone {
	ip = ip.Unmap().WithZone("")
	switch {
	case ip.IsLoopback() || ip.IsUnspecified():
		return loopbackZone
	case ip.IsLinkLocalUnicast():
		return linkLocalZone
	case translated.Contains(ip) || compatible.Contains(ip):
		bytes := ip.As16()
		return zoneOf(netip.AddrFrom4([4]byte(bytes[12:])))
	case ip.IsMulticast() || thisNetwork.Contains(ip) || reserved.Contains(ip) || siteLocal.Contains(ip):
		return unroutableZone
	}
	return routableZone
}

// forbiddenAddressError is an address that metadata may not lead to.
type forbiddenAddressError struct {
	address string
	zone    zone
}

func (e *forbiddenAddressError) Error() string {
	kind := "a loopback address"
	switch e.zone {
	case linkLocalZone:
		kind = "a link-local address"
	case unroutableZone:
		return e.address + " is not the address of a host"
	}
	return fmt.Sprintf("%s is %s: an issuer's metadata may lead there only if they came from one", e.address, kind)
}

// LedToForbiddenAddress reports whether no request was sent because metadata led where they
// may not.
func LedToForbiddenAddress(err error) bool {
	_, astray := errors.AsType[*forbiddenAddressError](err)
	return astray
}

// route is one request's way. It travels in the request's context.
type route struct {
	own     bool // the address is the operator's own words: anything goes
	hidden  bool // and yet no bearer token is shown there
	from    zone // else where the metadata that name it came from
	proxied bool // a proxy of the environment is dialled, which the operator named
	to      zone // where the answer came from
}

type routeKey struct{}

// allowAnyAddress is a context for asking an address of the configuration.
func allowAnyAddress(ctx context.Context, zone func(netip.Addr) zone) (context.Context, *route) {
	t := &route{own: true}
	return httptrace.WithClientTrace(context.WithValue(ctx, routeKey{}, t), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			t.to = routableZone
			if peer, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil && !t.proxied {
				t.to = zone(peer.Addr())
			}
		},
	}), t
}

// restrictAddress is one for asking an address that metadata name.
func restrictAddress(ctx context.Context, from zone) context.Context {
	return context.WithValue(ctx, routeKey{}, &route{from: from})
}

// dialing is how a server is reached.
type dialing struct{ zone func(netip.Addr) zone }

func (cfg *Config) dialing() dialing {
	if cfg.zone != nil {
		return dialing{cfg.zone}
	}
	return dialing{zoneOf}
}

func (r dialing) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 2 * time.Second, ControlContext: r.control}
}

// control looks at each address before it is connected to.
func (r dialing) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	t, _ := ctx.Value(routeKey{}).(*route)
	if t != nil && (t.own || t.proxied) {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return r.check(t, at.Addr(), address)
}

func (r dialing) check(t *route, ip netip.Addr, address string) error {
	where := r.zone(ip)
	if where == routableZone || where != unroutableZone && t != nil && where == t.from {
		return nil
	}
	return &forbiddenAddressError{address, where}
}

// proxy is the one of the environment.
func (r dialing) proxy(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if proxy == nil || err != nil {
		return nil, err
	}
	return proxy, r.through(req)
}

// through notes that a request goes by way of a proxy. That one resolves names,
// where it stands, which is its own affair. An address needs no resolving.
func (r dialing) through(req *http.Request) error {
	t, _ := req.Context().Value(routeKey{}).(*route)
	if t == nil {
		t = &route{}
	}
	t.proxied = true
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil && !t.own {
		return r.check(t, ip, req.URL.Host)
	}
	return nil
}

// checkDiscovered reports whether an address of an issuer's metadata may be asked, as
// far as its text tells: plain http to loopback is for the operator to allow.
func (s *Server) checkDiscovered(address string) error {
	if err := CheckURL(address, s.cfg.AllowHTTP); err != nil {
		return err
	}
	if s.cfg.AllowHTTP || !plainHTTP(address) || plainHTTP(s.cfg.metadataAddress()) {
		return nil
	}
	return fmt.Errorf("%.200q is plain http on loopback, where metadata may lead only from an issuer, or a metadata URL, that is plain http on loopback itself", address)
}

// plainHTTP reports whether a URL is plain http. Without insecure_http that is one on
// loopback.
func plainHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http"
}
