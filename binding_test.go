package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
)

// neighbour is a site beside that of a deployment, with the same store and an issuer
// of the same name. more goes into its issuer block.
func (h *deployment) neighbour(port int, secret, more string) string {
	return fmt.Sprintf(`http://127.0.0.1:%d {
	oauth {
		issuer %s {
			audience api
			client gateway %s
			%s
		}
		session {
			store bolt %s
		}
		token_endpoint /auth {
			grant_types client_credentials authorization_code refresh_token
			public_clients phone
			revocation_endpoint /revoke
		}
	}
	respond neighbour
}
`, port, h.issuer.URL, secret, more, h.path("grants.db"))
}

// knows lets the issuer know one secret of the gateway's client alone.
func (h *deployment) knows(secret string) {
	h.issuer.reply(func(w http.ResponseWriter, q *asked) {
		if q.client() == "gateway" && q.Password != secret {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		h.issuer.grant(w, q)
	})
}

// ofPhone gets a token for a client without a secret.
func (h *deployment) ofPhone() tokenAnswer {
	h.Helper()
	status, _, body := h.ask(http.MethodPost, "/auth", "grant_type=authorization_code&code=c&code_verifier=v&client_id=phone")
	var tok tokenAnswer
	if err := json.Unmarshal([]byte(body), &tok); err != nil || status != http.StatusOK {
		h.Fatalf("no token: %d %s\n%s", status, body, h.log())
	}
	return tok
}

// head is a deployment's configuration without its site.
func (h *deployment) head() string {
	head, _, _ := strings.Cut(h.config(""), "http://")
	return head
}

// A stale secret in another site's configuration used to be what every site's
// grants were refreshed with, when that site came last.
func TestAStaleSecretOfAnotherSiteEndsNoGrantOfThisOne(t *testing.T) {
	h := newDeployment(t)
	h.knows("right")
	other := freePort(t)
	load(t, h.head()+h.neighbour(h.port, "right", "")+h.neighbour(other, "stale", ""))
	tok := h.ofPhone()
	h.port, other = other, h.port
	h.want("at the other site", tok, 200)
	h.port = other
	h.skip(accessLife)
	h.want("refreshed with the secret of its own site", tok, 200)
	for _, q := range h.issuer.take() {
		if q.client() == "gateway" && q.Password != "right" {
			t.Error("the other site's secret was presented for it")
		}
	}
}

// What says who the issuer is belongs to the grant as well: a site that names
// the same issuer with metadata of its own would collect the refresh tokens, and
// the secrets of clients, of all the others.
func TestAnotherSitesMetadataGetNoRefreshTokenAndNoSecretOfThisOne(t *testing.T) {
	h := newDeployment(t)
	thief := newGrantor(t, func(m map[string]any) { m["issuer"] = h.issuer.URL })
	more := "metadata " + thief.URL + "/.well-known/oauth-authorization-server"
	other := freePort(t)
	load(t, h.head()+h.neighbour(h.port, "s", "")+h.neighbour(other, "s", more))
	phone, machine := h.ofPhone(), h.token()
	h.reloaded(2, phone)
	h.skip(accessLife)
	h.want("by refresh token", phone, 200)
	h.want("by running again", machine, 200)
	h.ask(http.MethodPost, "/revoke", "client_id=phone&token="+phone.AccessToken)
	if asked := thief.take(); len(asked) > 0 {
		t.Errorf("the other site's server was asked: %v", asked)
	}
	revoked := false
	for _, q := range h.issuer.take() {
		revoked = revoked || q.Path == "/revoke"
	}
	if !revoked {
		t.Error("the grant was not given back where it came from")
	}
}

// To change one's secret is no reason to log everybody out; and the site is
// known by its address, also when another one has the secret of before.
func TestASiteThatChangesItsSecretKeepsItsGrants(t *testing.T) {
	h := newDeployment(t)
	h.knows("first")
	other := freePort(t)
	load(t, h.head()+h.neighbour(h.port, "first", "")+h.neighbour(other, "first", ""))
	tok := h.ofPhone()
	h.knows("second")
	load(t, h.head()+h.neighbour(h.port, "second", "")+h.neighbour(other, "first", ""))
	h.reloaded(2, tok)
	h.skip(accessLife)
	h.want("after a reload", tok, 200)
	h.stop()
	load(t, h.head()+h.neighbour(h.port, "second", "")+h.neighbour(other, "first", ""))
	h.reloaded(2, tok)
	h.skip(accessLife)
	h.want("after a restart", tok, 200)
}

// A site may move, and change the rest of what it says of its issuer.
func TestASiteThatMovesOrRewritesItsIssuerKeepsItsGrants(t *testing.T) {
	h := newDeployment(t)
	load(t, h.head()+h.neighbour(h.port, "s", ""))
	tok := h.ofPhone()
	load(t, h.head()+h.neighbour(h.port, "s", "metadata "+h.issuer.URL+"/.well-known/oauth-authorization-server"))
	h.reloaded(1, tok)
	h.skip(accessLife)
	h.want("with its metadata named", tok, 200)
	load(t, h.head()+h.neighbour(h.port, "s", ""))
	h.port = freePort(t)
	load(t, h.head()+h.neighbour(h.port, "s", ""))
	h.reloaded(1, tok)
	h.skip(accessLife)
	h.want("at another address", tok, 200)
}

// reloaded waits until a new configuration is alone, with so many sites, and its
// store is open.
func (h *deployment) reloaded(sites int, tok tokenAnswer) {
	h.Helper()
	await(h.T, "the old configuration to be gone", func() bool {
		return slices.ContainsFunc(grants.States(), func(s grants.State) bool {
			return s.Store == "bolt "+h.path("grants.db") && s.Sites == sites
		})
	})
	h.want("before time goes on", tok, 200)
}
