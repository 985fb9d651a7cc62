package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// signerFor serves the keys of testdata/keys/issuer.jwks.json, one of RSA
// without an alg among them, and metadata that name these algorithms.
func signerFor(t *testing.T, algorithms string) string {
	t.Helper()
	keys, err := os.ReadFile("testdata/keys/issuer.jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			_, _ = w.Write(keys)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":[%s]}`, server.URL, server.URL+"/jwks", algorithms)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestTheDoctorTellsOfRSAKeysThatAreForAnotherAlgorithmThanTheIssuerSignsWith(t *testing.T) {
	for _, row := range []struct{ signs, words, want string }{
		{``, "", "warn algorithms: are for RS256 alone: rsa (RS256)"},
		{`"ES256"`, "", "warn algorithms: nothing, if the issuer signs access tokens with RS256; else name its algorithm in algorithms"},
		{`"RS256","PS256"`, "", "warn algorithms: are for all that the metadata name: rsa (PS256 RS256)"},
		{`"PS256"`, "algorithms RS256 ES256 ES384 ES512 EdDSA", "warn algorithms: and the metadata name PS256: rsa (RS256)"},
		{`"PS256"`, "", "ok keys: rsa (PS256)"},
		{`"RS256"`, "", "ok keys: rsa (RS256)"},
		{``, "algorithms RS512", "ok keys: rsa (RS512)"},
	} {
		d := examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n%s\n}\n}", signerFor(t, row.signs), row.words))
		d.wants(t, row.want)
		warned := 0
		for _, one := range d.Findings {
			if one.Check == "algorithms" && one.Result == "warn" {
				warned++
			}
		}
		if healthy := row.want[:2] == "ok"; healthy != (warned == 0) && row.words == "" {
			t.Errorf("%+v: %d warnings", row, warned)
		}
	}
	examined(t, "oauth {\nissuer https://issuer.example {\naudience api\njwks testdata/keys/issuer.jwks.json\n}\n}").
		wants(t, "warn algorithms: are for RS256 alone: rsa (RS256)")
}
