package caddyoauth

import (
	"net/http"
	"strings"
	"testing"
)

// A public client may run in a browser, and asks from its own origin.
func TestScriptsOfAnyOriginMayUseTheTokenEndpoint(t *testing.T) {
	issuer := newGrantor(t, nil)
	send := siteOf(t, "header Access-Control-Allow-Origin https://app.example\n"+oauthBlock("/orders/*", issuer))
	for _, path := range []string{"/auth", "/revoke", "/auth?secret=x"} {
		res := send(http.MethodOptions, path, "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,mcp-protocol-version")
		h := res.Header()
		if res.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "POST" ||
			h.Get("Access-Control-Allow-Headers") != "Authorization, *" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, res.Code, h)
		}
	}
	for name, form := range map[string]string{"a token": "grant_type=client_credentials&client_id=robot&client_secret=robot-secret", "a refusal": "grant_type=client_credentials&client_id=robot&client_secret=wrong"} {
		h := send(http.MethodPost, "/auth", form).Header()
		if got := h["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "*" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
			t.Errorf("%s: %v", name, h)
		}
	}
	if res := send(http.MethodPut, "/auth", ""); res.Code != http.StatusMethodNotAllowed || res.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("PUT: %d %v", res.Code, res.Header())
	}
}
