package caddyoauth

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/boltstore"
)

// BenchmarkReferenceToken is the whole handler with a live reference token, to
// be read beside BenchmarkHandler/cached, the issuer's own token.
func BenchmarkReferenceToken(b *testing.B) {
	for _, bench := range []struct{ name, words string }{
		{"memory", "store memory"},
		{"bolt", "store bolt %s/grants.db"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			words := bench.words
			if bench.name == "bolt" {
				words = fmt.Sprintf(words, b.TempDir())
			}
			issuer := newGrantor(b, nil)
			g := newGate(b, issuer, endpoint+"\nsession {\n"+words+"\n}")
			tok := g.token("orders").AccessToken
			g.get(tok)
			benchServe(b, g.Gateway, tok)
			if n := issuer.count(); n != 1 {
				b.Errorf("the issuer was asked %d times", n)
			}
		})
	}
}

// BenchmarkRenewal is a request whose token has run out, the issuer's time over
// loopback and the disk's included. It counts the issuer's calls and the
// durable writes.
func BenchmarkRenewal(b *testing.B) {
	issuer := newGrantor(b, nil)
	g, store := newCountingGate(b, issuer)
	const grants = 64
	var tokens []tokenAnswer
	for range grants {
		tokens = append(tokens, g.answer(g.post("/auth", codeForm)))
	}
	renewals, calls, writes := 0, 0, int64(0)
	for b.Loop() {
		if renewals%grants == 0 {
			b.StopTimer()
			g.skip(accessLife)
			calls, writes = calls+len(issuer.take()), writes+store.writes.Swap(0)
			if renewals == 0 {
				calls, writes = 0, 0
			}
			g.saw = nil
			b.StartTimer()
		}
		if status, _ := g.get(tokens[renewals%grants].AccessToken); status != http.StatusOK {
			b.Fatal(status)
		}
		renewals++
	}
	calls, writes = calls+len(issuer.take()), writes+store.writes.Swap(0)
	b.ReportMetric(float64(calls)/float64(renewals), "calls/op")
	b.ReportMetric(float64(writes)/float64(renewals), "writes/op")
	if calls != renewals || writes != 2*int64(renewals) {
		b.Errorf("%d calls and %d writes for %d renewals", calls, writes, renewals)
	}
}

// fillStore writes idle grants into a new file, as large as those with two
// tokens are.
func fillStore(tb testing.TB, path string, grants int) {
	tb.Helper()
	db, err := boltstore.Open(path, time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	now, sealed := time.Now(), make([]byte, 2048)
	_, _ = rand.Read(sealed)
	var all sync.WaitGroup
	for part := range 256 { // writes at one time share a commit
		all.Go(func() {
			for range grants / 256 {
				row := session.Row{
					Generation: 1, Created: now, LastUsed: now, Until: now.Add(12 * time.Hour), NotBefore: now,
					Key: session.NewHandle().Key(), Subject: session.NewID(), Sealed: sealed,
				}
				if err := db.Create(context.Background(), row); err != nil {
					tb.Error(part, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkIdleGrants opens a file and serves a request from it, without grants
// and with 100,000: neither the time nor the heap may grow with them.
func BenchmarkIdleGrants(b *testing.B) {
	for _, grants := range []int{0, 100_096} {
		b.Run(fmt.Sprint(grants), func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "grants.db")
			fillStore(b, file, grants)
			info, err := os.Stat(file)
			if err != nil {
				b.Fatal(err)
			}
			issuer := newGrantor(b, nil)
			directive := endpoint + "\nsession {\nstore bolt " + file + "\nkeys " + firstKey + "\n}"
			first := newGate(b, issuer, directive)
			tok := first.token("orders").AccessToken
			_ = first.Gateway.Cleanup()
			var grown, swept float64
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				before := heap()
				g := newGate(b, issuer, directive)
				b.StartTimer()
				if status, _ := g.get(tok); status != http.StatusOK { // opens it
					b.Fatal(status)
				}
				b.StopTimer()
				grown = float64(heap()) - float64(before)
				if counts, err := sweep(b, g); err != nil || counts.Live != grants+1 {
					b.Fatal(counts, err)
				}
				swept = float64(heap()) - float64(before)
				_ = g.Gateway.Cleanup()
				b.StartTimer()
			}
			b.ReportMetric(grown/1024, "KiB-heap")
			b.ReportMetric(swept/1024, "KiB-heap-swept")
			b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
		})
	}
}

// BenchmarkCookieSession is the whole handler with a browser's live session, to
// be read beside BenchmarkReferenceToken: alone, with claims that its ID token has and
// its access token has not, and where it stands for the user of its ID token.
func BenchmarkCookieSession(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchSession(b, "login {\n}\n") })
	b.Run("id_token", func(b *testing.B) {
		benchSession(b, "login {\nclaims id_token\n}\ncopy_claims sub>X-User-Id email>X-User-Email acr>X-Acr\n")
	})
	b.Run("identity", func(b *testing.B) {
		benchSession(b, "login {\nidentity id_token\n}\ncopy_claims sub>X-User-Id email>X-User-Email acr>X-Acr\n")
	})
}

func benchSession(b *testing.B, words string) {
	s := portalWith(b, words+endpoint, nil)
	s.claims = map[string]any{"email": "alice@example.com", "acr": "gold"}
	t := s.browser().logIn()
	raw, w := benchRequest("")
	raw.Header.Del("Authorization")
	raw.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
	raw.AddCookie(&http.Cookie{Name: "__Host-oauth", Value: t.cookies["__Host-oauth"]})
	field, server := raw.Header["Cookie"], &caddyhttp.Server{}
	s.log = zap.NewNop()
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		delete(raw.Header, "Authorization") // what the handler leaves for the upstream
		raw.Header["Cookie"] = field
		clear(w.Header()) // and for the client
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), w, server)
		if err := s.ServeHTTP(w, r, nothing); err != nil {
			b.Fatal(err)
		}
	}
	if w.Code != http.StatusOK || raw.Header.Get("Cookie") != "theme=dark" || strings.Contains(words, "email") && raw.Header.Get("X-User-Email") == "" {
		b.Fatal(w.Code, raw.Header)
	}
}
