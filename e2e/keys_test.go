package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestANewKeyIsPickedUpAtItsFirstRequestAndARemovedOneDies(t *testing.T) {
	t.Parallel()
	issuer := startOIDCProvider(t, "ES256", "RS256")
	g := startGateway(t, startUpstream(t), identity(issuer.url, audience))
	first := issuer.token(t, "ES256", "orders:read")
	get(t, g.url("/"), first).wantPass(t, "service-ES256")

	fetched := issuer.keyFetches(t)
	lastFetch := time.Now() // at the latest
	awaitFloorSince(t, lastFetch)
	issuer.rotate(t, "ES256", false)
	second := issuer.token(t, "ES256", "orders:read")
	get(t, g.url("/"), second).wantPass(t, "service-ES256")
	get(t, g.url("/"), first).wantPass(t, "service-ES256")
	if now := issuer.keyFetches(t); now != fetched+1 {
		t.Errorf("picking up one key took %d fetches, want 1", now-fetched)
	}

	awaitFloorSince(t, time.Now())
	issuer.rotate(t, "ES256", true) // the second key is gone, the first one stays
	third := issuer.token(t, "ES256", "orders:read")
	get(t, g.url("/"), third).wantPass(t, "service-ES256")
	get(t, g.url("/"), second).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	get(t, g.url("/"), first).wantPass(t, "service-ES256")
}

// awaitFloorSince waits until unknown keys may cause a fetch again.
func awaitFloorSince(t *testing.T, last time.Time) {
	t.Helper()
	await(t, 2*fetchFloor, "the floor between two key fetches to pass", func() bool {
		return time.Since(last) > fetchFloor+200*time.Millisecond
	})
}

func TestARemovedKeyDiesInTheBackgroundWithItsCachedVerdicts(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	f.mu.Lock()
	f.maxAge = 1 // the floor makes it five
	f.mu.Unlock()
	g := startGateway(t, startUpstream(t), identity(f.url, audience))
	token := f.token(nil)
	get(t, g.url("/"), token).wantPass(t, "alice")
	f.setKeys(newSignKey(t))
	await(t, 4*fetchFloor, "the cached token of a removed key to be refused", func() bool {
		return get(t, g.url("/"), token).status == http.StatusUnauthorized
	})
	get(t, g.url("/"), f.token(nil)).wantPass(t, "alice")
}

func TestGoodKeysAreNeverLostToABadAnswer(t *testing.T) {
	t.Parallel()
	f := startFakeIssuer(t)
	g := startGateway(t, startUpstream(t), identity(f.url, audience))
	token := f.token(nil)
	get(t, g.url("/"), token).wantPass(t, "alice")
	other := newSignKey(t)
	stranger := other.sign(goodClaims(f.url, nil), nil)
	bad := []struct {
		name    string
		respond func(http.ResponseWriter, *http.Request) bool
	}{
		{"500", answering(500, `{"keys":[]}`)},
		{"empty", answering(200, `{"keys":[]}`)},
		{"garbage", answering(200, `<html>please log in</html>`)},
		{"huge", answering(200, `{"keys":[],"pad":"`+strings.Repeat("x", 2<<20)+`"}`)},
	}
	for _, one := range bad {
		before := f.keyFetches()
		f.setBehaviour(one.respond)
		// A stranger's key or a retry of its own makes the gateway ask again.
		await(t, 3*fetchFloor, "a fetch that is answered with "+one.name, func() bool {
			a := get(t, g.url("/"), stranger)
			if a.status != http.StatusUnauthorized && a.status != http.StatusServiceUnavailable {
				t.Fatalf("a token of an unpublished key gets %d", a.status)
			}
			return f.keyFetches() > before
		})
		get(t, g.url("/"), token).wantPass(t, "alice")
		get(t, g.url("/"), f.token(nil)).wantPass(t, "alice") // not from the cache
	}
	f.setBehaviour(nil)
	f.setKeys(f.key(), other)
	await(t, 3*fetchFloor, "the new key to be picked up after the bad answers", func() bool {
		return get(t, g.url("/"), stranger).status == http.StatusOK
	})
}
