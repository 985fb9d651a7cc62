package as

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// cut is a body that ends before it should.
func cut(body string) answer {
	return func(r *http.Request) (*http.Response, error) {
		res, err := reply(200, "")(r)
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)))
		return res, err
	}
}

func TestABadAnswerNeverReplacesAGoodSet(t *testing.T) {
	good := string(jwssign.Set(keyB))
	for name, bad := range map[string]answer{
		"nobody there":        refuse,
		"no answer":           hang,
		"404":                 reply(404, good),
		"500":                 reply(500, good),
		"204":                 reply(204, ""),
		"206":                 reply(206, good),
		"304":                 reply(304, ""),
		"a redirect":          reply(302, good),
		"HTML":                reply(200, "<html><body>Maintenance</body></html>", "Content-Type", "text/html"),
		"nothing":             reply(200, ""),
		"invalid JSON":        reply(200, good[:len(good)-1]),
		"something behind it": reply(200, good+"x"),
		"another document":    reply(200, `{"issuer":"`+issuerURL+`"}`),
		"null":                reply(200, `null`),
		"keys is null":        reply(200, `{"keys":null}`),
		"no key":              reply(200, `{"keys":[]}`),
		"no usable key":       reply(200, `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"b"}]}`),
		"the name's case":     reply(200, strings.Replace(good, `"keys"`, `"Keys"`, 1)),
		"a key, not a set":    reply(200, `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`),
		"over a megabyte":     reply(200, good+strings.Repeat(" ", maxDocument)),
		"cut off":             cut(good[:len(good)/2]),
		"cut off at the end":  cut(good),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				s, set := ready(t, issuer, func(c *Config) { c.StoreAs = "keys" })
				var seen record
				storage := &memory{}
				s.Attach(Env{Storage: storage, Observe: seen.observe})
				known, err := prove(t, s, keyA)
				if err != nil {
					t.Fatal(err)
				}
				issuer.set(keysURL, bad)
				time.Sleep(2 * Usual)
				synctest.Wait()
				if after, err := s.Keys(t.Context()); after != set || err != nil || known.Retired() {
					t.Errorf("the good set is gone: %p (had %p), %v, retired %t", after, set, err, known.Retired())
				}
				if s.Status().Err == nil || s.Status().Keys != 1 {
					t.Errorf("status %+v", s.Status())
				}
				if tried := seen.of(OpFetch); len(tried) < 3 || tried[0].Err == nil {
					t.Errorf("events %+v", tried)
				}
				if storage.writes > 0 {
					t.Errorf("stored %s", storage.kept("keys"))
				}
			})
		})
	}
}

func TestAGoodAnswerReplacesTheSetWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysURL, serve(keyA, keyB))
		s, _ := ready(t, issuer)
		gone, err := prove(t, s, keyA)
		if err != nil {
			t.Fatal(err)
		}
		stays, err := prove(t, s, keyB)
		if err != nil {
			t.Fatal(err)
		}
		issuer.set(keysURL, serve(keyC, keyB))
		time.Sleep(Usual)
		synctest.Wait()
		if !gone.Retired() {
			t.Error("the removed key is not retired")
		}
		if _, err := prove(t, s, keyA); err == nil {
			t.Error("the removed key still verifies")
		}
		if again, err := prove(t, s, keyB); again != stays || stays.Retired() || err != nil {
			t.Errorf("the key that stayed: %p (was %p), retired %t, error %v", again, stays, stays.Retired(), err)
		}
		if _, err := prove(t, s, keyC); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if n := s.Status().Keys; n != 2 {
			t.Errorf("%d keys, want 2", n)
		}
	})
}

func TestAnotherKeyWithTheSameKidReplacesTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, _ := ready(t, issuer)
		old, err := prove(t, s, keyA)
		if err != nil {
			t.Fatal(err)
		}
		twin := newKey("a")
		issuer.set(keysURL, serve(twin))
		time.Sleep(Usual)
		synctest.Wait()
		if _, err := prove(t, s, keyA); err == nil || !old.Retired() {
			t.Errorf("the old key: error %v, retired %t", err, old.Retired())
		}
		if _, err := prove(t, s, twin); err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

func TestAKeyThatComesBackIsTrustedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, _ := ready(t, issuer)
		first, err := prove(t, s, keyA)
		if err != nil {
			t.Fatal(err)
		}
		issuer.set(keysURL, serve(keyB))
		time.Sleep(Usual)
		issuer.set(keysURL, serve(keyA))
		time.Sleep(Usual)
		synctest.Wait()
		again, err := prove(t, s, keyA)
		if err != nil || again.Retired() || !first.Retired() {
			t.Errorf("error %v; what the first one verified must be verified anew", err)
		}
	})
}

func TestOneOddKeyIsSkippedAndReported(t *testing.T) {
	odd := map[string]any{"kty": "EC", "crv": "P-256", "kid": "odd", "x": "AAAA", "y": "AAAA"}
	doc, err := json.Marshal(map[string]any{"keys": []any{odd, keyA.JWK()}})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysURL, reply(200, string(doc)))
		var seen record
		s := newServer(t, issuer)
		s.Attach(Env{Observe: seen.observe})
		if _, err := prove(t, s, keyA); err != nil {
			t.Fatalf("the good key beside it: %v", err)
		}
		synctest.Wait()
		events := seen.of(OpFetch)
		if len(events) != 1 || events[0].Err != nil || events[0].Keys != 1 || len(events[0].Skipped) != 1 {
			t.Fatalf("events %+v", events)
		}
		if skipped := events[0].Skipped[0]; skipped.KeyID != "odd" || skipped.Index != 0 || skipped.Err == nil {
			t.Errorf("skipped %+v", skipped)
		}
	})
}

func TestEventsTellWhetherTheKeysChangedAndHowLongItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysURL, slow(300*time.Millisecond, serve(keyA)))
		var seen record
		s := newServer(t, issuer)
		s.Attach(Env{Observe: seen.observe})
		s.Start()
		time.Sleep(Usual)
		issuer.set(keysURL, serve(keyA, keyB))
		time.Sleep(Usual)
		synctest.Wait()
		events := seen.of(OpFetch)
		if len(events) != 3 {
			t.Fatalf("events %+v", events)
		}
		for i, want := range []Event{
			{Keys: 1, Changed: true, Took: 300 * time.Millisecond},
			{Keys: 1, Took: 300 * time.Millisecond},
			{Keys: 2, Changed: true},
		} {
			if e := events[i]; e.Err != nil || e.Keys != want.Keys || e.Changed != want.Changed || e.Took != want.Took {
				t.Errorf("event %d: %+v, want %+v", i, e, want)
			}
		}
	})
}
