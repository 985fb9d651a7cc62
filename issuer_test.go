package caddyoauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

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
		set, err := i.settings(provisioned(t), caddy.NewReplacer())
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

func TestAnEnvironmentsIssuerIsCheckedToo(t *testing.T) {
	for _, url := range []string{"https://a.example/?tenant=1", "http://a.example", "a.example"} {
		t.Setenv("OAUTH_TEST_ISSUER", url)
		g := &Gateway{Config: Config{Issuer: []*Issuer{{URL: []string{"{env.OAUTH_TEST_ISSUER}"}, Audience: []string{"api"}}}}}
		if err := g.Provision(provisioned(t)); err == nil || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("%s: error %v, want one about the issuer", url, err)
		}
		_ = g.Cleanup()
	}
}

func TestAnEnvironmentsRealmIsCheckedToo(t *testing.T) {
	t.Setenv("OAUTH_TEST_REALM", "a\r\nX-Evil: 1")
	g := &Gateway{Config: Config{Issuer: []*Issuer{{URL: []string{"https://a.example"}, Audience: []string{"api"}}}, Realm: "{env.OAUTH_TEST_REALM}"}}
	if err := g.Provision(provisioned(t)); err == nil || !strings.Contains(err.Error(), "realm") {
		t.Errorf("error %v, want one about the realm", err)
	}
	_ = g.Cleanup()
}

// A client that hangs up while keys are fetched is no outage.
func TestAClientThatLeftIsNoFailureOfTheIssuer(t *testing.T) {
	g := &Gateway{log: zap.NewNop()}
	ctx, cancel := context.WithCancel(t.Context())
	down := &as.Unavailable{Issuer: "https://left.example", Err: errors.New("waiting")}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if status := g.account(httptest.NewRecorder(), r, down); status != http.StatusServiceUnavailable {
		t.Errorf("while the client waits: %d", status)
	}
	cancel()
	if status := g.account(httptest.NewRecorder(), r, down); status != verdict.StatusClientGone {
		t.Errorf("after it left: %d, want %d", status, verdict.StatusClientGone)
	}
}
