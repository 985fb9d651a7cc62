package as

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

func stored(c *Config) { c.StoreAs = "keys" }

// filled is a storage that a server has left its keys in, just now.
func filled(t *testing.T) *memory {
	t.Helper()
	storage := &memory{}
	s := newServer(t, newIssuer(), stored)
	s.Attach(Env{Storage: storage})
	if _, err := s.Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	s.Close()
	if storage.writes != 1 {
		t.Fatalf("%d writes, want 1", storage.writes)
	}
	return storage
}

// restart is a new server on the storage of an old one.
func restart(t *testing.T, storage Storage, does answer) (*Server, *fakeIssuer, *record) {
	t.Helper()
	issuer, seen := newIssuer(), &record{}
	issuer.down(does)
	s := newServer(t, issuer, stored)
	s.Attach(Env{Storage: storage, Observe: seen.observe})
	return s, issuer, seen
}

func TestStoredKeysServeAfterARestartWithTheIssuerDown(t *testing.T) {
	for name, does := range map[string]answer{"refusing": refuse, "hanging": hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := filled(t)
				fetched := time.Now()
				time.Sleep(23 * time.Hour)
				s, _, seen := restart(t, storage, does)
				began := time.Now()
				if _, err := prove(t, s, keyA); err != nil || time.Since(began) != 0 {
					t.Fatalf("%v after %s", err, time.Since(began))
				}
				if status := s.Status(); status.Keys != 1 || !status.Fetched.Equal(fetched) {
					t.Errorf("status %+v, want keys fetched %s", status, fetched)
				}
				if events := seen.of(OpRestore); len(events) != 1 || events[0].Err != nil || events[0].Keys != 1 {
					t.Errorf("events %+v", events)
				}
			})
		})
	}
}

// A gateway was told to end a moment after its keys had come, and started with
// none while the issuer was down.
func TestKeysReachTheStorageBeforeCloseReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &memory{store: func(ctx context.Context) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		s := newServer(t, newIssuer(), stored)
		detach := s.Attach(Env{Storage: storage})
		if _, err := s.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		detach() // as the configuration that ends does
		s.Close()
		if storage.kept("keys") == "" {
			t.Error("nothing is stored")
		}
	})
}

func TestCloseLeavesAStorageThatHangsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newIssuer(), stored)
		s.Attach(Env{Storage: &memory{store: func(context.Context) error {
			time.Sleep(time.Hour)
			return nil
		}}})
		if _, err := s.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if s.Close(); time.Since(began) != closing {
			t.Errorf("it waited %s", time.Since(began))
		}
		time.Sleep(2 * time.Hour) // until nothing hangs any more
	})
}

// A caller that came between the restoring and the fetch behind it once waited
// for that fetch.
func TestNoRequestWaitsForTheFetchBehindTheStoredKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := filled(t)
		for range 200 {
			s, _, _ := restart(t, storage, hang)
			for _, r := range together(8, func() (*token.KeySet, error) { return s.Keys(t.Context()) }) {
				if r.err != nil || r.took != 0 {
					t.Fatalf("error %v after %s", r.err, r.took)
				}
			}
			s.Close()
		}
	})
}

func TestStoredKeysDie24HoursAfterTheyWereFetched(t *testing.T) {
	for name, does := range map[string]answer{"refusing": refuse, "failing slowly": slow(3*time.Second, refuse), "hanging": hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := filled(t)
				time.Sleep(20 * time.Hour)
				s, issuer, _ := restart(t, storage, does)
				key, err := prove(t, s, keyA)
				if err != nil {
					t.Fatal(err)
				}
				set, _ := s.Keys(t.Context())
				time.Sleep(4*time.Hour - time.Second)
				if _, err := prove(t, s, keyA); err != nil || key.Retired() {
					t.Errorf("a second before: %v, retired %t", err, key.Retired())
				}
				time.Sleep(time.Second)
				synctest.Wait()
				began := time.Now()
				if _, err := prove(t, s, keyA); !isUnavailable(err) || time.Since(began) != 0 || !key.Retired() {
					t.Errorf("24 hours after: %v after %s, retired %t; want *Unavailable at once", err, time.Since(began), key.Retired())
				}
				if newer, err := s.Newer(t.Context(), set); newer != nil || !isUnavailable(err) {
					t.Errorf("an unknown kid of one who still holds the dead set: set %v, error %v", newer, err)
				}
				if status := s.Status(); status.Keys != 0 || !status.Fetched.IsZero() || status.Err == nil {
					t.Errorf("status %+v", status)
				}
				issuer.up(keyA)
				time.Sleep(attempt + 2*time.Second)
				if again, err := prove(t, s, keyA); err != nil || again == key {
					t.Errorf("after the recovery: %v", err)
				}
			})
		})
	}
}

func TestAFetchMakesRestoredKeysGoodForAsLongAsAnyOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := filled(t)
		time.Sleep(23 * time.Hour)
		s, issuer, _ := restart(t, storage, refuse)
		key, err := prove(t, s, keyA)
		if err != nil {
			t.Fatal(err)
		}
		issuer.up(keyA)
		time.Sleep(2 * time.Minute)
		issuer.down(refuse)
		time.Sleep(72 * time.Hour)
		if again, err := prove(t, s, keyA); again != key || err != nil {
			t.Errorf("%p (was %p), %v", again, key, err)
		}
	})
}

func TestRestoredKeysAreReplacedByTheFirstFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := filled(t)
		s, issuer, _ := restart(t, storage, refuse)
		issuer.up(keyB)
		issuer.set(keysURL, slow(time.Second, serve(keyB)))
		old, err := prove(t, s, keyA)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := prove(t, s, keyB); err != nil || time.Since(began) != time.Second {
			t.Errorf("the new key: %v after %s", err, time.Since(began))
		}
		if !old.Retired() {
			t.Error("the stored key that is gone still counts")
		}
	})
}

func TestStoredKeysThatAreNotOursAreNotUsed(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"another issuer":    func(s string) string { return strings.Replace(s, issuerURL, "https://evil.example.com", 1) },
		"a trailing slash":  func(s string) string { return strings.Replace(s, issuerURL, issuerURL+"/", 1) },
		"no issuer":         func(s string) string { return strings.Replace(s, `"issuer"`, `"x"`, 1) },
		"no time":           func(s string) string { return strings.Replace(s, `"fetched"`, `"x"`, 1) },
		"from the future":   func(s string) string { return strings.Replace(s, `"fetched":"2000`, `"fetched":"2001`, 1) },
		"from the past":     func(s string) string { return strings.Replace(s, `"fetched":"2000`, `"fetched":"1999`, 1) },
		"no keys":           func(s string) string { return strings.Replace(s, `"jwks"`, `"x"`, 1) },
		"no usable key":     func(s string) string { return strings.Replace(s, `"OKP"`, `"oct"`, 1) },
		"cut short":         func(s string) string { return s[:len(s)/2] },
		"nothing":           func(string) string { return "" },
		"null":              func(string) string { return "null" },
		"zeros":             func(s string) string { return strings.Repeat("\x00", len(s)) },
		"keys as a string":  func(string) string { return `{"issuer":"` + issuerURL + `","jwks":"x"}` },
		"the bare document": func(string) string { return string(publishedA) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := filled(t)
				storage.values["keys"] = []byte(change(storage.kept("keys")))
				s, _, seen := restart(t, storage, refuse)
				if _, err := prove(t, s, keyA); !isUnavailable(err) {
					t.Errorf("error %v, want *Unavailable", err)
				}
				if events := seen.of(OpRestore); len(events) != 1 || events[0].Err == nil {
					t.Errorf("nobody is told: %+v", events)
				}
			})
		})
	}
}

func TestAFailingStorageNeverHurtsServing(t *testing.T) {
	fails := errors.New("disk on fire")
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, storage := range map[string]*memory{
		"fails at once": {
			load:  func(context.Context) ([]byte, error) { return nil, fails },
			store: func(context.Context) error { return fails },
		},
		"hangs to the limit": {
			load:  func(ctx context.Context) ([]byte, error) { return nil, wait(ctx) },
			store: wait,
		},
		"hangs and knows no limit": {
			load:  func(context.Context) ([]byte, error) { time.Sleep(time.Hour); return nil, fails },
			store: func(context.Context) error { time.Sleep(time.Hour); return fails },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer, seen := newIssuer(), &record{}
				s := newServer(t, issuer, stored)
				s.Attach(Env{Storage: storage, Observe: seen.observe})
				began := time.Now()
				if _, err := prove(t, s, keyA); err != nil || time.Since(began) > attempt {
					t.Fatalf("the first request: %v after %s", err, time.Since(began))
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if events := seen.of(OpStore); len(events) != 1 || events[0].Err == nil {
					t.Errorf("nobody is told: %+v", events)
				}
				issuer.set(keysURL, serve(keyA, keyB))
				if _, err := prove(t, s, keyB); err != nil {
					t.Errorf("a new key: %v", err)
				}
				time.Sleep(2 * Usual)
				synctest.Wait()
				if n := len(issuer.times(keysURL)); n < 3 || s.Status().Err != nil {
					t.Errorf("%d fetches, status %+v", n, s.Status())
				}
				s.Close()
				time.Sleep(3 * time.Hour) // until nothing hangs any more
			})
		})
	}
}

func TestOnlyGoodKeysAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &memory{}
		s, issuer, _ := restart(t, storage, reply(200, `{"keys":[]}`))
		s.Start()
		time.Sleep(time.Minute)
		synctest.Wait()
		if storage.writes > 0 {
			t.Fatalf("stored %s", storage.kept("keys"))
		}
		issuer.up(keyA)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		kept := storage.kept("keys")
		if storage.writes != 1 || !strings.Contains(kept, string(publishedA)) || !strings.Contains(kept, issuerURL) {
			t.Errorf("%d writes, stored %s", storage.writes, kept)
		}
		issuer.down(reply(200, `<html>`))
		time.Sleep(time.Hour)
		if now := storage.kept("keys"); now != kept {
			t.Errorf("stored %s", now)
		}
	})
}

func TestAnUnchangedSetIsStoredNowAndThenForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &memory{}
		s, issuer, _ := restart(t, storage, refuse)
		issuer.up()
		issuer.set(keysURL, reply(200, string(publishedA), "Cache-Control", "max-age=5"))
		s.Start()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(issuer.times(keysURL)); n < 700 || storage.writes < 5 || storage.writes > 7 {
			t.Errorf("%d fetches and %d writes in an hour, want a write each %s", n, storage.writes, storeAgain)
		}
	})
}

func TestWithoutAStorageOrANameNothingIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &memory{}
		s := newServer(t, newIssuer())
		s.Attach(Env{Storage: storage})
		if _, err := s.Keys(t.Context()); err != nil {
			t.Error(err)
		}
		bare, _ := ready(t, newIssuer(), stored)
		synctest.Wait()
		if storage.writes > 0 || bare.Status().Keys != 1 {
			t.Errorf("%d writes, status %+v", storage.writes, bare.Status())
		}
	})
}

var _ token.KeySource = (*Server)(nil)
