package tokenrequest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// sent is what is read of a request whose Basic is this pair, as it is.
func sent(t *testing.T, id, password string) *Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, password)
	q, refused := Read(httptest.NewRecorder(), r)
	if refused != nil {
		t.Fatal(refused)
	}
	return q
}

func TestBasicIsReadAsFormEncodedWhereItCanBe(t *testing.T) {
	for password, want := range map[string]struct {
		secret, literal string
		unencoded       bool
	}{
		"letters-and_dots.~1": {"letters-and_dots.~1", "", false},
		"p%2Bw%2Fx%3D":        {"p+w/x=", "", false},
		"p%2bw":               {"p+w", "", false},
		"a+space%21":          {"a space!", "", false},
		"(quotes')*!":         {"(quotes')*!", "", false}, // encodeURIComponent leaves them
		"p+w":                 {"p w", "p+w", false},
		"p+w/x=":              {"p+w/x=", "", true},
		"p%w":                 {"p%w", "", true},
		"p%2":                 {"p%2", "", true},
		"p%2Bw/":              {"p%2Bw/", "", true},
		"a:colon":             {"a:colon", "", true},
		"ü":                   {"ü", "", true},
		"a space":             {"a space", "", true},
	} {
		q := sent(t, "app", password)
		if q.ClientID != "app" || q.Method != Basic || q.ClientSecret.Reveal() != want.secret || q.Literal.Reveal() != want.literal || q.Unencoded != want.unencoded {
			t.Errorf("%q: %q, %q, %t", password, q.ClientSecret.Reveal(), q.Literal.Reveal(), q.Unencoded)
		}
	}
	if q := sent(t, "my app", "letters"); q.ClientID != "my app" || !q.Unencoded {
		t.Errorf("an id that is not encoded: %q", q.ClientID)
	}
}

// FuzzBasic: what a client encodes as RFC 6749 §2.3.1 has it is read as it was,
// and what it does not encode is never read as something that it did not write.
func FuzzBasic(f *testing.F) {
	for _, pair := range [][2]string{{"app", "p+w/x="}, {"a b", "p%w"}, {"é:", ""}, {"", "%2B"}, {"app", "+"}, {"app", "\x00%"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, id, secret string) {
		q := sent(t, url.QueryEscape(id), url.QueryEscape(secret))
		if q.ClientID != id || q.ClientSecret.Reveal() != secret || q.Unencoded {
			t.Fatalf("%q and %q became %q and %q", id, secret, q.ClientID, q.ClientSecret.Reveal())
		}
		if strings.Contains(id, ":") {
			return // a colon ends an id that is not encoded
		}
		q = sent(t, id, secret)
		decodes := func(said, meant string) bool {
			plain, err := url.QueryUnescape(said)
			return meant == said || err == nil && meant == plain
		}
		if !decodes(id, q.ClientID) || !decodes(secret, q.ClientSecret.Reveal()) || !q.Literal.Empty() && q.Literal.Reveal() != secret {
			t.Fatalf("%q and %q became %q, %q and %q", id, secret, q.ClientID, q.ClientSecret.Reveal(), q.Literal.Reveal())
		}
	})
}
