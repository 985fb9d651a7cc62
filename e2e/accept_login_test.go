package e2e

import (
	"net/http"
	"testing"
)

func TestAccept04_WithoutASessionOnlyANavigationIsSentToTheIssuer(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	for name, header := range map[string][]string{
		"an XHR":             {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"},
		"an old XHR":         {"X-Requested-With", "XMLHttpRequest", "Accept", "application/json"},
		"a script":           {"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"},
		"a frame":            {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Accept", "text/html"},
		"a plain API client": nil,
	} {
		req, err := http.NewRequest(http.MethodGet, r.g.url("/orders"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		a, err := send(r.client, req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a.wantChallenge(t, http.StatusUnauthorized, "")
		if a.header.Get("Location") != "" || len(a.cookies()) != 0 {
			t.Errorf("%s gets a redirect or a cookie", name)
		}
	}
	r.navigate("/orders", session{}).wantLogin(t, r)
	if n, calls := r.api.requests.Load(), r.tap.all(); n != 0 || len(calls) != 0 {
		t.Errorf("%d requests reached the upstream, and the gateway asked %v", n, calls)
	}
}
