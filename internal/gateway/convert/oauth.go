package convert

import (
	"net/url"
	"slices"
	"strings"
)

// oauth is what stands in the directive's block.
func (p *plan) oauth() *block {
	var b block
	b.within("issuer "+quote(p.issuer), p.issuerBlock(), true)
	p.otherIssuers(&b)
	b.within("login "+p.prefix, p.login(), true)
	b.within("session", p.session(), false)
	if p.asks {
		var f block
		f.word("from", p.proxies("127.0.0.1")...)
		f.comment("For nginx. Leave it out for the others.")
		f.word("statuses 401 403")
		b.within("forward_auth", &f, true)
	}
	if len(p.closed) > 0 {
		b.word("allow_anonymous")
		b.comment("Each token has it: this asks for one.")
		b.word("require @closed claim iss", p.issuer)
	}
	p.require(&b)
	p.copyClaims(&b)
	return &b
}

func (p *plan) issuerBlock() *block {
	var b block
	client := p.text("client-id", "")
	if client == "" {
		p.say("There is no client-id: write it in the place of app.")
		client = "app"
	}
	if p.takesBearers() {
		b.comment("The access tokens of API clients have to be for one of these.")
		b.word("audience", append([]string{client}, p.list("oidc-extra-audience")...)...)
	}
	var key block
	if file := p.text("jwt-key-file", ""); file != "" {
		key.word("auth private_key_jwt")
		key.word("key", file)
		b.within("client "+quote(client), &key, true)
	} else if hidden := p.hidden(&b, "client-secret"); hidden != "" {
		b.word("client", client, hidden)
	} else {
		b.comment("There was no client-secret.")
		b.word("client", client, "{env."+envPrefix+"CLIENT_SECRET}")
	}
	if algorithms := p.list("oidc-enabled-signing-alg"); len(algorithms) > 0 {
		b.word("algorithms", algorithms...)
	}
	if p.flag("skip-oidc-discovery", false) {
		p.endpoints(&b)
	}
	if files := p.list("provider-ca-file"); len(files) > 0 {
		b.word("trust_pool file", files...)
	}
	return &b
}

// takesBearers reports whether clients may bring tokens of their own. Without an
// audience no token of an issuer's is taken from them.
func (p *plan) takesBearers() bool { return p.flag("skip-jwt-bearer-tokens", false) }

// endpoints are those that nobody discovers.
func (p *plan) endpoints(b *block) {
	for _, row := range [][2]string{
		{"oidc-jwks-url", "jwks"}, {"login-url", "authorization_endpoint"}, {"redeem-url", "token_endpoint"}, {"profile-url", "userinfo_endpoint"},
	} {
		if value := p.text(row[0], ""); value != "" {
			b.word(row[1], value)
		}
	}
}

// otherIssuers are those of Bearer tokens, "issuer=audience" each.
func (p *plan) otherIssuers(b *block) {
	if !p.takesBearers() {
		return
	}
	for _, pair := range p.list("extra-jwt-issuers") {
		issuer, audience, ok := strings.Cut(pair, "=")
		if !ok || issuer == "" || audience == "" || issuer == p.issuer {
			p.say("An entry of extra-jwt-issuers is left out: it is no issuer=audience, or the issuer above.")
			continue
		}
		var of block
		of.word("audience", audience)
		b.within("issuer "+quote(issuer), &of, true)
	}
}

func (p *plan) login() *block {
	var b block
	scopes := slices.DeleteFunc(strings.Fields(p.text("scope", "openid email profile")), func(word string) bool { return word == "openid" })
	if len(scopes) > 0 {
		b.word("scope", scopes...)
	}
	if !slices.Contains(scopes, "offline_access") {
		b.comment("Add offline_access to scope, where the issuer knows it, and sessions outlive their first access token.")
	}
	if resource := p.text("resource", ""); resource != "" {
		b.word("resource", resource)
	}
	for _, row := range [][2]string{{"prompt", "prompt"}, {"acr-values", "acr_values"}} {
		if value := p.text(row[0], ""); value != "" {
			b.word("parameter "+row[1], value)
		}
	}
	b.comment("A session is worth what the issuer says of who has logged in, as it was.")
	if p.flag("skip-claims-from-profile-url", false) || p.flag("skip-oidc-discovery", false) && p.text("profile-url", "") == "" {
		b.word("identity id_token")
	} else {
		b.word("identity userinfo")
	}
	switch {
	case p.flag("pass-authorization-header", false), p.flag("set-authorization-header", false):
		b.word("forward id_token")
	case p.flag("pass-access-token", false):
		b.word("forward access_token")
	}
	return &b
}

func (p *plan) session() *block {
	var b block
	if p.text("session-store-type", "cookie") == "redis" {
		p.redis(&b)
	}
	if life := p.text("cookie-expire", ""); life != "" && strings.Trim(life, "0hms") != "" {
		b.word("max", life)
	}
	return &b
}

func (p *plan) redis(b *block) {
	var inner block
	urls := p.list("redis-connection-url")
	sentinel := p.flag("redis-use-sentinel", false)
	if sentinel {
		urls = p.list("redis-sentinel-connection-urls")
		inner.word("sentinel", p.text("redis-sentinel-master-name", "master"))
		if hidden := p.hidden(&inner, "redis-sentinel-password"); hidden != "" {
			inner.word("sentinel_password", hidden)
		}
	}
	var addresses []string
	user := p.text("redis-username", "")
	password := p.hidden(&inner, "redis-password")
	for n, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			p.say("An address of Redis is left out: it is no redis://host:port.")
			continue
		}
		addresses = append(addresses, u.Host)
		if _, has := u.User.Password(); has && password == "" && !sentinel {
			inner.comment("Put the password that stands in the address of Redis into the variable %sREDIS_PASSWORD.", envPrefix)
			password = "{env." + envPrefix + "REDIS_PASSWORD}"
		}
		if user == "" && !sentinel {
			user = u.User.Username()
		}
		if database := strings.Trim(u.Path, "/"); n == 0 && database != "" && database != "0" && strings.Trim(database, "0123456789") == "" {
			inner.word("database", database)
		}
		if n == 0 && u.Scheme == "rediss" {
			inner.word("tls")
		}
	}
	if len(addresses) == 0 {
		p.say("There is no address of Redis: write it in the place of 127.0.0.1:6379.")
		addresses = []string{"127.0.0.1:6379"}
	}
	if user != "" {
		inner.word("username", user)
	}
	if password != "" {
		inner.word("password", password)
	}
	if ca := p.text("redis-ca-path", ""); ca != "" {
		inner.word("trust_pool file", ca)
	}
	var store block
	store.word("store redis", addresses...)
	b.within(store.lines[0], &inner, true)
	b.comment("The same on all nodes: openssl rand -base64 32")
	b.word("keys", "{env.OAUTH_SESSION_KEY}")
}
