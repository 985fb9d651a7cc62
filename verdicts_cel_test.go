package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// With nil for absent groups Caddy's CEL fails with "no such overload", and
// the client gets a 500 for a token that is merely without groups (rule 29).
func TestAnExpressionBehindTheGatewaySeesGroupsAlsoWhenThereAreNone(t *testing.T) {
	server, _ := adaptSite(t, defaultConfig+`
		@admin expression `+"`\"admin\" in {http.auth.user.groups}`"+`
		@senior expression `+"`{http.auth.user.level} >= 3 && {http.auth.user.id} == \"alice\"`"+`
		header @senior X-Senior yes
		respond @admin "an admin"
		respond "somebody"
	`)
	if err := server.Routes.Provision(testContext(t)); err != nil {
		t.Fatal(err)
	}
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for _, row := range []struct{ claims, want string }{
		{`"groups":["staff","admin"]`, "an admin"},
		{`"groups":["staff"]`, "somebody"},
		{`"groups":[]`, "somebody"},
		{`"groups":null`, "somebody"},
		{`"level":1`, "somebody"},
		{`"groups":"admin"`, "an admin"},
		{`"groups":["a",1,{"b":null},null]`, "somebody"},
		{`"groups":{"admin":true}`, "somebody"},
		{`"groups":7`, "somebody"},
	} {
		payload := fmt.Sprintf(`{"iss":"https://issuer.example","aud":"api","sub":"alice","exp":%d,%s}`, time.Now().Add(time.Hour).Unix(), row.claims)
		raw := httptest.NewRequest(http.MethodGet, "http://api.example/", nil)
		raw.Header.Set("Authorization", "Bearer "+signToken(t, "es256", defaultHeader, payload))
		res := httptest.NewRecorder()
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, server)
		if err := server.Routes.Compile(end).ServeHTTP(res, r); err != nil {
			t.Errorf("%s: %v", row.claims, err)
			continue
		}
		if got := res.Body.String(); got != row.want {
			t.Errorf("%s: %q, want %q", row.claims, got, row.want)
		}
	}
}
