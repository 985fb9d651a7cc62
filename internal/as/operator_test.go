package as

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

func kids(states []KeyState) (ids []string) {
	for _, one := range states {
		ids = append(ids, one.ID)
	}
	return ids
}

// everyAlgorithm is what a configuration without the word algorithms takes.
func everyAlgorithm(t *testing.T) token.Algorithms {
	t.Helper()
	all, err := token.ParseAlgorithms(nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAFetchOnRequestIsMadeAtOnceAndOncePerFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, _ := ready(t, issuer)
		time.Sleep(time.Minute)
		born := s.KeyStates(everyAlgorithm(t))[0].Since
		issuer.set(keysURL, serve(keyA, keyB))
		if err := s.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		states := s.KeyStates(everyAlgorithm(t))
		if len(states) != 2 || !states[0].Since.Equal(born) || !states[1].Since.Equal(time.Now()) {
			t.Errorf("keys %+v; want a since %s and b since now", states, born)
		}
		if n := len(issuer.times(formRFC)); n != 2 {
			t.Errorf("the metadata were asked %d times, want again: they may have changed", n)
		}
		soon, ok := errors.AsType[*TooSoon](s.Fetch(t.Context()))
		if !ok || soon.Wait != Floor {
			t.Errorf("at once again: %v, want to be told to wait", soon)
		}
		issuer.down(refuse)
		time.Sleep(Floor)
		if err := s.Fetch(t.Context()); err == nil || len(kids(s.KeyStates(everyAlgorithm(t)))) != 2 {
			t.Errorf("with the issuer down: %v, keys %v", err, s.KeyStates(everyAlgorithm(t)))
		}
	})
}

func TestTheVeryFirstFetchCanBeAskedForToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored, _ := json.Marshal(storedKeys{Issuer: issuerURL, Fetched: time.Now().Add(-time.Hour), JWKS: publishedA})
		s := newServer(t, newIssuer(), func(cfg *Config) { cfg.StoreAs = "k" })
		s.Attach(Env{Storage: &memory{values: map[string][]byte{"k": stored}}})
		if err := s.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status := s.Status(); status.Restored || !status.Fetched.Equal(time.Now()) {
			t.Errorf("%+v: stored keys are no fetch", status)
		}
	})
}

func TestTheStatusTellsOfTheNextFetchAndOfStoredKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(refuse)
		stored, _ := json.Marshal(storedKeys{Issuer: issuerURL, Fetched: time.Now().Add(-time.Hour), JWKS: publishedA})
		s := newServer(t, issuer, func(cfg *Config) { cfg.StoreAs = "k" })
		s.Attach(Env{Storage: &memory{values: map[string][]byte{"k": stored}}})
		s.Start()
		synctest.Wait()
		status := s.Status()
		if !status.Restored || status.Err == nil || !status.Tried.Equal(time.Now()) || !status.Next.After(time.Now()) {
			t.Errorf("%+v", status)
		}
		issuer.up(keyA)
		time.Sleep(time.Until(status.Next))
		synctest.Wait()
		if status = s.Status(); status.Restored || status.Err != nil || !status.Fetched.Equal(time.Now()) {
			t.Errorf("after the issuer came back: %+v", status)
		}
	})
}

func TestAnEventTellsOfRotationAndOfTurnsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, events := newIssuer(), new(record)
		s := newServer(t, issuer)
		s.Attach(Env{Observe: events.observe})
		last := func() Event { all := events.of(OpFetch); return all[len(all)-1] }
		again := func() Event {
			time.Sleep(Floor)
			_ = s.Fetch(t.Context())
			synctest.Wait()
			return last()
		}
		s.Start()
		synctest.Wait()
		if e := last(); e.Turned || len(e.Added)+len(e.Removed) > 0 {
			t.Errorf("the first keys are no rotation: %+v", e)
		}
		issuer.set(keysURL, serve(keyB, keyA))
		if e := again(); e.Turned || len(e.Added) != 1 || e.Added[0].ID != "b" || len(e.Removed) != 0 {
			t.Errorf("a new key: %+v", e)
		}
		issuer.set(keysURL, serve(keyA, keyB))
		if e := again(); !e.Changed || len(e.Added)+len(e.Removed) > 0 {
			t.Errorf("another order is no rotation: %+v", e)
		}
		issuer.set(keysURL, serve(keyB))
		if e := again(); len(e.Added) != 0 || len(e.Removed) != 1 || e.Removed[0].ID != "a" {
			t.Errorf("a key gone: %+v", e)
		}
		issuer.down(refuse)
		if e := again(); !e.Turned || e.Err == nil {
			t.Errorf("down: %+v", e)
		}
		if e := again(); e.Turned || e.Err == nil {
			t.Errorf("still down: %+v", e)
		}
		issuer.up(keyB)
		if e := again(); !e.Turned || e.Err != nil || len(e.Added)+len(e.Removed) > 0 {
			t.Errorf("up: %+v", e)
		}
	})
}
