// Package credential is about where a token stands in a request, and where one of
// the gateway's own must not: in another place than those configured, in the
// target, or in a cookie that an upstream would see.
package credential

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Credential is a place where a token may be presented. One field is set.
type Credential struct {
	// The name of a header. In Authorization the token stands behind
	// "Bearer"; in another header it may also stand alone.
	Header string `json:"header,omitempty"`

	// The name of a cookie. It counts only when no other place has a token,
	// since browsers send cookies unasked.
	Cookie string `json:"cookie,omitempty"`

	// The name of a query parameter. URLs end up in histories and logs: only
	// for clients that cannot set a header (RFC 6750 §2.3).
	Query string `json:"query,omitempty"`
}

// place is a Credential made ready to look at requests.
type place struct {
	header, cookie, query string
	folded                [1]string // header as careless upstreams read it
	exposed               bool      // Caddy's access log would show the token
}

// Places are where a gateway looks for a token, and knows one of ours.
type Places struct {
	list    []place
	session string // the name of the cookie of sessions; "": there are none
	ours    bool   // reference tokens are taken here, or sessions
}

// New makes the places of credentials ready, without any the Authorization
// header alone. sessionCookie is the cookie of sessions, or empty. ours: this
// gateway takes tokens of its own, so that one in another place is a mistake.
func New(credentials []Credential, sessionCookie string, ours bool) (*Places, error) {
	p := &Places{session: sessionCookie, ours: ours}
	if len(credentials) == 0 {
		p.list = []place{{header: "Authorization", folded: [1]string{"authorization"}}}
		return p, nil
	}
	var places []place
	for _, c := range credentials {
		at := place{header: http.CanonicalHeaderKey(c.Header), cookie: c.Cookie, query: c.Query}
		name := c.Header + c.Cookie + c.Query
		switch {
		case name == "" || (c.Header != name && c.Cookie != name && c.Query != name):
			return nil, fmt.Errorf("credentials: name one header, cookie or query parameter each")
		case c.Query == "" && !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("credentials: %q is not a name that a header or cookie can have", name)
		case c.Header != "" && (at.header == "Cookie" || at.header == "Proxy-Authorization"):
			return nil, fmt.Errorf("credentials: the header %s has a use of its own", at.header)
		}
		at.folded = [1]string{lenient.Fold(at.header)}
		at.exposed = at.query != "" || (at.header != "" && at.header != "Authorization")
		if slices.Contains(places, at) {
			return nil, fmt.Errorf("credentials: %s is there twice", name)
		}
		places = append(places, at)
	}
	slices.SortStableFunc(places, func(a, b place) int { return a.rank() - b.rank() })
	p.list = places
	return p, nil
}

// Headers are the names of the headers among the places.
func (p *Places) Headers() (names []string) {
	for i := range p.list {
		if name := p.list[i].header; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Methods are the ways to send a token, by their names in a resource's metadata
// (RFC 9728 §2). Other places have no name there.
func (p *Places) Methods() (names []string) {
	for i := range p.list {
		switch at := &p.list[i]; {
		case at.header == "Authorization":
			names = append(names, "header")
		case at.query == "access_token":
			names = append(names, "query")
		}
	}
	return names
}

// rank puts cookies behind all other places.
func (at place) rank() int {
	if at.cookie != "" {
		return 1
	}
	return 0
}

// Find looks for exactly one credential (RFC 6750 §2). None at all is an empty
// token and no error.
func (p *Places) Find(r *http.Request) (found Presented, err error) {
	for _, at := range p.list {
		if at.cookie != "" && found.Token != "" {
			break // cookies come last, and count only when nothing else is there
		}
		token, err := at.read(r)
		if err != nil {
			return Presented{at: at}, err
		}
		if token == "" {
			continue
		}
		if found.Token != "" {
			return found, verdict.Malformed(verdict.TwoCredentials, "a token in more than one place")
		}
		found = Presented{Token: token, at: at}
	}
	return found, nil
}

func (at place) read(r *http.Request) (string, error) {
	switch {
	case at.header != "":
		return at.readHeader(r.Header[at.header])
	case at.cookie != "":
		return single(CookieValues(r, at.cookie), "cookie "+at.cookie)
	}
	if r.URL.RawQuery == "" {
		return "", nil
	}
	return single(lenient.QueryValues(r.URL.RawQuery, at.query), "query parameter "+at.query)
}

func (at place) readHeader(fields []string) (string, error) {
	if len(fields) == 0 {
		return "", nil
	}
	if len(fields) > 1 {
		return "", verdict.Malformed(verdict.TwoCredentials, "two "+at.header+" fields")
	}
	scheme, token, two := strings.Cut(fields[0], " ")
	if !two && !strings.EqualFold(scheme, "Bearer") && at.header != "Authorization" {
		return single(fields, at.header)
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return "", verdict.NotBearer(at.header)
	}
	token = strings.TrimLeft(token, " ")
	if !IsToken68(token) {
		return "", verdict.Malformed(verdict.BadCredential, "the text behind Bearer is not one token")
	}
	return token, nil
}

// single takes the one value of a place that holds a bare token.
func single(values []string, where string) (string, error) {
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", verdict.Malformed(verdict.TwoCredentials, "more than one "+where)
	case !IsToken68(values[0]):
		return "", verdict.Malformed(verdict.BadCredential, where+" does not hold one token")
	}
	return values[0], nil
}

// IsToken68 is the grammar of RFC 9110 §11.2: no spaces, commas or quotes, and
// "=" only at the end.
func IsToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !token68[s[i]] {
			return false
		}
	}
	return s != ""
}

// token68 is a table since each byte of each token is looked at.
var token68 = func() (table [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/" {
		table[c] = true
	}
	return table
}()

// CookieValues are the values of all cookies of a name.
func CookieValues(r *http.Request, name string) (values []string) {
	for _, c := range r.Cookies() {
		if c.Name == name {
			values = append(values, c.Value)
		}
	}
	return values
}

func dropQuery(r *http.Request, name string) {
	if len(lenient.QueryValues(r.URL.RawQuery, name)) == 0 {
		return
	}
	var kept []string
	for pair := range lenient.QueryPairs(r.URL.RawQuery) {
		if key, _, _ := strings.Cut(pair, "="); lenient.Unescape(key) != name {
			kept = append(kept, pair)
		}
	}
	r.URL.RawQuery = strings.Join(kept, "&")
	r.RequestURI = r.URL.RequestURI()
}

func dropCookie(r *http.Request, name string) {
	var kept []string
	for _, field := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(field, ";") {
			pair = strings.TrimSpace(pair)
			if key, _, _ := strings.Cut(pair, "="); strings.TrimSpace(key) != name && pair != "" {
				kept = append(kept, pair)
			}
		}
	}
	r.Header.Del("Cookie")
	if len(kept) > 0 {
		r.Header.Set("Cookie", strings.Join(kept, "; "))
	}
}
