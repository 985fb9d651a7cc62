package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// Site is an oauth handler in a config, and the hosts of its site.
type Site struct {
	Hosts Hosts // that the routes around it match
	raw   json.RawMessage
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
	var walk func(at any, hosts Hosts)
	walk = func(at any, hosts Hosts) {
		switch at := at.(type) {
		case []any:
			for _, e := range at {
				walk(e, hosts)
			}
		case map[string]any:
			if at["handler"] == "oauth" {
				own := maps.Clone(at)
				delete(own, "handler")
				raw, _ := json.Marshal(own) // it was JSON before
				if !slices.ContainsFunc(found, func(p Site) bool {
					return slices.Equal(p.Hosts, hosts) && bytes.Equal(p.raw, raw)
				}) {
					found = append(found, Site{hosts, raw})
				}
				return
			}
			if own := hostsOf(at["match"]); len(own) > 0 {
				hosts = own
			}
			for _, name := range slices.Sorted(maps.Keys(at)) {
				walk(at[name], hosts)
			}
		}
	}
	walk(doc, nil)
	return found, nil
}

// hostsOf reads the host matchers of a route.
func hostsOf(match any) (hosts Hosts) {
	sets, _ := match.([]any)
	for _, set := range sets {
		members, _ := set.(map[string]any)
		list, _ := members["host"].([]any)
		for _, host := range list {
			if name, ok := host.(string); ok {
				hosts = append(hosts, name)
			}
		}
	}
	return hosts
}

// Select picks one by host or by number, which begins at 1.
func Select(all []Site, host string, index int) (Site, error) {
	fit := all
	if host != "" {
		fit = slices.DeleteFunc(slices.Clone(all), func(at Site) bool { return !at.Hosts.Serve(host) })
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
	for i, at := range all {
		var c Config
		_ = json.Unmarshal(at.raw, &c) // what is wrong with it is told when it is chosen
		var issuers []string
		for _, issuer := range c.Issuer {
			issuers = append(issuers, issuer.URL...)
		}
		fmt.Fprintf(&out, "\n  %d  %s: %s", i+1, at.Hosts, strings.Join(issuers, " "))
	}
	return out.String()
}
