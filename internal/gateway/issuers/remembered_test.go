package issuers

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

const rememberedIssuer = "https://login.example.com"

// published is an issuer's keys without a network.
type published struct{ set atomic.Pointer[[]byte] }

func (p *published) publish(keys ...*jwssign.Key) {
	set := jwssign.Set(keys...)
	p.set.Store(&set)
}

func (p *published) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(*p.set.Load()))), Request: r}, nil
}

// rememberer is the trust in an issuer that publishes these keys.
func rememberer(tb testing.TB, capacity int, keys ...*jwssign.Key) (*Trust, *published) {
	tb.Helper()
	algorithms, err := token.ParseAlgorithms(nil)
	if err != nil {
		tb.Fatal(err)
	}
	at := &published{}
	at.publish(keys...)
	auth := newAuthority("key", &Settings{Algorithms: algorithms}, as.Config{
		Issuer: rememberedIssuer, JWKS: rememberedIssuer + "/keys", Transport: at, Now: time.Now, Jitter: func() float64 { return 0 },
	})
	auth.addCapacity(capacity)
	tb.Cleanup(func() { _ = auth.Destruct() })
	return &Trust{authority: auth, remember: capacity > 0, Profile: token.Profile{
		Issuer: rememberedIssuer, Audience: []string{"api"}, Algorithms: algorithms, Keys: auth.keys, Skew: DefaultSkew,
	}}, at
}

func newKey(tb testing.TB, kid string) *jwssign.Key {
	tb.Helper()
	key, err := jwssign.Generate(kid, "EdDSA")
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// verified is a token that passed, and is remembered. more are further claims.
func verified(tb testing.TB, t *Trust, key *jwssign.Key, n int, lives time.Duration, more map[string]any) (string, token.Digest) {
	tb.Helper()
	claims := map[string]any{"iss": rememberedIssuer, "aud": "api", "sub": fmt.Sprintf("user-%d", n), "exp": time.Now().Add(lives).Unix()}
	for name, claim := range more {
		claims[name] = claim
	}
	raw, err := key.Token("at+jwt", claims)
	if err != nil {
		tb.Fatal(err)
	}
	u, err := token.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	facts, err := t.Profile.Verify(tb.Context(), u, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	t.Keep(token.DigestOf(raw), facts)
	return raw, token.DigestOf(raw)
}

func TestAVerifiedTokenIsRememberedUntilItHasRunOut(t *testing.T) {
	key := newKey(t, "a")
	for _, lives := range []time.Duration{5 * time.Minute, time.Hour, 12 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			trust, _ := rememberer(t, 100, key)
			_, digest := verified(t, trust, key, 1, lives, nil)
			time.Sleep(lives + DefaultSkew - time.Second)
			facts, _ := trust.Recall(digest, time.Now())
			if facts == nil {
				t.Fatalf("a token of %s is forgotten before it has run out", lives)
			}
			if ok, err := trust.Profile.Judge(facts, time.Now()); !ok || err != nil {
				t.Errorf("a second before the end: %t, %v", ok, err)
			}
			time.Sleep(2 * time.Second) // beyond this gateway's skew, not beyond the largest
			if facts, _ = trust.Recall(digest, time.Now()); facts == nil {
				t.Fatal("forgotten for a gateway with a larger skew")
			}
			if _, err := trust.Profile.Judge(facts, time.Now()); token.ReasonOf(err) != token.Expired {
				t.Errorf("a second after the end: %v", err)
			}
			time.Sleep(MaxSkew)
			if facts, _ = trust.Recall(digest, time.Now()); facts != nil {
				t.Error("remembered when no gateway would take it any more")
			}
		})
	}
}

func TestATokenThatIsNotUsedLeavesTheMemoryAfterADay(t *testing.T) {
	key := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		trust, _ := rememberer(t, 100, key)
		_, digest := verified(t, trust, key, 1, 200*365*24*time.Hour, nil)
		time.Sleep(longestKept - time.Second)
		if facts, _ := trust.Recall(digest, time.Now()); facts == nil {
			t.Error("forgotten within a day")
		}
		time.Sleep(2 * time.Second)
		if facts, _ := trust.Recall(digest, time.Now()); facts != nil {
			t.Error("remembered after a day")
		}
	})
}

// Nothing asks for keys while all tokens are remembered: the keys are fetched all
// the same, and one that is gone takes with it what it verified.
func TestARememberedTokenCountsNoMoreWhenItsKeyIsWithdrawnHoursLater(t *testing.T) {
	stays, goes := newKey(t, "stays"), newKey(t, "goes")
	synctest.Test(t, func(t *testing.T) {
		trust, at := rememberer(t, 100, stays, goes)
		_, kept := verified(t, trust, stays, 1, 12*time.Hour, nil)
		_, lost := verified(t, trust, goes, 2, 12*time.Hour, nil)
		counts := func(digest token.Digest) bool {
			t.Helper()
			facts, _ := trust.Recall(digest, time.Now())
			if facts == nil {
				t.Fatal("forgotten")
			}
			ok, err := trust.Profile.Judge(facts, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		time.Sleep(3 * time.Hour)
		if !counts(kept) || !counts(lost) {
			t.Error("a token does not count whose key is there")
		}
		at.publish(stays)
		time.Sleep(as.Usual)
		if !counts(kept) {
			t.Error("a token does not count whose key stayed")
		}
		if counts(lost) {
			t.Error("a token counts whose key is gone from the set")
		}
	})
}

func TestTokensWhoseClaimsAreKeptCountForMore(t *testing.T) {
	const capacity = 100
	key := newKey(t, "a")
	trust, _ := rememberer(t, capacity, key)
	for n := range 3 * capacity {
		raw, digest := verified(t, trust, key, n, time.Hour, map[string]any{"groups": strings.Repeat("g", 600)})
		facts, _ := trust.Recall(digest, time.Now())
		if facts == nil {
			continue // it had to make room
		}
		if groups, _ := trust.Profile.Principal(trust, facts, raw, nil).Claim("groups"); len(groups.(string)) != 600 {
			t.Fatal(groups)
		}
		trust.Recall(digest, time.Now()) // weighs it
	}
	trust.cache.CleanUp()
	if weight, most := trust.cache.WeightedSize(), uint64(capacity*bytesPerToken); weight > most {
		t.Errorf("%d bytes are taken, of %d", weight, most)
	}
	if entries := trust.cache.EstimatedSize(); entries == 0 || entries > capacity*bytesPerToken/900 {
		t.Errorf("%d tokens of some 900 bytes are remembered where %d of %d would be", entries, capacity, bytesPerToken)
	}
	trust, _ = rememberer(t, capacity, key)
	for n := range 3 * capacity {
		verified(t, trust, key, n, time.Hour, nil)
	}
	trust.cache.CleanUp()
	if entries := trust.cache.EstimatedSize(); entries != capacity {
		t.Errorf("%d tokens without such claims are remembered, want %d", entries, capacity)
	}
}
