package convert

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// split tells a route that is open: of a method or of all, and where the path fits
// the expression, or does not.
var split = regexp.MustCompile("!?=")

// closedMatcher is what needs a log-in, where not everything does. What cannot be
// read stays closed.
func (p *plan) closedMatcher() (lines []string) {
	var b block
	if p.flag("skip-auth-preflight", false) {
		b.word("not method OPTIONS")
	}
	for _, route := range p.list("skip-auth-route", "skip-auth-regex") {
		var open block
		parts := split.Split(route, 2)
		expression := parts[len(parts)-1]
		if _, err := regexp.Compile(expression); err != nil || expression == "" {
			p.say("An entry of skip-auth-route stays closed: its expression cannot be read.")
			continue
		}
		if len(parts) == 2 && parts[0] != "" {
			open.word("method", strings.ToUpper(parts[0]))
		}
		if strings.Contains(route, "!=") {
			open.word("not path_regexp", expression)
		} else {
			open.word("path_regexp", expression)
		}
		b.within("not", &open, true)
	}
	if ips := slices.DeleteFunc(p.list("trusted-ip"), func(ip string) bool {
		_, _, err := net.ParseCIDR(ip)
		return err != nil && net.ParseIP(ip) == nil
	}); len(ips) > 0 {
		b.word("not client_ip", ips...)
	}
	return b.lines
}

// restricting are options that keep users out, and that nothing here stands for.
var restricting = []string{
	"github-org", "github-team", "github-repo", "github-user", "gitlab-project", "google-group", "bitbucket-team", "bitbucket-workspace", "bitbucket-repository",
}

// require is what is asked of the claims of those who log in.
func (p *plan) require(b *block) {
	if len(p.list(restricting...)) > 0 {
		b.comment("Replace it by what tells who may enter, such as a group. Until then no user gets in.")
		b.word("require claim groups replace@this.invalid")
	}
	if groups := p.list("allowed-group", "keycloak-group", "gitlab-group"); len(groups) > 0 {
		b.word("require claim "+quote(p.text("oidc-groups-claim", "groups")), groups...)
	}
	if roles := p.list("allowed-role"); len(roles) > 0 {
		b.comment("A role of a client is in resource_access.<client>.roles.")
		b.word("require claim realm_access.roles", roles...)
	}
	if tenants := p.list("entra-id-allowed-tenant"); len(tenants) > 0 {
		b.word("require claim tid", tenants...)
	}
	if !p.asks {
		return
	}
	if p.verifies() {
		b.comment("An address counts that was verified. Leave it out where the issuer does not say so.")
		b.word("require claim email_verified true")
	}
	if p.anyEmail() {
		return
	}
	if mails := p.mails(); len(mails) > 0 && len(p.domains()) == 0 {
		b.word("require claim "+quote(p.emailClaim()), mails...)
		return
	}
	b.comment("Replace it by a claim that tells who may enter, such as hd at Google, or a group:")
	b.comment("domains of addresses cannot be told here. Until then no user gets in.")
	b.word("require claim " + quote(p.emailClaim()) + " replace@this.invalid")
}

func (p *plan) emailClaim() string {
	return p.text("oidc-email-claim", p.text("user-id-claim", "email"))
}

// domain is one that an address may have; with a dot in front also those below it.
var domain = regexp.MustCompile(`^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)

// domains are those whose addresses may enter.
func (p *plan) domains() (all []string) {
	for _, one := range p.list("email-domain") {
		if one = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(one, "@"), "*")); domain.MatchString(one) {
			all = append(all, one)
		}
	}
	return all
}

// anyEmail reports whether addresses decide nothing.
func (p *plan) anyEmail() bool { return slices.Contains(p.list("email-domain"), "*") }

// mails are the addresses of the file that lists them.
func (p *plan) mails() (all []string) {
	path := p.text("authenticated-emails-file", "")
	if path == "" {
		return nil
	}
	lines, err := readFile(path)
	if err != nil {
		p.say("The file of addresses %s cannot be read here.", strconv.Quote(path))
		return nil
	}
	for line := range strings.Lines(lines) {
		if line = strings.ToLower(strings.TrimSpace(line)); line != "" && plainWord.MatchString(line) {
			all = append(all, line)
		}
	}
	return all
}

// verifies reports whether an address has to be one that the issuer has verified.
func (p *plan) verifies() bool { return !p.flag("insecure-oidc-allow-unverified-email", false) }

// outsiders are refused behind the log-in, by their addresses.
func (p *plan) outsiders(b *block) {
	email := "{http.auth.user." + p.emailClaim() + "}"
	if p.verifies() {
		const verified = "{http.auth.user.email_verified}"
		b.word("@unverified", verified+" == false || "+verified+" in [\"false\", \"False\", \"FALSE\", \"0\"]")
		b.word("respond @unverified 403")
	}
	if p.anyEmail() {
		return
	}
	var fits []string
	for _, one := range p.domains() {
		if !strings.HasPrefix(one, ".") {
			one = "@" + one
		}
		fits = append(fits, fmt.Sprintf("%s.lowerAscii().endsWith(%q)", email, one))
	}
	if mails := p.mails(); len(mails) > 0 {
		quoted := make([]string, len(mails))
		for n, mail := range mails {
			quoted[n] = strconv.Quote(mail)
		}
		fits = append(fits, fmt.Sprintf("%s.lowerAscii() in [%s]", email, strings.Join(quoted, ", ")))
	}
	if len(fits) == 0 {
		p.say("There is no email-domain: nobody gets in until you say who may.")
		fits = []string{"false"}
	}
	inner := block{slices.Clone(p.closed)}
	inner.word("not expression", fmt.Sprintf("type(%s) == string && (%s)", email, strings.Join(fits, " || ")))
	b.comment("Who may enter, by the address. Without one nobody does.")
	b.within("@outsiders", &inner, true)
	b.word("respond @outsiders 403")
}

// copyClaims is what the upstream learns of the user.
func (p *plan) copyClaims(b *block) {
	user := "sub"
	if p.flag("prefer-email-to-user", false) {
		user = p.emailClaim()
	}
	begin := "X-Forwarded-"
	switch {
	case p.asks && p.flag("set-xauthrequest", false):
		begin = "X-Auth-Request-"
	case p.asks, !p.flag("pass-user-headers", true) && !p.flag("pass-basic-auth", true):
		return
	}
	var copies []string
	for _, row := range [][2]string{
		{user, "User"}, {p.emailClaim(), "Email"}, {"preferred_username", "Preferred-Username"}, {p.text("oidc-groups-claim", "groups"), "Groups"},
	} {
		copies = append(copies, row[0]+">"+begin+row[1])
	}
	b.word("copy_claims", copies...)
}

// upstreams are what stands behind: by their paths, the longest first.
func (p *plan) upstreams(b *block) {
	type part struct {
		under string
		block block
	}
	var all []part
	for _, text := range p.list("upstream") {
		u, err := url.Parse(text)
		if err != nil {
			p.say("An upstream is left out: it is no URL.")
			continue
		}
		var inner, outer block
		under, word := u.Path, "handle"
		switch u.Scheme {
		case "http", "https":
			inner.word("reverse_proxy", u.Scheme+"://"+u.Host)
		case "unix":
			socket, _, _ := strings.Cut(u.Path, ":")
			under = "/"
			inner.word("reverse_proxy", "unix/"+socket)
		case "file":
			word = "handle_path"
			if u.Fragment != "" {
				under = u.Fragment
			}
			inner.word("root *", u.Path)
			inner.word("file_server")
		case "static":
			under = "/" + strings.TrimPrefix(u.Path, "/")
			inner.word("respond", u.Host)
		default:
			p.say("An upstream is left out: its scheme is none of http, https, unix, file and static.")
			continue
		}
		switch {
		case under == "" || under == "/":
			under = "/"
			outer.within("handle", &inner, true)
		case strings.HasSuffix(under, "/"):
			outer.within(word+" "+quote(under+"*"), &inner, true)
		default:
			outer.within(word+" "+quote(under), &inner, true)
		}
		all = append(all, part{under, outer})
	}
	slices.SortStableFunc(all, func(a, b part) int { return len(b.under) - len(a.under) })
	for _, one := range all {
		b.lines = append(b.lines, one.block.lines...)
	}
}
