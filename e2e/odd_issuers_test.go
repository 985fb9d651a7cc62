package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddyoauth/caddyoauth/e2e/issuers/zitadel"
)

func TestZitadelTokensPassWithTheClientAsAudienceAndNotByDefault(t *testing.T) {
	t.Parallel()
	issuer := startZitadel(t)
	up := startUpstream(t)
	token := zitadelToken(t, issuer)
	g := newGateway(t)
	strict, typed := freePort(t), freePort(t)
	g.serve(g.site(g.port, identity(issuer, zitadel.ClientID), up) +
		g.site(strict, identity(issuer, audience), up) +
		g.site(typed, fmt.Sprintf(`oauth {
			issuer %s {
				audience %s
				token_type at+jwt
			}
		}`, issuer, zitadel.ClientID), up))
	get(t, g.url("/"), token).wantPass(t, zitadel.ClientID)
	get(t, at(strict)+"/", token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	get(t, at(typed)+"/", token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
}

func TestTokensWithoutAudiencePassWhereTheDangerIsSpeltOutAndNotByDefault(t *testing.T) {
	t.Parallel()
	issuer := startNode(t, "mock-server.mjs")
	up := startUpstream(t)
	token := issuer.mockToken(t)
	g := newGateway(t)
	strict := freePort(t)
	g.serve(g.site(g.port, fmt.Sprintf(`oauth {
			issuer %s {
				insecure_any_audience
			}
			copy_claims sub>X-User-Id
		}`, issuer.url), up) + g.site(strict, identity(issuer.url, audience), up))
	get(t, g.url("/"), token).wantPass(t, "alice")
	get(t, at(strict)+"/", token).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
}

func TestAKeyOfOneIssuerNeverVerifiesATokenOfAnother(t *testing.T) {
	t.Parallel()
	one, other := startFakeIssuer(t), startFakeIssuer(t)
	g := startGateway(t, startUpstream(t), fmt.Sprintf(`oauth {
		issuer %s %s {
			audience %s
		}
		copy_claims sub>X-User-Id
	}`, one.url, other.url, audience))
	get(t, g.url("/"), one.token(nil)).wantPass(t, "alice")
	get(t, g.url("/"), other.token(nil)).wantPass(t, "alice")
	forged := other.key().sign(goodClaims(one.url, nil), nil)
	get(t, g.url("/"), forged).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	borrowed := other.key().sign(goodClaims(one.url, nil), map[string]any{"kid": one.key().kid})
	get(t, g.url("/"), borrowed).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
}
