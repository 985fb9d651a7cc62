package issuers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
)

// Stored keys once outlived the trust they were fetched under: the pool's
// configuration had been taken by its loading when the fingerprint was made.
func TestAnotherTrustPoolIsAnotherIssuerInPoolAndStorage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	raw, err := json.Marshal(map[string]any{"provider": "file", "pem_files": []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	mark := func(pool json.RawMessage) string {
		t.Helper()
		i := &Issuer{URL: []string{"https://a.example"}, Audience: []string{"api"}, TrustPool: pool}
		set, err := i.Resolve(gatewaytest.Context(t), caddy.NewReplacer())
		if err != nil {
			t.Fatal(err)
		}
		return i.fingerprint("https://a.example", set)
	}
	writeCA(t, file)
	first, again, none := mark(raw), mark(raw), mark(nil)
	writeCA(t, file)
	changed := mark(raw)
	if first != again {
		t.Error("the same trust pool has two fingerprints: a reload would start afresh")
	}
	if first == none || first == changed {
		t.Errorf("fingerprints do not tell trust pools apart: %s, none %s, changed file %s", first, none, changed)
	}
}

func writeCA(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
}
