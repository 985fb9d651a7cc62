package doctor

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/resource"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// checkResource looks at a gateway's resource as a client that was given its URL
// does: the URL leads to this site, and from there to the document about it.
func (d *doctor) checkResource(c *config.Config, hosts config.Hosts) {
	if c.Resource == "" {
		return
	}
	say := func(result, do, text string, args ...any) { d.say("", checkProtected, result, do, text, args...) }
	u, err := url.Parse(c.Resource)
	if err != nil {
		return // check has said so
	}
	if !mayBe(hosts) && !hosts.Serve(u.Hostname()) {
		say(resultWarn, "write the URL that clients have of this site, or the site's address; nothing, if a proxy in front changes the host",
			"the resource %s is at another host than this site, %s", c.Resource, hosts)
	}
	if l := c.Login; l != nil && !c.ResourceNotInAud && len(l.Resource) > 0 && !hasResource(l.Resource, c.Resource) && !mayBe(l.Resource) {
		say(resultFail, "add it to resource in login, or leave that out: then it is what is asked for",
			"log-ins ask for a token for %s, and %s must be in its aud: no log-in would pass", strings.Join(l.Resource, " "), c.Resource)
	}
	ctx, cancel := context.WithTimeout(d.ctx, visitWithin)
	defer cancel()
	at := u.Scheme + "://" + u.Host + resource.Path(c.Resource)
	switch found, err := as.FetchResource(ctx, as.Config{Now: d.now}, at); {
	case err != nil && as.Answered(err):
		say(resultFail, "have the path lead to this oauth: in a handle or handle_path it has to be listed, and a proxy in front has to pass it on",
			"clients find no document about the resource: %v", err)
	case err != nil:
		say(resultWarn, "nothing, before the gateway runs, or if this machine cannot reach it; else "+issuers.Cure(err), "%s cannot be reached: %v", at, err)
	case !token.SameResource(found, c.Resource):
		say(resultFail, "reload, if the configuration is new; else see which oauth the path leads to, and what stands in front of it",
			"%s is about %s, and not about %s", at, found, c.Resource)
	default:
		say(resultOK, "", "%s tells clients of %s", at, c.Resource)
	}
}

func hasResource(all []string, resource string) bool {
	return slices.ContainsFunc(all, func(one string) bool { return token.SameResource(one, resource) })
}

// mayBe reports whether values are not known here.
func mayBe(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "{}") })
}

// checkResourceAt looks for what an issuer has for a resource, and for clients
// that are not set up by hand. Whether it writes the resource into aud no metadata
// tell.
func (d *doctor) checkResourceAt(t target, ends *as.Endpoints) {
	if t.resource == "" {
		return
	}
	say := func(result, do, text string, args ...any) { d.say(t.url, checkProtected, result, do, text, args...) }
	if t.inAud && len(t.set.Audience) > 0 && !hasResource(t.set.Audience, t.resource) {
		say(resultWarn, "leave audience out, unless the issuer writes both into one token; if it writes audience alone, add resource_not_in_aud",
			"a token must name %s in its aud, and one of %s as well", t.resource, strings.Join(t.set.Audience, " "))
	}
	if !t.inAud {
		say(resultOK, "", "resource_not_in_aud: tokens are told by %s, and not by the resource", cmp.Or(strings.Join(t.set.Audience, " "), "no audience"))
	}
	if ends == nil {
		return
	}
	switch {
	case !t.inAud:
	case len(ends.Resources) == 0: // which says nothing: few issuers list them
	case hasResource(ends.Resources, t.resource):
		say(resultOK, "", "the issuer lists %s among its protected_resources", t.resource)
	default:
		say(resultWarn, "register it there as a resource, API or audience, to the letter; nothing, if the issuer keeps some to itself",
			"the issuer lists protected_resources (RFC 9728 §4), and %s is not among them", t.resource)
	}
	switch {
	case ends.ClientDocuments:
		say(resultOK, "", "client_id_metadata_document_supported: clients that nobody has set up are known by a document of their own")
	case ends.Registration != "":
		say(resultOK, "", "clients that nobody has set up can register (RFC 7591), which MCP 2026-07-28 keeps for issuers that read no client ID metadata documents")
	default:
		say(resultWarn, "nothing, if the issuer knows the clients: they take a client id that is given to them; else turn client ID metadata documents on there, or dynamic registration",
			"the metadata name neither client_id_metadata_document_supported nor a usable registration_endpoint: clients that nobody has set up cannot register (RFC 7591)")
	}
	if !slices.Contains(ends.ChallengeMethods, "S256") {
		say(resultWarn, "turn PKCE with S256 on at the issuer, or have its metadata say so",
			"the metadata do not list S256 among the code_challenge_methods_supported: MCP clients stop there")
	}
}
