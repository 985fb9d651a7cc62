package introspection

import (
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// An opaque token with a mark of an ID token is of use to a log-in: strangers who
// have the issuer asked about others must not come before it.
func TestATokenOfALogInIsKnownWhateverItsMarks(t *testing.T) {
	q := &Introspector{limits: newAskLimits(10), active: newResults(1<<20, time.Minute), inactive: newResults(1<<20, time.Minute)}
	defer q.limits.stop()
	now := time.Now()
	p := token.Profile{Issuer: "https://issuer.example"}
	for doc, want := range map[string]bool{
		`{"active":true,"sub":"alice","nonce":"n"}`: true,
		`{"active":true,"sub":"alice"}`:             true,
		`{"active":true,"events":{}}`:               false,
		`{"active":false}`:                          false,
	} {
		answer, err := token.ParseAnswer(doc)
		if err != nil {
			t.Fatal(err)
		}
		key := token.DigestOf(doc)
		said := &Result{Until: now.Add(time.Minute).UnixNano()}
		said.Facts, said.Refusal = p.Read(answer)
		if q.keep(key, said, now); q.Knew(key) != want {
			t.Errorf("%s is known: %t", doc, !want)
		}
	}
}
