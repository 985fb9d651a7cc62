package caddyoauth

import (
	"net/http"
	"testing"
)

func TestARefusalOfAGRPCCallIsAStatusAndAChallengeWithoutABody(t *testing.T) {
	g := newGate(t, newGrantor(t, nil), "")
	for kind, empty := range map[string]bool{"application/grpc": true, "application/grpc+proto": true, "application/grpc-web": false, "application/json": false} {
		res := g.send(http.MethodPost, "/orders.Orders/Cancel", "", "Content-Type", kind)
		if res.Code != http.StatusUnauthorized || res.Header().Get("WWW-Authenticate") == "" || (res.Body.Len() == 0) != empty {
			t.Errorf("%s: %d %q, challenge %q", kind, res.Code, res.Body, res.Header().Get("WWW-Authenticate"))
		}
	}
}
