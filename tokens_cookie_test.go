package caddyoauth

import (
	"net/http"
	"strings"
	"testing"
)

// Go leaves out cookies that it does not like. An upstream may read them.
func TestATokenOfOursInACookieThatGoLeavesOutGoesNowhere(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\nallow_anonymous")
	tok := g.token("orders").AccessToken
	for _, cookie := range []string{tok + "=1", tok, "a b=" + tok, `b=a,b\` + tok, "c=1; " + tok} {
		res := g.send(http.MethodGet, "/", "", "Cookie", cookie)
		if res.Code != http.StatusOK || len(g.saw) != 1 || strings.Contains(g.saw[0].Header.Get("Cookie"), tok[10:40]) {
			t.Errorf("%.10s…: %d, forwarded: %v", cookie, res.Code, g.saw)
		}
		g.saw = nil
	}
}
