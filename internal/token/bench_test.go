package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkCold shows what a token costs that was never seen before: Parse and
// Profile.Verify, beside the bare signature check. Divide the lines named
// verify by those named raw.
//
// The raw check is the standard library's own: the key and the decoded
// signature are there already, also the DER form that ecdsa.VerifyASN1 wants.
// Timed are the hash of the signing input and the verification. Nothing in
// this language checks a signature with less.
func BenchmarkCold(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		key := signer("k1", alg, familyOf(alg))
		raw := mint(b, key, nil)
		check := rawCheck(b, key.Private.Public(), raw)
		b.Run(alg+"/raw", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !check() {
					b.Fatal("the signature does not verify")
				}
			}
		})
		p := profile(b)
		p.Keys = keySet(b, key)
		b.Run(alg+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				u, err := Parse(raw)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := p.Verify(context.Background(), u, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkColdRatio is BenchmarkCold on a busy machine: both checks take
// turns and the medians are compared, so that what others do meets both alike.
func BenchmarkColdRatio(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			key := signer("k1", alg, familyOf(alg))
			raw := mint(b, key, nil)
			check := rawCheck(b, key.Private.Public(), raw)
			p := profile(b)
			p.Keys = keySet(b, key)
			var bare, whole []time.Duration
			for b.Loop() {
				t0 := time.Now()
				check()
				t1 := time.Now()
				if _, err := prove(p, raw); err != nil {
					b.Fatal(err)
				}
				bare, whole = append(bare, t1.Sub(t0)), append(whole, time.Since(t1))
			}
			slices.Sort(bare)
			slices.Sort(whole)
			half := len(bare) / 2
			b.ReportMetric(float64(bare[half]), "raw-ns")
			b.ReportMetric(float64(whole[half]), "verify-ns")
			b.ReportMetric(float64(whole[half])/float64(bare[half]), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func rawCheck(b *testing.B, public crypto.PublicKey, raw string) func() bool {
	b.Helper()
	dot := strings.LastIndexByte(raw, '.')
	input := []byte(raw[:dot])
	signature, err := decode(raw[dot+1:])
	if err != nil {
		b.Fatal(err)
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		der, err := asn1.Marshal([]*big.Int{
			new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
		})
		if err != nil {
			b.Fatal(err)
		}
		return func() bool {
			digest := sha256.Sum256(input)
			return ecdsa.VerifyASN1(public, digest[:], der)
		}
	case *rsa.PublicKey:
		return func() bool {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
		}
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(public, input, signature) }
	}
	b.Fatalf("unexpected key type %T", public)
	return nil
}

// BenchmarkParse is the front door alone, which strangers may knock at as
// often as they like.
func BenchmarkParse(b *testing.B) {
	raw := mint(b, k1(), nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJudge is what a token known from before still costs here.
func BenchmarkJudge(b *testing.B) {
	p := profile(b)
	facts, err := prove(p, mint(b, k1(), nil))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Judge(facts, noon); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
