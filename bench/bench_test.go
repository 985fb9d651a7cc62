package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// verify checks a token by the standard library alone.
func verify(t *testing.T, s *signer, token string) bool {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	input := []byte(parts[0] + "." + parts[1])
	digest := sha256.Sum256(input)
	switch pub := s.key.Public().(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil
	case *ecdsa.PublicKey:
		r, v := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
		return len(sig) == 64 && ecdsa.Verify(pub, digest[:], r, v)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, input, sig)
	}
	return false
}

func TestTokensAreDistinctAndVerifyUntilTheirSignatureIsChanged(t *testing.T) {
	for _, alg := range allAlgs {
		s, err := newSigner(alg)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := s.tokens(5)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			if !verify(t, s, token) {
				t.Errorf("%s: a token does not verify", alg)
			}
			if verify(t, s, changeSignature(token)) {
				t.Errorf("%s: a changed token verifies", alg)
			}
		}
		slices.Sort(tokens)
		if len(slices.Compact(tokens)) != 5 {
			t.Errorf("%s: two tokens are the same", alg)
		}
	}
}

func TestStatIsReadWhateverTheProgramIsCalled(t *testing.T) {
	for _, name := range []string{"caddy", "a b", ") R 1 (", ""} {
		line := "42 (" + name + ") S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 9 0 1 2 3\n"
		st, err := parseStat([]byte(line))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if st.parent != 7 || st.own != 2*time.Second || st.children != 500*time.Millisecond {
			t.Errorf("%q: got %+v", name, st)
		}
	}
	for _, line := range []string{"", "42 (x", "42 (x) S 7", "42 (x) S 7 42 42 0 -1 1 1 2 3 4 a b c d 20 0"} {
		if _, err := parseStat([]byte(line)); !errors.Is(err, errStat) {
			t.Errorf("%q: got %v", line, err)
		}
	}
}

func TestNoAddressIsHandedOutTwice(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		addr, err := freeAddr()
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] {
			t.Fatalf("%s again", addr)
		}
		seen[addr] = true
	}
}

func TestRatiosPairTheRounds(t *testing.T) {
	got := ratios([]float64{2, 30, 9}, []float64{1, 10, 0})
	if !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("got %v", got)
	}
	if s := spread([]float64{1.2, 1.0, 1.1}); s != "1.100 (1.000–1.200)" {
		t.Errorf("got %q", s)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("got %v", m)
	}
}

func TestResultOfWrkIsReadFromItsLastLine(t *testing.T) {
	s, err := parseResult("noise\nRESULT requests=100 refused=0 broken=1 micros=2000000 p50=150 p99=900\n")
	if err != nil {
		t.Fatal(err)
	}
	if s.requests != 100 || s.broken != 1 || s.perSecond != 50 || s.p50 != 150*time.Microsecond || s.p99 != 900*time.Microsecond {
		t.Errorf("got %+v", s)
	}
	for _, out := range []string{"", "RESULT requests=x"} {
		if _, err := parseResult(out); err == nil {
			t.Errorf("%q was read", out)
		}
	}
}

func TestHeapIsReadFromTheEndOfAProfile(t *testing.T) {
	n, err := heapAlloc(strings.NewReader("heap profile: 1: 2\n\n# runtime.MemStats\n# Alloc = 5\n# HeapAlloc = 4711\n# HeapSys = 9\n"))
	if err != nil || n != 4711 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := heapAlloc(strings.NewReader("nothing")); err == nil {
		t.Error("a profile without statistics was read")
	}
}

func TestCacheHitsAreTheShareOfLookupsSinceBefore(t *testing.T) {
	l, err := parseLookups(strings.NewReader(`# TYPE caddy_oauth_cache_lookups_total counter
caddy_oauth_cache_lookups_total{issuer="a",result="hit"} 1.5e+06
caddy_oauth_cache_lookups_total{issuer="a",result="miss"} 10
caddy_oauth_cache_lookups_total{issuer="b",result="miss"} 500010
`))
	if err != nil || l.hits != 1.5e6 || l.misses != 500020 {
		t.Fatalf("got %+v, %v", l, err)
	}
	if got := l.share(lookups{0, 20}); got != 0.75 {
		t.Errorf("got %v", got)
	}
	if got := l.share(l); got >= 0 {
		t.Errorf("no look-ups, and yet a share of %v", got)
	}
}

func TestEveryConfigCanBeFilledIn(t *testing.T) {
	dir := t.TempDir()
	s, err := newSigner("ES256")
	if err != nil {
		t.Fatal(err)
	}
	st, err := keyFiles(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if k.config == "" {
			continue
		}
		if err := render(dir+"/"+k.name, k.config, st); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}
