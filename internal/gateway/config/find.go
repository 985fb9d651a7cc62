package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Hosts are those of a site; none: any.
type Hosts []string

func (h Hosts) String() string {
	if len(h) == 0 {
		return "any host"
	}
	return strings.Join(h, " ")
}

// Serve reports whether a site with these hosts answers requests for host.
func (h Hosts) Serve(host string) bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(name string) bool {
		_, behind, _ := strings.Cut(host, ".")
		return strings.EqualFold(name, host) || strings.EqualFold(name, "*."+behind)
	})
}

// Place is where requests for a site come in.
type Place struct {
	Hosts  Hosts    // that the routes around it match
	Listen []string // the addresses of its server
}

// Serves reports whether requests for host get there. host may have a port.
func (at Place) Serves(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return at.Hosts.Serve(host)
	}
	return at.Hosts.Serve(name) && slices.Contains(at.ports(), port)
}

// ports are those that its server listens on.
func (at Place) ports() (ports []string) {
	for _, address := range at.Listen {
		parsed, err := caddy.ParseNetworkAddress(address)
		for n := uint(0); err == nil && !parsed.IsUnixNetwork() && n < parsed.PortRangeSize(); n++ {
			ports = append(ports, strconv.FormatUint(uint64(parsed.StartPort+n), 10))
		}
	}
	return ports
}

// Port is the one that stands in its address; "": none, or several could.
func (at Place) Port() string {
	ports := at.ports()
	if len(ports) != 1 || ports[0] == "443" || ports[0] == "80" {
		return ""
	}
	return ports[0]
}

// Name is what people call it: its hosts, with its ports where another one has
// the same hosts and other ports.
func (at Place) Name(all []Place) string {
	name := at.Hosts.String()
	if slices.ContainsFunc(all, func(other Place) bool {
		return slices.Equal(other.Hosts, at.Hosts) && !slices.Equal(other.Listen, at.Listen)
	}) {
		name += " on port " + strings.Join(at.ports(), ", ")
	}
	return name
}

// Site is an oauth handler in a config, and where it stands.
type Site struct {
	Place
	raw json.RawMessage
}

// PlacesOf are those of sites.
func PlacesOf(sites []Site) []Place {
	all := make([]Place, len(sites))
	for i, at := range sites {
		all[i] = at.Place
	}
	return all
}

// Read answers what stands there. A word that the gateway does not know is an
// error.
func (at Site) Read() (*Config, error) {
	c := new(Config)
	return c, caddy.StrictUnmarshalJSON(at.raw, c)
}

// Find lists the oauth handlers of a config in their order. One that stands
// in two routes of a site is one.
func Find(config []byte) ([]Site, error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	var found []Site
	var walk func(at any, where Place)
	walk = func(at any, where Place) {
		switch at := at.(type) {
		case []any:
			for _, e := range at {
				walk(e, where)
			}
		case map[string]any:
			if at["handler"] == "oauth" {
				own := maps.Clone(at)
				delete(own, "handler")
				raw, _ := json.Marshal(own) // it was JSON before
				same := slices.IndexFunc(found, func(p Site) bool { return slices.Equal(p.Hosts, where.Hosts) && bytes.Equal(p.raw, raw) })
				if same < 0 {
					found = append(found, Site{where, raw})
				} else if p := &found[same]; !slices.Equal(p.Listen, where.Listen) { // http:// and https:// of one site
					p.Listen = slices.Concat(p.Listen, where.Listen)
				}
				return
			}
			if own := hostsOf(at["match"]); len(own) > 0 {
				where.Hosts = own
			}
			if listen, is := at["listen"].([]any); is { // a server
				where.Listen = texts(listen)
			}
			for _, name := range slices.Sorted(maps.Keys(at)) {
				walk(at[name], where)
			}
		}
	}
	walk(doc, Place{})
	return found, nil
}

// hostsOf reads the host matchers of a route.
func hostsOf(match any) (hosts Hosts) {
	sets, _ := match.([]any)
	for _, set := range sets {
		members, _ := set.(map[string]any)
		list, _ := members["host"].([]any)
		hosts = append(hosts, texts(list)...)
	}
	return hosts
}

// texts are the strings of a list.
func texts(list []any) (all []string) {
	for _, one := range list {
		if text, ok := one.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// Select picks one by host, with or without a port, or by number, which begins at 1.
func Select(all []Site, host string, index int) (Site, error) {
	fit := all
	if host != "" {
		fit = slices.DeleteFunc(slices.Clone(all), func(at Site) bool { return !at.Serves(host) })
	}
	switch {
	case len(all) == 0:
		return Site{}, errors.New("there is no oauth in this config")
	case len(fit) == 0:
		return Site{}, fmt.Errorf("no oauth for the host %s:%s", host, listSites(all))
	case index < 0 || index > len(fit):
		return Site{}, fmt.Errorf("--index %d: there are %d:%s", index, len(fit), listSites(fit))
	case index > 0:
		return fit[index-1], nil
	case len(fit) > 1:
		return Site{}, fmt.Errorf("there are %d oauth handlers; choose one with --host or --index:%s", len(fit), listSites(fit))
	}
	return fit[0], nil
}

func listSites(all []Site) string {
	var out strings.Builder
	places := PlacesOf(all)
	for i, at := range all {
		var c Config
		_ = json.Unmarshal(at.raw, &c) // what is wrong with it is told when it is chosen
		var issuers []string
		for _, issuer := range c.Issuer {
			issuers = append(issuers, issuer.URL...)
		}
		fmt.Fprintf(&out, "\n  %d  %s: %s", i+1, at.Name(places), strings.Join(issuers, " "))
	}
	return out.String()
}
