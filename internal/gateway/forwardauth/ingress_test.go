package forwardauth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// ingress-nginx says nowhere else which address the browser sees, and hands on what
// a client wrote there.
func TestTheAddressInXOriginalURLIsWhatTheBrowserSees(t *testing.T) {
	f := &ForwardAuth{method: originalMethod, uri: originalURL, peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for _, row := range []struct{ url, proto, wantProto, wantHost, wantPath string }{
		{"https://app.example.com/x?a=b", "", "https", "app.example.com", "/x"},
		{"http://app.example.com:8080/", "https", "https", "app.example.com:8080", "/"}, // TLS ends in front of the controller
		{"/x", "", "", "evil.example", "/x"},                                            // it says none
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set(originalMethod, "GET")
		r.Header.Set(originalURL, row.url)
		r.Header.Set("X-Forwarded-Host", "evil.example")
		if row.proto != "" {
			r.Header.Set("X-Forwarded-Proto", row.proto)
		}
		if err := f.Restore(r); err != nil || r.URL.Path != row.wantPath || r.Header.Get("X-Forwarded-Proto") != row.wantProto || r.Header.Get("X-Forwarded-Host") != row.wantHost {
			t.Errorf("%s: %v %s %v", row.url, err, r.URL, r.Header)
		}
	}
}
