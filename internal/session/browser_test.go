package session

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// logIn stores a browser's grant of issuer iss and client client.
func (b *bench) logIn(user, sid, note string) Handle {
	b.t.Helper()
	h, access, err := b.vault.CreateFor(b.t.Context(), Browser{Client: "client", User: user, Session: sid, Note: note},
		Grant{Issuer: "iss", Subject: "api:" + user},
		Granted{AccessToken: NewSecret("at1"), Refresh: NewSecret("rt1"), ExpiresIn: seconds(100)}, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	if access.User == (ID{}) {
		b.t.Error("it is not known as a browser's")
	}
	return h
}

func (b *bench) alive(h Handle) bool {
	b.t.Helper()
	_, err := b.vault.Token(b.t.Context(), h)
	if err != nil && !errors.Is(err, ErrNoGrant) {
		b.t.Error(err)
	}
	return err == nil
}

func TestTheASEndsBrowsersBySessionOrByUser(t *testing.T) {
	for name, row := range map[string]struct {
		user, sid string
		ends      []string
	}{
		"a session":                      {"", "s1", []string{"alice s1"}},
		"a session of the right user":    {"alice", "s1", []string{"alice s1", "alice"}},
		"a session of somebody else":     {"bob", "s1", nil},
		"a user":                         {"alice", "", []string{"alice s1", "alice s2", "alice"}},
		"nobody":                         {"", "", nil},
		"a session that nobody has here": {"", "s9", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil, always)
			all := map[string]Handle{
				"alice s1": b.logIn("alice", "s1", ""), "alice s2": b.logIn("alice", "s2", ""),
				"alice": b.logIn("alice", "", ""), "carol s3": b.logIn("carol", "s3", ""), "no browser": b.h,
			}
			// Afterwards the ring has another key in front.
			if err := b.vault.Apply(testRing(t, 2, fillKey(1)), b.vault.cfg.Load().o); err != nil {
				t.Fatal(err)
			}
			if n, err := b.vault.EndBrowsers(t.Context(), User{Issuer: "iss", Client: "another client", Sub: row.user}, row.sid, EndedLogout); n != 0 || err != nil {
				t.Errorf("%d ended of another client: %v", n, err)
			}
			n, err := b.vault.EndBrowsers(t.Context(), User{Issuer: "iss", Client: "client", Sub: row.user}, row.sid, EndedLogout)
			if n != len(row.ends) || err != nil {
				t.Errorf("%d ended (%v), want %v", n, err, row.ends)
			}
			for name, h := range all {
				if want := !slices.Contains(row.ends, name); b.alive(h) != want {
					t.Errorf("%s: alive is %v", name, !want)
				}
			}
		})
	}
}

func TestAUserSeesTheOwnBrowsersAndAStoreDoesNot(t *testing.T) {
	b := newBench(t, nil, always)
	b.logIn("bob", "", "Safari")
	ended := b.logIn("alice", "", "Chrome")
	h := b.logIn("alice", "s1", "Firefox on Linux")
	if err := b.vault.End(t.Context(), ended, EndedLogout); err != nil {
		t.Fatal(err)
	}
	all, err := b.vault.Browsers(t.Context(), User{Issuer: "iss", Client: "client", Sub: "alice"})
	if err != nil || len(all) != 1 || all[0].Key != h.Key() || all[0].Note != "Firefox on Linux" {
		t.Fatalf("%+v %v", all, err)
	}
	row, err := b.store.Load(t.Context(), h.Key())
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := row.MarshalBinary(); bytes.Contains(text, []byte("Firefox")) || bytes.Contains(text, []byte("alice")) {
		t.Error("the store can read who it is")
	}
}

func TestAReplacedSessionIsToldFromOneThatEnded(t *testing.T) {
	b := newBench(t, nil, always)
	for reason, want := range map[string]bool{EndedReplaced: true, EndedLogout: false} {
		h := b.logIn("alice", "", "")
		if err := b.vault.End(t.Context(), h, reason); err != nil {
			t.Fatal(err)
		}
		_, err := b.vault.Token(t.Context(), h)
		if !errors.Is(err, ErrNoGrant) || errors.Is(err, ErrReplaced) != want {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestALogInSharesASessionUnlessItIsKnownToBeAnother(t *testing.T) {
	b := newBench(t, nil, always)
	live, ended, unnamed := b.logIn("alice", "s1", ""), b.logIn("alice", "s1", ""), b.logIn("alice", "", "")
	if err := b.vault.End(t.Context(), ended, EndedLogout); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what          string
		h             Handle
		user, session string
		want          bool
	}{
		{"the same session", live, "alice", "s1", true},
		{"another session of the same user", live, "alice", "s2", false},
		{"a log-in that names no session", live, "alice", "", true},
		{"a grant that names no session", unnamed, "alice", "s1", true},
		{"another user", live, "bob", "s1", false},
		{"a log-in of which nothing is known", live, "", "", true},
		{"a grant that has ended", ended, "alice", "s1", false},
		{"a handle without a grant", NewHandle(), "alice", "s1", false},
	} {
		if got := b.vault.Shares(t.Context(), test.h, "iss", Browser{Client: "client", User: test.user, Session: test.session}); got != test.want {
			t.Errorf("%s: %v", test.what, got)
		}
	}
}

func TestWhatHappensOnceHappensOnce(t *testing.T) {
	b := newBench(t, nil, always)
	until := time.Now().Add(time.Minute)
	for i, want := range []bool{true, false, false} {
		if first, err := b.vault.Once(t.Context(), "jti", until, "iss", "1"); first != want || err != nil {
			t.Errorf("call %d: %v %v", i, first, err)
		}
	}
	for _, parts := range [][]string{{"iss", "2"}, {"iss1"}, {"is", "s1"}} {
		if seen, err := b.vault.Happened(t.Context(), "jti", parts...); seen || err != nil {
			t.Errorf("%q: %v %v", parts, seen, err)
		}
	}
	if seen, err := b.vault.Happened(t.Context(), "jti", "iss", "1"); !seen || err != nil {
		t.Error(seen, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel() // a store that cannot be asked
	_, err := b.vault.Once(gone, "jti", until, "iss", "3")
	wantUnavailable(t, err)
	_, err = b.vault.Happened(gone, "jti", "iss", "3")
	wantUnavailable(t, err)
}

func TestASealedTextOpensForItsPurposeAlone(t *testing.T) {
	b := newBench(t, nil, always)
	sealed, err := b.vault.Seal("login", "cookie-1", []byte("the verifier"))
	if err != nil || bytes.Contains(sealed, []byte("verifier")) {
		t.Fatalf("%q %v", sealed, err)
	}
	if err := b.vault.Apply(testRing(t, 2, fillKey(1)), b.vault.cfg.Load().o); err != nil {
		t.Fatal(err)
	}
	if plain, err := b.vault.Open("login", "cookie-1", sealed); string(plain) != "the verifier" || err != nil {
		t.Errorf("%q %v", plain, err)
	}
	for _, other := range [][2]string{{"note", "cookie-1"}, {"login", "cookie-2"}, {"logi", "ncookie-1"}} {
		if _, err := b.vault.Open(other[0], other[1], sealed); err == nil {
			t.Errorf("%q opens it", other)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := b.vault.Open("login", "cookie-1", changed); err == nil {
			t.Errorf("with byte %d changed it opens", i)
		}
	}
}
