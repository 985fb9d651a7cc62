package caddyoauth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// A list claim without a token once was nil, and CEL's "in" made a 500 of a
// request with nothing wrong in it.
func TestARequestWithoutATokenHasEmptyListsAndNoName(t *testing.T) {
	issuer := newTestIssuer(t, benchKey(t, "ES256"))
	port := freePort(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	t.Cleanup(func() { _ = caddy.Stop() })
	load(t, strings.Replace(site(t, port, issuer.URL, "allow_anonymous"), "\t\trespond", "\t\t@admin `\"admin\" in {http.auth.user.groups}`\n\t\trespond @admin admin\n\t\trespond", 1))
	if status, body := get(t, url, ""); status != 200 || body != "hello " {
		t.Errorf("without a token: %d %q, want 200 and no name", status, body)
	}
	if status, body := get(t, url, issuer.token(t)); status != 200 || body != "hello alice" {
		t.Errorf("with a token without groups: %d %q", status, body)
	}
}
