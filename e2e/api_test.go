package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// api is an upstream that believes nothing: it proves each access token itself,
// and keeps what it saw, so that a test can ask what must not have been there.
type api struct {
	upstream
	key *ecdsa.PublicKey

	mu     sync.Mutex
	proven map[string]time.Time // access token → expiry
	wrong  []string             // what was wrong with a request
	saw    strings.Builder      // everything but the access token in its place
}

// startAPI starts an upstream for tokens of the server at issuer.
func startAPI(t *testing.T, issuer string) *api {
	t.Helper()
	a := &api{key: signingKey(t, issuer), proven: map[string]time.Time{}}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

// signingKey is the one ES256 key of a server.
func signingKey(t *testing.T, issuer string) *ecdsa.PublicKey {
	t.Helper()
	var set struct {
		Keys []struct{ X, Y string }
	}
	if err := json.Unmarshal([]byte(get(t, issuer+"/jwks", "").body), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("the key set of %s: %v, %d keys", issuer, err, len(set.Keys))
	}
	point := []byte{4} // not compressed
	for _, text := range []string{set.Keys[0].X, set.Keys[0].Y} {
		raw, err := b64.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, raw...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// transit is how long a request may take from the gateway's judgement to the
// moment that the gateway notes on it, or to the upstream if it notes none: in
// an outage a token serves until its very end. Where the gateway asks about the
// token there are four processes to wake up meanwhile.
func transit() time.Duration { return 200*time.Millisecond + 4*late() }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if judged, err := strconv.ParseInt(r.Header.Get("X-Judged-At"), 10, 64); err == nil {
		now = time.UnixMilli(judged)
	}
	a.requests.Add(1)
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	a.judge(r, string(body), now)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(seen{Method: r.Method, Path: r.URL.Path, Header: r.Header})
}

func (a *api) judge(r *http.Request, body string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	expiry, known := a.proven[token]
	if !known && bearer && a.proves(token) {
		expiry = expiryOf(token)
		a.proven[token] = expiry
	}
	switch {
	case expiry.IsZero():
		a.wrong = append(a.wrong, fmt.Sprintf("%s %s came without an access token of the issuer", r.Method, r.URL.Path))
	case !expiry.Add(transit()).After(now):
		a.wrong = append(a.wrong, fmt.Sprintf("%s %s came with an access token that is dead for %v", r.Method, r.URL.Path, now.Sub(expiry)))
	}
	fmt.Fprintf(&a.saw, "%s %s\n", r.Method, r.RequestURI)
	for name, values := range r.Header {
		if name != "Authorization" || expiry.IsZero() || len(values) != 1 {
			fmt.Fprintf(&a.saw, "%s: %s\n", name, strings.Join(values, ", "))
		}
	}
	fmt.Fprintf(&a.saw, "\n%s\n", body)
}

// proves reports whether the issuer signed a token.
func (a *api) proves(token string) bool {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || strings.Count(token, ".") != 2 {
		return false
	}
	signature, err := b64.DecodeString(token[cut+1:])
	if err != nil || len(signature) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(token[:cut]))
	return ecdsa.Verify(a.key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// check is INV2 and INV4: what the upstream must not have seen.
func (a *api) check(t *testing.T, s *secrets) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, wrong := range a.wrong {
		if n == 5 {
			t.Errorf("INV4: and %d more", len(a.wrong)-n)
			break
		}
		t.Errorf("INV4: %s", wrong)
	}
	saw := a.saw.String()
	for _, prefix := range []string{"oga_", "ogr_", "Oga_", "Ogr_", "ogs_", sessionCookie} {
		if at := strings.Index(saw, prefix); at >= 0 {
			t.Errorf("INV2: the upstream saw a reference token or a cookie of ours: …%s", around(saw, at))
		}
	}
	for _, found := range s.find(saw) {
		t.Errorf("INV2: the upstream saw a %s", found)
	}
}

// tokenSeen is the access token that the upstream saw in the request that this
// is the answer to.
func (a answer) tokenSeen(t *testing.T) string {
	t.Helper()
	token, ok := strings.CutPrefix(a.seen(t).Header.Get("Authorization"), "Bearer ")
	if !ok {
		t.Errorf("the upstream saw the Authorization %q, want a Bearer", digest(a.seen(t).Header.Get("Authorization")))
	}
	return token
}
