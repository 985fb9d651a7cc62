package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	parse "golang.org/x/net/html"
)

// guest is a browser and somebody before it, for servers whose pages are as
// they are. Its cookies are its own: those of this machine go over plain http
// though they are Secure, as in browsers.
type guest struct {
	t       *testing.T
	client  *http.Client
	cookies map[string]map[string]string // host and port → name → value
	types   map[string]string            // into fields of these names
	seen    []string                     // the addresses where it was
	stop    string                       // an address where nobody listens, and redirects end
}

func newGuest(t *testing.T, types map[string]string) *guest {
	return &guest{t: t, client: newClient(time.Minute), cookies: map[string]map[string]string{}, types: types}
}

// view is where redirects ended.
type view struct {
	answer
	url *url.URL
}

// open follows a link.
func (v *guest) open(address string) view {
	v.t.Helper()
	return v.follow(http.MethodGet, address, "", "none")
}

// logIn opens a page of the site and does what the issuer asks for on the way.
func (v *guest) logIn(address string) view {
	v.t.Helper()
	site, err := url.Parse(address)
	if err != nil {
		v.t.Fatal(err)
	}
	at := v.open(address)
	for range 6 {
		if at.url.Host == site.Host {
			return at
		}
		at = v.submit(at)
	}
	v.t.Fatalf("the log-in does not end: %d at %s\n%s", at.status, at.url, at.body)
	return view{}
}

// submit sends the first form of a page.
func (v *guest) submit(at view) view {
	v.t.Helper()
	form := v.form(at)
	to, err := at.url.Parse(form.action)
	if err != nil {
		v.t.Fatal(err)
	}
	if form.method == http.MethodGet {
		to.RawQuery = form.fields.Encode()
		return v.follow(http.MethodGet, to.String(), "", "same-origin")
	}
	return v.follow(http.MethodPost, to.String(), form.fields.Encode(), "same-origin")
}

// follow asks, and goes where redirects lead.
func (v *guest) follow(method, address, body, site string) view {
	v.t.Helper()
	for range 20 {
		at, err := url.Parse(address)
		if err != nil {
			v.t.Fatal(err)
		}
		v.seen = append(v.seen, address)
		a := v.ask(method, at, body, site)
		to := a.header.Get("Location")
		if a.status < 300 || a.status > 399 || to == "" {
			return view{a, at}
		}
		next, err := at.Parse(to)
		if err != nil {
			v.t.Fatal(err)
		}
		if v.stop != "" && strings.HasPrefix(next.String(), v.stop) {
			return view{a, next}
		}
		if next.Host != at.Host {
			site = "cross-site"
		}
		method, address, body = http.MethodGet, next.String(), ""
	}
	v.t.Fatalf("redirects without an end: %q", v.seen)
	return view{}
}

func (v *guest) ask(method string, at *url.URL, body, site string) answer {
	v.t.Helper()
	req, err := http.NewRequest(method, at.String(), strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	asNavigation(req)
	req.Header.Set("Sec-Fetch-Site", site)
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range v.cookies[at.Host] {
		req.Header.Add("Cookie", name+"="+value)
	}
	a, err := send(v.client, req)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, at, err)
	}
	if v.cookies[at.Host] == nil {
		v.cookies[at.Host] = map[string]string{}
	}
	for _, c := range a.cookies() {
		if c.MaxAge < 0 || !c.Expires.IsZero() && c.Expires.Before(time.Now()) {
			delete(v.cookies[at.Host], c.Name)
		} else {
			v.cookies[at.Host][c.Name] = c.Value
		}
	}
	return a
}

// session is what the site gave to the browser.
func (v *guest) session(g *gateway) session {
	v.t.Helper()
	cookie := v.cookies[strings.TrimPrefix(g.url(""), "http://")][sessionCookie]
	if cookie == "" {
		v.t.Fatalf("no session after %q", v.seen)
	}
	return session{cookie: cookie}
}

// filled is a form as somebody sends it.
type filled struct {
	action, method string
	fields         url.Values
}

// form fills the first form of a page: what stands in it, what the guest types,
// every box, and the first button.
func (v *guest) form(at view) filled {
	v.t.Helper()
	tree, err := parse.Parse(strings.NewReader(at.body))
	if err != nil {
		v.t.Fatal(err)
	}
	var found *parse.Node
	f := filled{method: http.MethodGet, fields: url.Values{}}
	pressed := false
	var walk func(n *parse.Node, inside bool)
	walk = func(n *parse.Node, inside bool) {
		if n.Type == parse.ElementNode && n.Data == "form" && found == nil {
			found, inside = n, true
			f.action = attribute(n, "action")
			if strings.EqualFold(attribute(n, "method"), http.MethodPost) {
				f.method = http.MethodPost
			}
		}
		if name := attribute(n, "name"); inside && name != "" && (n.Data == "input" || n.Data == "button") {
			value := attribute(n, "value")
			if typed, ok := v.types[name]; ok {
				value = typed
			}
			button := n.Data == "button" || attribute(n, "type") == "submit"
			if !button || !pressed {
				f.fields.Add(name, value)
			}
			pressed = pressed || button
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			walk(child, inside)
		}
	}
	walk(tree, false)
	if found == nil {
		v.t.Fatalf("no form at %s: %d %s", at.url, at.status, at.body)
	}
	return f
}

func attribute(n *parse.Node, name string) string {
	if i := slices.IndexFunc(n.Attr, func(a parse.Attribute) bool { return a.Key == name }); i >= 0 {
		return n.Attr[i].Val
	}
	return ""
}
