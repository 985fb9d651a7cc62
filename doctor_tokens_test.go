package caddyoauth

import (
	"fmt"
	"testing"
)

// Bound tokens are refused, so an issuer that gives out no others is worth a
// warning, and one that could a line.
func TestTheDoctorTellsOfIssuersThatBindTheirTokens(t *testing.T) {
	all := newGrantor(t, func(m map[string]any) { m["dpop_bound_access_tokens"] = true })
	examined(t, "oauth "+all.URL+" api").wants(t, "warn binding: dpop_bound_access_tokens", "warn binding: plain Bearer tokens")
	some := newGrantor(t, func(m map[string]any) {
		m["tls_client_certificate_bound_access_tokens"] = true
		m["dpop_signing_alg_values_supported"] = []string{"ES256"}
	})
	d := examined(t, "oauth "+some.URL+" api")
	d.wants(t, "ok binding: dpop_signing_alg_values_supported, tls_client_certificate_bound_access_tokens")
	if d.Result != "ok" {
		t.Errorf("the worst is %s", d.Result)
	}
	none := newGrantor(t, func(m map[string]any) { m["tls_client_certificate_bound_access_tokens"] = false })
	for _, one := range examined(t, "oauth "+none.URL+" api").Findings {
		if one.Check == "binding" {
			t.Error(one)
		}
	}
}

// Without an audience nothing tells a refresh token from an access token, but
// the issuer's word.
func TestTheDoctorWarnsWhereRefreshTokensMayPass(t *testing.T) {
	issuer := newKnower(t)
	for words, want := range map[string]string{
		"":                   "warn settings: opaque tokens pass only if the issuer says that they are access tokens",
		"insecure_any_token": "warn settings: insecure_any_token: a refresh token passes as an access token",
	} {
		examined(t, fmt.Sprintf("oauth {\nissuer %s {\ninsecure_any_audience\nintrospect {\n%s\n}\nclient gateway the-gateways-own-secret\n}\n}", issuer.URL, words)).
			wants(t, want, "warn settings: insecure_any_audience")
	}
}

func TestTheDoctorTellsOfClaimsThatEachOfSeveralIssuersMayWrite(t *testing.T) {
	one, other := newGrantor(t, nil), newGrantor(t, nil)
	const blocks = "oauth {\nissuer %[1]s {\naudience api\n%[2]s\n}\nissuer %[3]s {\naudience api\n%[2]s\n}\n%[4]s\n}"
	examined(t, fmt.Sprintf(blocks, one.URL, "", other.URL, "require claim groups admins\nrequire /x claim groups staff")).
		wants(t, "warn settings: require claim groups holds for the tokens of each of 2 issuer blocks")
	d := examined(t, fmt.Sprintf(blocks, one.URL, "require claim groups admins", other.URL, "require scope a\nrequire claim iss "+one.URL))
	if d.Result != "ok" {
		t.Errorf("requirements of issuer blocks: the worst is %s: %+v", d.Result, d.Findings)
	}
}
