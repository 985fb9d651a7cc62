// Package doctor is "caddy oauth doctor": it asks the issuers of a configuration,
// looks at stores and servers, and says what will not work and what would.
package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
)

// finding is one line of what a doctor says.
type finding struct {
	Issuer string `json:"issuer,omitempty"`
	Check  string `json:"check"`
	Result string `json:"result"` // ok, warn or fail
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"` // what to change, where it is not ok
}

// The results of a check.
const (
	resultOK   = "ok"
	resultWarn = "warn"
	resultFail = "fail"
)

// What is checked, in this order.
const (
	checkConfig       = "config"
	checkSettings     = "settings"
	checkMetadata     = "metadata"
	checkKeys         = "keys"
	checkAlgorithms   = "algorithms"
	checkBinding      = "binding"
	checkClock        = "clock"
	checkCertificates = "certificates"
	checkEndpoints    = "endpoints"
	checkClient       = "client"
	checkGrantTypes   = "grant types"
	checkLogin        = "login"
	checkIntrospect   = "introspection"
	checkSignalsOf    = "signals"
	checkRevoked      = "revocation"
	checkProtected    = "resource"
)

// doctor looks at issuers as the gateway would, and says what is amiss.
type doctor struct {
	findings []finding
	ctx      context.Context
	caddy    caddy.Context // for modules such as trust pools
	now      func() time.Time
	stored   bool // grants of some site outlive the process
	cuts     bool // some reverse_proxy closes WebSockets at a reload
}

func (d *doctor) say(issuer, check, result, do, text string, args ...any) {
	d.findings = append(d.findings, finding{
		Issuer: issuer, Check: check, Result: result, Do: do, Text: fmt.Sprintf(text, args...),
	})
}

// sitesIn finds the gateways in a configuration, wherever they stand.
func sitesIn(whole []byte) (found []site, err error) {
	sites, err := config.Find(whole)
	if err != nil {
		return nil, err
	}
	for _, at := range sites {
		c, err := at.Read()
		if err != nil {
			return nil, fmt.Errorf("reading a handler oauth: %w", err)
		}
		found = append(found, site{c, at.Place})
	}
	return found, nil
}

// site is the configuration of a gateway, and where it stands; no host: any.
type site struct {
	*config.Config
	config.Place
}

// examine looks at every issuer of a gateway.
func (d *doctor) examine(at site) {
	c := at.Config
	if err := c.Check(); err != nil {
		d.say("", checkConfig, resultFail, "correct the configuration; \"caddy validate\" names the line", "%v", err)
		return
	}
	repl := caddy.NewReplacer()
	if s := c.Session; s != nil {
		if err := s.CheckKeys(repl); err != nil {
			d.say("", checkConfig, resultFail, "correct keys: "+doPlaceholder, "%v", err)
		}
	}
	if names := strings.Join(c.InsecureUpgrades, " "); names != "" {
		d.say("", checkSettings, resultWarn, "take the word out, unless the upstream has no other way to be reached",
			"insecure_upgrades %s: what comes in such a connection is judged by nobody", names)
	}
	d.checkResource(c, at.Hosts)
	d.checkClaimsOfSeveral(c)
	d.checkStreams(c)
	d.checkStore(c)
	d.checkRevocation(c)
	for n, issuer := range c.Issuer {
		features := d.features(c, issuer, n == 0)
		features.place = at.Place
		for _, t := range d.targets(issuer, repl, features) {
			d.visit(t)
		}
	}
}

const doPlaceholder = "set the variable or write the file that the placeholder names, for the user that runs this"

// features are what a gateway asks of an issuer beside keys.
type features struct {
	place      config.Place                 // where the gateway stands
	tokens     *tokenendpoint.TokenEndpoint // new grants are asked there
	login      *login.Login                 // browsers log in there
	resource   string                       // that clients ask for its tokens for
	inAud      bool                         // and that its tokens must name
	grants     bool                         // grants of it are kept: they are refreshed and given back
	grantTypes []string
}

func (d *doctor) features(c *config.Config, issuer *issuers.Issuer, first bool) (f features) {
	f.grants = c.KeepsGrants() && issuer.GrantsTokens()
	f.resource, f.inAud = c.Resource, !c.ResourceNotInAud
	if first {
		f.login = c.Login
	}
	if first && c.TokenEndpoint != nil {
		f.tokens = c.TokenEndpoint
		for _, grant := range tokenendpoint.GrantTypes {
			if f.tokens.Takes(grant) {
				f.grantTypes = append(f.grantTypes, grant)
			}
		}
	}
	return f
}

// target is one issuer, ready to be asked.
type target struct {
	features
	url    string
	issuer *issuers.Issuer
	set    issuers.Settings
	client *as.Client
	config as.Config
}

// targets resolves an issuer's words as Provision does.
func (d *doctor) targets(issuer *issuers.Issuer, repl *caddy.Replacer, f features) (found []target) {
	name := strings.Join(issuer.URL, " ")
	urls, err := grammar.ResolveAll(repl, "issuer", issuer.URL)
	if err != nil {
		d.say(name, checkConfig, resultFail, doPlaceholder, "%v", err)
		return nil
	}
	set, err := d.settings(issuer, repl)
	if err != nil {
		d.say(strings.Join(urls, " "), checkConfig, resultFail, "correct the value, or the file or variable that it comes from", "%v", err)
		return nil
	}
	var client *as.Client
	if issuer.Client != nil {
		if client, err = issuer.Client.Resolve(repl); err != nil {
			d.say(strings.Join(urls, " "), checkClient, resultFail, "correct the client's secret or key, or the file or variable that it comes from", "%v", err)
		}
	}
	for _, url := range urls {
		if err := issuer.CheckURL(url); err != nil {
			d.say(url, checkConfig, resultFail, "correct the issuer's URL", "%v", err)
			continue
		}
		t := target{features: f, url: url, issuer: issuer, set: set, client: client, config: issuer.Server(url, set)}
		t.config.Now = d.now
		found = append(found, t)
	}
	return found
}

// settings reads what stands behind an issuer's words. A trust pool that needs
// more of Caddy than there is here must not end the visit with a panic.
func (d *doctor) settings(issuer *issuers.Issuer, repl *caddy.Replacer) (set issuers.Settings, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("trust_pool: this kind can be used by a running Caddy alone: %v", p)
		}
	}()
	return issuer.Resolve(d.caddy, repl)
}

// visitWithin bounds the look at one issuer.
const visitWithin = 20 * time.Second

func (d *doctor) visit(t target) {
	ctx, cancel := context.WithTimeout(d.ctx, visitWithin)
	defer cancel()
	d.checkSettings(t)
	d.checkKeycloak(t)
	if t.set.Fixed != nil {
		d.checkSkipped(t, t.set.Skipped, t.set.JWKS)
		infos := t.set.Fixed.InfosFor(t.set.Algorithms)
		d.say(t.url, checkKeys, resultOK, "", "%s from the file %s: %s", countKeys(infos), t.set.JWKS, keyNames(infos))
		d.checkAlgorithms(t, infos)
		d.checkPlainKeys(t, infos, nil)
		d.checkIntrospection(ctx, t, nil, t.set.Fixed)
		d.checkSignals(ctx, t)
		d.checkResourceAt(t, nil)
		return
	}
	report := as.Probe(ctx, t.config)
	d.checkMetadata(t, report)
	d.checkKeys(t, report)
	d.checkBinding(t, report.Endpoints)
	d.checkClock(t, report)
	d.checkEndpoints(ctx, t, report)
	d.checkIntrospection(ctx, t, report.Endpoints, report.Keys)
	d.checkSignals(ctx, t)
	d.checkKnown(t, report.Endpoints)
	d.checkResourceAt(t, report.Endpoints)
	d.checkCertificates(t, report.Certificates)
}

// worst is the result that counts.
func (d *doctor) worst() string {
	result := resultOK
	for _, one := range d.findings {
		switch one.Result {
		case resultFail:
			return resultFail
		case resultWarn:
			result = resultWarn
		}
	}
	return result
}
