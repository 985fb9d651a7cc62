package e2e

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"math/big"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests of this file prove the parts that the others rely on, with no
// gateway between them.

func TestOIDCProviderIssuesAccessTokensInFourAlgorithms(t *testing.T) {
	t.Parallel()
	algorithms := []string{"RS256", "PS256", "ES256", "Ed25519"}
	issuer := startOIDCProvider(t, algorithms...)
	for _, alg := range algorithms {
		header, claims := tokenParts(t, issuer.token(t, alg, "orders:read"))
		if header["alg"] != alg || header["typ"] != "at+jwt" {
			t.Errorf("header %v, want %s of typ at+jwt", header, alg)
		}
		if claims["iss"] != issuer.url || claims["aud"] != audience || claims["sub"] != "service-"+alg || claims["scope"] != "orders:read" {
			t.Errorf("claims %v", claims)
		}
	}
}

func TestOIDCProviderRotatesItsKeys(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "ES256")
	first, _ := tokenParts(t, issuer.token(t, "ES256", "orders:read"))
	issuer.rotate(t, "ES256", false)
	second, _ := tokenParts(t, issuer.token(t, "ES256", "orders:read"))
	if first["kid"] == second["kid"] {
		t.Error("the old key still signs")
	}
	set := get(t, issuer.url+"/jwks", "").body
	if !strings.Contains(set, first["kid"].(string)) || !strings.Contains(set, second["kid"].(string)) {
		t.Errorf("not both keys are published: %s", set)
	}
	issuer.rotate(t, "ES256", true)
	if set := get(t, issuer.url+"/jwks", "").body; strings.Contains(set, second["kid"].(string)) {
		t.Errorf("the dropped key is still published: %s", set)
	}
	if count := issuer.keyFetches(t); count != 2 {
		t.Errorf("%d key fetches counted, want 2", count)
	}
	issuer.proc.signal(syscall.SIGTERM)
	if code := issuer.proc.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("ended by SIGTERM with %d, want 0", code)
	}
}

func TestTheOddIssuersAreOdd(t *testing.T) {
	t.Parallel()
	mock := startNode(t, "mock-server.mjs")
	header, claims := tokenParts(t, mock.mockToken(t))
	if _, has := claims["aud"]; has || header["typ"] != "JWT" || claims["sub"] != "alice" {
		t.Errorf("the mock server's token: %v %v", header, claims)
	}
	op := startZitadel(t)
	header, claims = tokenParts(t, zitadelToken(t, op))
	if aud, _ := claims["aud"].([]any); header["typ"] != "JWT" || claims["iss"] != op || len(aud) != 1 || aud[0] != "sid1" {
		t.Errorf("the zitadel OP's token: %v %v", header, claims)
	}
	if status := get(t, op+".well-known/oauth-authorization-server", "").status; status != http.StatusNotFound {
		t.Errorf("the zitadel OP has an RFC 8414 document: %d", status)
	}
}

func TestTheFakeIssuerSignsAndMisbehaves(t *testing.T) {
	f := startFakeIssuer(t)
	input, signature, _ := strings.Cut(strings.Replace(f.token(nil), ".", "\n", 1), ".")
	raw, err := b64.DecodeString(signature)
	if err != nil || len(raw) != 64 {
		t.Fatalf("signature of %d bytes, %v", len(raw), err)
	}
	digest := sha256.Sum256([]byte(strings.Replace(input, "\n", ".", 1)))
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if !ecdsa.Verify(&f.key().private.PublicKey, digest[:], r, s) {
		t.Error("its own key does not verify its token")
	}
	if a := get(t, f.url+"/jwks", ""); a.status != http.StatusOK || !strings.Contains(a.body, f.key().kid) {
		t.Errorf("key set: %d %s", a.status, a.body)
	}
	f.setBehaviour(answering(http.StatusInternalServerError, "no"))
	if a := get(t, f.url+"/jwks", ""); a.status != http.StatusInternalServerError {
		t.Errorf("told to fail, it answered %d", a.status)
	}
	f.setBehaviour(hanging)
	if _, err := try(newClient(100*time.Millisecond), f.url+"/jwks", ""); err == nil {
		t.Error("told to hang, it answered")
	}
	if f.keyFetches() != 3 {
		t.Errorf("%d fetches counted, want 3", f.keyFetches())
	}
	f.stop()
	if _, err := try(plainClient, f.url+"/jwks", ""); err == nil {
		t.Error("stopped, it answered")
	}
	f.start()
}

func TestPythonRequestsIsInstalled(t *testing.T) {
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%s is missing: %v", python, err)
	}
	if _, stderr, code := runCommand(t, t.TempDir(), "", python, "-c", "import requests"); code != 0 {
		t.Fatalf("python3-requests is missing; install it with the system's package manager:\n%s", stderr)
	}
}
