package convert

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
)

// plan is what becomes of the settings.
type plan struct {
	*settings
	said []string // what is to be looked at

	asks    bool   // another proxy asks about its requests
	address string // of the site
	bind    string
	issuer  string
	prefix  string // of the gateway's own paths
	closed  []string
}

func (p *plan) say(format string, args ...any) { p.said = append(p.said, fmt.Sprintf(format, args...)) }

func newPlan(s *settings) *plan {
	p := &plan{settings: s}
	p.asks = p.forAnotherProxy()
	p.issuer = p.issuerURL()
	p.place()
	p.closed = p.closedMatcher()
	return p
}

// forAnotherProxy reports whether oauth2-proxy only answered: it has no upstream, or
// one that says yes.
func (p *plan) forAnotherProxy() bool {
	for _, upstream := range p.list("upstream") {
		if !strings.HasPrefix(upstream, "static://2") {
			return false
		}
	}
	return true
}

// issuers are those of providers that have one of their own.
var issuers = map[string]string{"google": "https://accounts.google.com", "gitlab": "https://gitlab.com"}

func (p *plan) issuerURL() string {
	provider := p.text("provider", "google")
	named := p.text("oidc-issuer-url", issuers[provider])
	switch provider {
	case "oidc", "keycloak-oidc", "google", "gitlab", "adfs":
	case "azure", "entra-id":
		if named == "" {
			named = "https://login.microsoftonline.com/" + p.text("azure-tenant", "common") + "/v2.0"
		}
		if strings.Contains(named, "/common/") {
			p.say("The issuer is that of one tenant: put its id in the place of common.")
		}
	default:
		p.say("The provider %s is not made into one of ours: see docs/providers.md, which has lines for many, or put its issuer below.", provider)
	}
	if named == "" {
		p.say("There is no oidc-issuer-url: write the issuer's address in the place of https://login.example.com.")
		named = "https://login.example.com"
	}
	return named
}

// place is where the site stands: the host that browsers see, and the port that
// oauth2-proxy had.
func (p *plan) place() {
	host, port := splitAddress(p.text("http-address", "127.0.0.1:4180"), "4180")
	p.prefix = p.text("proxy-prefix", "/oauth2")
	seen, err := url.Parse(p.text("redirect-url", ""))
	if err != nil || seen.Host == "" {
		seen = &url.URL{}
	}
	if dir, last := path.Split(seen.Path); last == "callback" && len(dir) > 1 {
		p.prefix = strings.TrimSuffix(dir, "/")
	} else if seen.Path != "" {
		p.say("The redirect URI ends in /callback here: register the one that \"caddy oauth doctor\" names.")
	}
	if !plainPath(p.prefix) {
		p.say("The prefix of the gateway's own paths has to be a plain path: register another redirect URI.")
		p.prefix = "/oauth2"
	}
	if net.ParseIP(host) != nil && !net.ParseIP(host).IsUnspecified() {
		p.bind = host
	}
	switch {
	case p.asks:
		p.address = ":" + port
	case p.text("tls-cert-file", "") != "":
		p.bind, port = splitAddress(p.text("https-address", ":443"), "443")
		p.address = "https://" + seen.Hostname() + ":" + port
	default:
		p.address = "http://" + seen.Hostname() + ":" + port
		if seen.Scheme == "https" {
			p.say("TLS ends in front of this site. Caddy can do that itself: write %s in the place of %s, and take trusted_proxies and bind out.", seen.Host, p.address)
		}
	}
	if strings.ContainsAny(p.address, " \t{}`\"") {
		p.address = ":" + port
	}
}

func plainPath(p string) bool {
	return plainWord.MatchString(p) && p[0] == '/' && len(p) > 1 && !strings.HasSuffix(p, "/") && !strings.ContainsAny(p, "*?%") &&
		!strings.Contains(p, "//") && !strings.Contains(p, "/.")
}

// splitAddress is a host and a port of what oauth2-proxy listens on.
func splitAddress(text, usual string) (host, port string) {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.Trim(port, "0123456789") != "" || port == "" {
		return "", usual
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if net.ParseIP(host) == nil {
		host = ""
	}
	return host, port
}

// global is whose word on addresses counts.
func (p *plan) global() *block {
	var servers, b block
	if p.flag("reverse-proxy", false) || p.asks || strings.HasPrefix(p.text("redirect-url", ""), "https:") && strings.HasPrefix(p.address, "http://") {
		trusted := []string{"private_ranges"}
		if !p.flag("reverse-proxy", false) && !p.asks { // it took no proxy's word for an address
			trusted = []string{"127.0.0.0/8", "::1"}
		}
		servers.word("trusted_proxies static", p.proxies(trusted...)...)
		servers.word("trusted_proxies_strict")
	}
	b.within("servers", &servers, false)
	return &b
}

// proxies are those whose word counts.
func (p *plan) proxies(otherwise ...string) (all []string) {
	for _, one := range p.list("trusted-proxy-ip") {
		if _, _, err := net.ParseCIDR(one); (err == nil || net.ParseIP(one) != nil) && !strings.HasSuffix(one, "/0") {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		all = otherwise
	}
	return all
}

// site is what stands in the site's block.
func (p *plan) site() *block {
	var b block
	if p.bind != "" {
		b.word("bind", p.bind)
	}
	if cert := p.text("tls-cert-file", ""); cert != "" && !p.asks {
		b.word("tls", cert, p.text("tls-key-file", cert))
	}
	if len(p.closed) > 0 {
		b.comment("What needs a log-in. The rest is open.")
		b.within("@closed", &block{p.closed}, false)
	}
	b.within("oauth", p.oauth(), true)
	if p.asks {
		return &b
	}
	// Caddy would put respond behind handle, and whom it refuses would be served.
	var behind block
	p.outsiders(&behind)
	p.upstreams(&behind)
	b.within("route", &behind, false)
	return &b
}
