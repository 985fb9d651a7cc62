package as

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func FuzzMetadata(f *testing.F) {
	for _, doc := range []string{
		`{"issuer":"` + issuerURL + `","jwks_uri":"` + keysURL + `"}`,
		`{"issuer":"` + issuerURL + `/","jwks_uri":"` + keysURL + `"}`,
		`{"issuer":"https://evil.example","issuer":"` + issuerURL + `","jwks_uri":"` + keysURL + `"}`,
		`{"issuer":"` + issuerURL + `","Issuer":"https://evil.example","jwks_uri":"` + keysURL + `"}`,
		`{"i\u0073suer":"https:\/\/login.example.com\/tenant","jwks_uri":"` + keysURL + `"}`,
		`{"issuer":"` + issuerURL + `","jwks_uri":"http://login.example.com/keys"}`,
		`{"issuer":"` + issuerURL + `","jwks_uri":"http://127.0.0.1/keys"}`,
		`{"issuer":"` + issuerURL + `","jwks_uri":"http://127.0.0.1@evil.example/keys"}`,
		`{"issuer":["` + issuerURL + `"],"jwks_uri":null}`,
		`{"a":{"issuer":"` + issuerURL + `","jwks_uri":"` + keysURL + `"}}`,
		`[]`, `null`, `{`, "\xef\xbb\xbf{}", "",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		s := newServer(t, roundTrip(reply(200, string(doc))))
		err := s.adopt(s.ask(t.Context(), []string{formRFC}))
		if (err == nil) != (s.keysURL != "") {
			t.Fatalf("error %v and keys at %q", err, s.keysURL)
		}
		if err != nil {
			return
		}
		// What another reader of JSON sees must be the same.
		var members map[string]any
		if err := json.Unmarshal(doc, &members); err != nil {
			t.Fatalf("accepted %q, which is no JSON: %v", doc, err)
		}
		if members["issuer"] != issuerURL || members["jwks_uri"] != s.keysURL {
			t.Fatalf("accepted %q of another issuer, keys at %q", doc, s.keysURL)
		}
		u, err := url.Parse(s.keysURL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !loopback(u.Hostname()) {
			t.Fatalf("would ask %q for keys", s.keysURL)
		}
	})
}

func FuzzFreshness(f *testing.F) {
	f.Add("max-age=600", "10", "", "")
	f.Add("no-store, max-age=1", "", "", "")
	f.Add("public,,max-age=\"3600\" , x=\"a,b\"", "99999999999999999999", "", "")
	f.Add("max-age=-1", "-1", "0", "")
	f.Add("", "", "Thu, 01 Dec 2095 16:00:00 GMT", "Thu, 01 Dec 1994 16:00:00 GMT")
	f.Add("MAX-AGE=18446744073709551616", "1", "Thu, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT")
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, control, age, expires, date string) {
		h := http.Header{"Cache-Control": {control}, "Age": {age}, "Expires": {expires}, "Date": {date}}
		if got := freshness(h, now); got < Floor || got > Ceiling {
			t.Errorf("%v: %s, not from %s to %s", h, got, Floor, Ceiling)
		}
	})
}

func FuzzStoredKeys(f *testing.F) {
	fetched := time.Now().UTC().Format(time.RFC3339Nano)
	f.Add([]byte(`{"issuer":"` + issuerURL + `","fetched":"` + fetched + `","jwks":` + string(publishedA) + `}`))
	f.Add([]byte(`{"issuer":"https://evil.example","fetched":"` + fetched + `","jwks":` + string(publishedA) + `}`))
	f.Add([]byte(`{"issuer":"` + issuerURL + `","fetched":"0000-01-01T00:00:00Z","jwks":null}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newServer(t, roundTrip(refuse), stored)
		s.Attach(Env{Storage: &memory{values: map[string][]byte{"keys": data}}})
		set := s.restore()
		if set != (s.Status().Keys > 0) {
			t.Fatalf("restored %t, status %+v", set, s.Status())
		}
		if age := time.Since(s.Status().Fetched); set && (age < 0 || age >= keepStored) {
			t.Fatalf("restored keys of an age of %s", age)
		}
	})
}

// roundTrip is an issuer that does the same with every request.
type roundTrip answer

func (a roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }
