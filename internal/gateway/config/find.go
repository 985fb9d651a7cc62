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

// ConfigHosts are those of a site; none: any.
type ConfigHosts []string

func (h ConfigHosts) String() string {
	if len(h) == 0 {
		return "any host"
	}
	return strings.Join(h, " ")
}

// Serve reports whether a site with these hosts answers requests for host.
func (h ConfigHosts) Serve(host string) bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(name string) bool {
		_, behind, _ := strings.Cut(host, ".")
		return strings.EqualFold(name, host) || strings.EqualFold(name, "*."+behind)
	})
}

// configSite is an oauth handler in a config, and the hosts of its site.
type configSite struct {
	Hosts ConfigHosts // that the routes around it match
	raw   json.RawMessage
}

// Read answers what stands there. A word that the gateway does not know is an
// error.
func (at configSite) Read() (*Config, error) {
	c := new(Config)
	return c, caddy.StrictUnmarshalJSON(at.raw, c)
}

// FindSites lists the oauth handlers of a config in their order. One that stands
// in two routes of a site is one.
func FindSites(config []byte) ([]configSite, error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	var found []configSite
	var walk func(at any, hosts ConfigHosts)
	walk = func(at any, hosts ConfigHosts) {
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
				if !slices.ContainsFunc(found, func(p configSite) bool {
					return slices.Equal(p.Hosts, hosts) && bytes.Equal(p.raw, raw)
				}) {
					found = append(found, configSite{hosts, raw})
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
func hostsOf(match any) (hosts ConfigHosts) {
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

// SelectSite picks one by host or by number, which begins at 1.
func SelectSite(all []configSite, host string, index int) (configSite, error) {
	fit := all
	if host != "" {
		fit = slices.DeleteFunc(slices.Clone(all), func(at configSite) bool { return !at.Hosts.Serve(host) })
	}
	switch {
	case len(all) == 0:
		return configSite{}, errors.New("there is no oauth in this config")
	case len(fit) == 0:
		return configSite{}, fmt.Errorf("no oauth for the host %s:%s", host, listSites(all))
	case index < 0 || index > len(fit):
		return configSite{}, fmt.Errorf("--index %d: there are %d:%s", index, len(fit), listSites(fit))
	case index > 0:
		return fit[index-1], nil
	case len(fit) > 1:
		return configSite{}, fmt.Errorf("there are %d oauth handlers; choose one with --host or --index:%s", len(fit), listSites(fit))
	}
	return fit[0], nil
}

func listSites(all []configSite) string {
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
