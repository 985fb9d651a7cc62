package caddyoauth

import (
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"

	"github.com/caddyoauth/caddyoauth/internal/as"
)

// The issuer decides for each client who may log in: a session of one is none at the
// site of another, though both know the issuer and share a store.
func TestASessionIsOneOfTheClientAndTheServerThatItBeganAt(t *testing.T) {
	from := grants.Source{App: grants.Origin{Client: "public", Server: "here"}.Seal()}
	for _, row := range []struct {
		client, server string
		want           bool
	}{{"public", "here", true}, {"finance", "here", false}, {"public", "there", false}, {"", "", false}} {
		if got := from.Of(&issuers.Trust{Client: &as.Client{ID: row.client}, Reach: row.server}); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
}
