package resource

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestScopesThatManyRequirementsNameStandInTheDocumentOnce(t *testing.T) {
	m := New(Document{Resource: "https://api.example/a", Servers: []string{"https://issuer.example"}, Scopes: []string{"write", "read", "write"}})
	r := httptest.NewRequest(http.MethodGet, Path("https://api.example/a"), nil)
	res := httptest.NewRecorder()
	if err := m.Handler(r)(res, r); err != nil {
		t.Fatal(err)
	}
	const want = `{"resource":"https://api.example/a","authorization_servers":["https://issuer.example"],"scopes_supported":["read","write"]}` + "\n"
	if got := res.Body.String(); got != want {
		t.Errorf("the document is %s, want %s", got, want)
	}
}

// Whatever is taken for a resource, a client that follows RFC 9728 §3.1 and
// writes URLs as URL libraries do finds the document, and the same text in it.
func FuzzResource(f *testing.F) {
	for _, s := range []string{
		"https://api.example", "https://api.example/", "https://api.example/mcp", "https://api.example/mcp/", "http://127.0.0.1:8080/a/b",
		"https://[::1]/x", "https://api.example/a//b", "https://api.example/%61", "https://api.example/..", "https://api.example:443", "https://a/;x=y",
		"HTTPS://api.example", "https://api.example/\"", "https://api.example/*", "https:api.example", "https://api.example?", "https://ä.example/ö",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if Check(text, false) != nil {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.String() != text || u.Host != strings.ToLower(u.Host) {
			t.Fatalf("%q is written as %q, %v", text, u, err)
		}
		m := New(Document{Resource: text})
		var doc struct{ Resource string }
		if err := json.Unmarshal(m.body, &doc); err != nil || doc.Resource != text {
			t.Errorf("%q: the document is about %q, %v", text, doc.Resource, err)
		}
		found, err := url.Parse(u.Scheme + "://" + u.Host + WellKnown + strings.TrimSuffix(u.Path, "/"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSuffix(m.Address(), "/") != found.String() {
			t.Errorf("%q: the document is at %s, a client looks at %s", text, m.Address(), found)
		}
		if strings.ContainsAny(m.Address(), `"\`) {
			t.Errorf("%q: the address %s does not stand in a challenge as it is", text, m.Address())
		}
		target, err := url.ParseRequestURI(m.Address())
		if err != nil || m.Handler(&http.Request{URL: target}) == nil {
			t.Errorf("%q: nothing answers at %s, %v", text, m.Address(), err)
		}
	})
}

// The URL standard writes a slash where a URL has no path (RFC 3986 §6.2.3).
func TestTheDocumentOfAResourceWithoutAPathHasItsAddressWithASlashToo(t *testing.T) {
	for resource, paths := range map[string]map[string]bool{
		"https://api.example":   {WellKnown: true, WellKnown + "/": true, WellKnown + "/x": false},
		"https://api.example/":  {WellKnown: true, WellKnown + "/": true, WellKnown + "//": false},
		"https://api.example/a": {WellKnown + "/a": true, WellKnown + "/a/": false, WellKnown: false},
	} {
		m := New(Document{Resource: resource})
		for path, want := range paths {
			if got := m.Handler(&http.Request{URL: &url.URL{Path: path}}) != nil; got != want {
				t.Errorf("%s: answers at %s is %v", resource, path, got)
			}
		}
	}
}
