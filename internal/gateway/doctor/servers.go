package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/forwardauth"
	"github.com/caddyoauth/caddyoauth/internal/gateway/proxies"
)

// survey looks at what stands around the gateways of a configuration.
func (d *doctor) survey(doc []byte) error {
	var whole caddy.Config
	if err := json.Unmarshal(doc, &whole); err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	raw := whole.AppsRaw["http"]
	if len(raw) == 0 {
		return nil
	}
	var app caddyhttp.App
	if err := json.Unmarshal(raw, &app); err != nil {
		return fmt.Errorf("reading the app http: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		if server := app.Servers[name]; server != nil {
			d.surveyServer(server)
		}
	}
	return nil
}

func (d *doctor) surveyServer(server *caddyhttp.Server) {
	if err := forwardauth.CheckServer(server); err != nil {
		d.say("", checkConfig, resultFail, "put it there: until then Caddy does not take this configuration", "%v", err)
	}
	if len(server.TrustedProxiesRaw) == 0 {
		return
	}
	all, err := json.Marshal(server)
	if err != nil {
		return
	}
	gateways, err := sitesIn(all)
	if err != nil || !slices.ContainsFunc(gateways, func(at site) bool { return at.CountsByAddress() }) {
		return
	}
	if server.TrustedProxiesStrict == 0 {
		d.say("", proxies.Check, resultWarn, proxies.DoStrict, "%s (%s)", proxies.Loose, strings.Join(server.Listen, " "))
		return
	}
	d.say("", proxies.Check, resultOK, "", "%s (%s)", proxies.Proven, strings.Join(server.Listen, " "))
}
