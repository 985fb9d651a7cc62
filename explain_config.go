package caddyoauth

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

// gatewayPlace is an oauth handler in a config that does not run here.
type gatewayPlace struct {
	hosts []string // that the routes around it match; none: any
	raw   json.RawMessage
}

func (at gatewayPlace) String() string {
	if len(at.hosts) == 0 {
		return "any host"
	}
	return strings.Join(at.hosts, " ")
}

// findGateways lists the oauth handlers of a config in their order. One that
// stands in two routes of a site is one.
func findGateways(config []byte) ([]gatewayPlace, error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	var found []gatewayPlace
	var walk func(at any, hosts []string)
	walk = func(at any, hosts []string) {
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
				if !slices.ContainsFunc(found, func(p gatewayPlace) bool {
					return slices.Equal(p.hosts, hosts) && bytes.Equal(p.raw, raw)
				}) {
					found = append(found, gatewayPlace{hosts, raw})
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
func hostsOf(match any) (hosts []string) {
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

// selectGateway picks one by host or by number, which begins at 1.
func selectGateway(all []gatewayPlace, host string, index int) (gatewayPlace, error) {
	fit := all
	if host != "" {
		fit = slices.DeleteFunc(slices.Clone(all), func(at gatewayPlace) bool { return !servesHost(at.hosts, host) })
	}
	switch {
	case len(all) == 0:
		return gatewayPlace{}, errors.New("there is no oauth in this config")
	case len(fit) == 0:
		return gatewayPlace{}, fmt.Errorf("no oauth for the host %s:%s", host, listPlaces(all))
	case index < 0 || index > len(fit):
		return gatewayPlace{}, fmt.Errorf("--index %d: there are %d:%s", index, len(fit), listPlaces(fit))
	case index > 0:
		return fit[index-1], nil
	case len(fit) > 1:
		return gatewayPlace{}, fmt.Errorf("there are %d oauth handlers; choose one with --host or --index:%s", len(fit), listPlaces(fit))
	}
	return fit[0], nil
}

func servesHost(hosts []string, host string) bool {
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(name string) bool {
		_, behind, _ := strings.Cut(host, ".")
		return strings.EqualFold(name, host) || strings.EqualFold(name, "*."+behind)
	})
}

func listPlaces(all []gatewayPlace) string {
	var out strings.Builder
	for i, at := range all {
		var c Config
		_ = json.Unmarshal(at.raw, &c) // what is wrong with it is told when it is chosen
		var issuers []string
		for _, issuer := range c.Issuer {
			issuers = append(issuers, issuer.URL...)
		}
		fmt.Fprintf(&out, "\n  %d  %s: %s", i+1, at, strings.Join(issuers, " "))
	}
	return out.String()
}

// provisionAside makes a gateway that judges tokens and does nothing else: it
// opens no vault and stores no keys. Of the secrets that the running one has it
// needs none, but the client's for asking about opaque tokens: without that
// secret silent says why nobody can be asked.
func provisionAside(config []byte, g *Gateway) (release func(), silent *silence, err error) {
	g.Session, g.TokenEndpoint, g.Login, g.Realm = nil, nil, nil, ""
	for _, issuer := range g.Issuer {
		issuer.aside = true
		if issuer.Introspect != nil && issuer.Client != nil {
			_, err := issuer.Client.provision(caddy.NewReplacer())
			if err == nil {
				continue
			}
			silent = &silence{issuer, issuer.Introspect.Always, err}
		}
		issuer.Client, issuer.Introspect = nil, nil
	}
	var whole caddy.Config
	if len(config) > 0 {
		if err := json.Unmarshal(config, &whole); err != nil {
			return nil, nil, fmt.Errorf("reading the config: %w", err)
		}
	}
	off := false
	around := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "WARN"}}}},
	}
	if slices.ContainsFunc(g.Issuer, func(i *Issuer) bool { return i.TrustPool != nil }) {
		around.StorageRaw = whole.StorageRaw // some pools are kept there
		if pki := whole.AppsRaw["pki"]; pki != nil {
			around.AppsRaw = caddy.ModuleMap{"pki": pki}
		}
	}
	parent, err := caddy.ProvisionContext(around)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing: %w", err)
	}
	ctx, cancel := caddy.NewContext(parent)
	release = func() {
		_ = g.Cleanup() // it never fails
		cancel()
	}
	if err := g.Provision(ctx); err != nil {
		release()
		return nil, nil, err
	}
	return release, silent, nil
}
