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

// place is where an address is, seen from this machine.
type place uint8

const (
	abroad  place = iota
	atHome        // loopback, or unspecified, which connects to it
	onLink        // link-local: neighbours, and metadata services of clouds
	nowhere       // nothing that can be connected to
)

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")        // RFC 1122 §3.2.1.3
	reserved    = netip.MustParsePrefix("240.0.0.0/4")      // RFC 1112 §4, and broadcast
	translated  = netip.MustParsePrefix("64:ff9b::/96")     // RFC 6052: of an IPv4 address
	compatible  = netip.MustParsePrefix("0:0:0:0:0:0::/96") // RFC 4291 §2.5.5.1, deprecated
	siteLocal   = netip.MustParsePrefix("fec0::/10")        // RFC 3879, deprecated
)

func placeOf(ip netip.Addr) place {
	ip = ip.Unmap().WithZone("")
	switch {
	case ip.IsLoopback() || ip.IsUnspecified():
		return atHome
	case ip.IsLinkLocalUnicast():
		return onLink
	case translated.Contains(ip) || compatible.Contains(ip):
		bytes := ip.As16()
		return placeOf(netip.AddrFrom4([4]byte(bytes[12:])))
	case ip.IsMulticast() || thisNetwork.Contains(ip) || reserved.Contains(ip) || siteLocal.Contains(ip):
		return nowhere
	}
	return abroad
}

// astrayError is an address that metadata may not lead to.
type astrayError struct {
	address string
	place   place
}

func (e *astrayError) Error() string {
	kind := "a loopback address"
	switch e.place {
	case onLink:
		kind = "a link-local address"
	case nowhere:
		return e.address + " is not the address of a host"
	}
	return fmt.Sprintf("%s is %s: an issuer's metadata may lead there only if they came from one", e.address, kind)
}

// Astray reports whether no request was sent because metadata led where they
// may not.
func Astray(err error) bool {
	_, astray := errors.AsType[*astrayError](err)
	return astray
}

// trip is one request's way. It travels in the request's context.
type trip struct {
	own     bool  // the address is the operator's own words: anything goes
	from    place // else where the metadata that name it came from
	proxied bool  // a proxy of the environment is dialled, which the operator named
	to      place // where the answer came from
}

type tripKey struct{}

// onOwnWords is a context for asking an address of the configuration.
func onOwnWords(ctx context.Context, place func(netip.Addr) place) (context.Context, *trip) {
	t := &trip{own: true}
	return httptrace.WithClientTrace(context.WithValue(ctx, tripKey{}, t), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			t.to = abroad
			if peer, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil && !t.proxied {
				t.to = place(peer.Addr())
			}
		},
	}), t
}

// onTheirWords is one for asking an address that metadata name.
func onTheirWords(ctx context.Context, from place) context.Context {
	return context.WithValue(ctx, tripKey{}, &trip{from: from})
}

// road is how a server is reached.
type road struct{ place func(netip.Addr) place }

func (cfg *Config) road() road {
	if cfg.place != nil {
		return road{cfg.place}
	}
	return road{placeOf}
}

func (r road) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 2 * time.Second, ControlContext: r.control}
}

// control looks at each address before it is connected to.
func (r road) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	t, _ := ctx.Value(tripKey{}).(*trip)
	if t != nil && (t.own || t.proxied) {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return r.check(t, at.Addr(), address)
}

func (r road) check(t *trip, ip netip.Addr, address string) error {
	where := r.place(ip)
	if where == abroad || where != nowhere && t != nil && where == t.from {
		return nil
	}
	return &astrayError{address, where}
}

// proxy is the one of the environment.
func (r road) proxy(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if proxy == nil || err != nil {
		return nil, err
	}
	return proxy, r.through(req)
}

// through notes that a request goes by way of a proxy. That one resolves names,
// where it stands, which is its own affair. An address needs no resolving.
func (r road) through(req *http.Request) error {
	t, _ := req.Context().Value(tripKey{}).(*trip)
	if t == nil {
		t = &trip{}
	}
	t.proxied = true
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil && !t.own {
		return r.check(t, ip, req.URL.Host)
	}
	return nil
}

// checkFound reports whether an address of an issuer's metadata may be asked, as
// far as its text tells: plain http to loopback is for the operator to allow.
func (s *Server) checkFound(address string) error {
	if err := CheckURL(address, s.cfg.AllowHTTP); err != nil {
		return err
	}
	if s.cfg.AllowHTTP || !plainHTTP(address) || plainHTTP(s.cfg.Issuer) || plainHTTP(s.cfg.Metadata) {
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
