package session

import (
	"slices"
	"testing"
	"time"
)

// What an index finds and what a walk finds are the same to all who ask.
func TestWhatIsFoundByAnIndexIsWhatAWalkFinds(t *testing.T) {
	for name, store := range map[string]Store{
		"by indexes": NewMemory(time.Now),
		"by walks": struct {
			*Memory
			noIndex
		}{Memory: NewMemory(time.Now)},
	} {
		t.Run(name, func(t *testing.T) {
			v := crowd(t, store, testRing(t, 1))
			log := func(user, sid string) Handle {
				t.Helper()
				g := Grant{Kind: ByRefreshToken, Issuer: "iss", Client: "app"}
				answer := Granted{AccessToken: NewSecret("at"), Refresh: NewSecret("rt"), ExpiresIn: seconds(300), Subject: user}
				h, _, err := v.CreateFor(t.Context(), Browser{Client: "app", User: user, Session: sid}, g, answer, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				return h
			}
			user := func(sub string) User { return User{Issuer: "iss", Client: "app", Sub: sub} }
			want := func(sub string, want ...Handle) {
				t.Helper()
				seen, err := v.Browsers(t.Context(), user(sub))
				if err != nil || len(seen) != len(want) {
					t.Errorf("%s has %d sessions (%v), want %d", sub, len(seen), err, len(want))
				}
				for _, h := range want {
					if !slices.ContainsFunc(seen, func(s Seen) bool { return s.Key == h.Key() }) {
						t.Errorf("a session of %s is not found", sub)
					}
				}
			}
			ended := func(what string, n int, err error, want int) {
				t.Helper()
				if n != want || err != nil {
					t.Errorf("%s: %d have ended (%v), want %d", what, n, err, want)
				}
			}
			first, second, plain := log("alice", "s1"), log("alice", "s2"), log("bob", "")
			other := log("bob", "s3")
			want("alice", first, second)
			want("bob", plain, other)
			want("carol")

			n, err := v.EndBrowsers(t.Context(), user(""), "s1", EndedLogout)
			ended("a session", n, err, 1)
			want("alice", second)
			n, err = v.EndBrowsers(t.Context(), user("alice"), "s3", EndedLogout)
			ended("another user's session", n, err, 0)
			n, err = v.EndBrowsers(t.Context(), user("bob"), "s3", EndedLogout)
			ended("a session, and what came without any", n, err, 2)
			want("bob")
			log("alice", "s4")
			n, err = v.EndBrowsersBut(t.Context(), user("alice"), second.Key(), EndedLogout)
			ended("all but one", n, err, 1)
			want("alice", second)
			n, err = v.EndBrowsers(t.Context(), user(""), "", EndedLogout)
			ended("nothing named", n, err, 0)
			// Under another key those of before are found as well.
			if err := v.Apply(testRing(t, 2, fillKey(1)), v.cfg.Load().o); err != nil {
				t.Fatal(err)
			}
			third := log("alice", "s2")
			want("alice", second, third)
			_, err = begin(t, v, "app", "alice")
			wantFull(t, "one more than a user may have", err, true)
			n, err = v.EndBrowsers(t.Context(), user(""), "s2", EndedLogout)
			ended("a session under two keys", n, err, 2)
			want("alice")
			n, err = v.EndSubject(t.Context(), "iss", "alice", EndedAdmin)
			ended("a subject without any", n, err, 0)
		})
	}
}
