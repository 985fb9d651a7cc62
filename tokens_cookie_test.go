package caddyoauth

import (
	"net/http"
	"testing"
)

// Go leaves out cookies that it does not like. An upstream may read them.
func TestATokenOfOursInACookieThatGoLeavesOutGoesNowhere(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\nallow_anonymous")
	tok := g.token("orders").AccessToken
	for _, cookie := range []string{tok + "=1", tok, "a b=" + tok, `b=a,b\` + tok, "c=1; " + tok} {
		res := g.send(http.MethodGet, "/", "", "Cookie", cookie)
		if res.Code != http.StatusBadRequest || len(g.saw) > 0 {
			t.Errorf("%.10s…: %d, forwarded: %d", cookie, res.Code, len(g.saw))
		}
		g.saw = nil
	}
}
