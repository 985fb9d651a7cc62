package revoked_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

const issuer = "https://login.example.com"

var began = time.Unix(1_800_000_000, 0)

// tokenOf is a token in words: sub, client, jti and sid, issued so long after began.
func tokenOf(sub, client, jti, sid string, issued time.Duration) *revoked.Token {
	return &revoked.Token{
		Issuer: revoked.MarkOf(issuer), Subject: revoked.MarkOf(sub), Client: revoked.MarkOf(client),
		ID: revoked.MarkOf(jti), Session: revoked.MarkOf(sid), Issued: began.Add(issued).UnixMilli(),
	}
}

func TestAnEntryCoversWhatHasAllThatItNames(t *testing.T) {
	until, before := began.Add(time.Hour), began.Add(time.Minute)
	for name, one := range map[string]struct {
		entry  revoked.Entry
		token  *revoked.Token
		covers bool
	}{
		"by subject":                       {revoked.Entry{Subject: "ann", Before: before}, tokenOf("ann", "app", "1", "s", 0), true},
		"another subject":                  {revoked.Entry{Subject: "ann", Before: before}, tokenOf("bob", "app", "1", "s", 0), false},
		"no subject":                       {revoked.Entry{Subject: "ann", Before: before}, tokenOf("", "app", "1", "s", 0), false},
		"issued in the last second":        {revoked.Entry{Subject: "ann", Before: before}, tokenOf("ann", "", "", "", time.Minute), true},
		"issued afterwards":                {revoked.Entry{Subject: "ann", Before: before}, tokenOf("ann", "", "", "", time.Minute+time.Second), false},
		"by client":                        {revoked.Entry{Client: "app", Before: before}, tokenOf("ann", "app", "1", "s", 0), true},
		"by subject and client":            {revoked.Entry{Subject: "ann", Client: "app", Before: before}, tokenOf("ann", "app", "1", "s", 0), true},
		"of the subject at another client": {revoked.Entry{Subject: "ann", Client: "app", Before: before}, tokenOf("ann", "web", "1", "s", 0), false},
		"by jti, whenever issued":          {revoked.Entry{ID: "1"}, tokenOf("ann", "app", "1", "s", time.Hour), true},
		"by sid, whenever issued":          {revoked.Entry{Session: "s"}, tokenOf("ann", "app", "1", "s", time.Hour), true},
		"a sid that is a jti":              {revoked.Entry{Session: "1"}, tokenOf("ann", "app", "1", "s", 0), false},
		"all of the issuer":                {revoked.Entry{Before: before}, tokenOf("ann", "app", "1", "s", 0), true},
		"another issuer": {revoked.Entry{Subject: "ann", Before: before}, &revoked.Token{
			Issuer: revoked.MarkOf("https://other.example.com"), Subject: revoked.MarkOf("ann")}, false},
		"not known when issued": {revoked.Entry{Subject: "ann", Before: before}, &revoked.Token{
			Issuer: revoked.MarkOf(issuer), Subject: revoked.MarkOf("ann")}, true},
	} {
		one.entry.Issuer, one.entry.Until = issuer, until
		if got := one.entry.Covers(one.token); got != one.covers {
			t.Errorf("%s: Covers is %v", name, got)
		}
		var list revoked.List
		if err := list.Add(one.entry); err != nil {
			t.Fatal(name, err)
		}
		if got := list.Find(one.token) != nil; got != one.covers {
			t.Errorf("%s: found is %v", name, got)
		}
	}
}

func TestAnEntryThatIsNotWholeIsRefused(t *testing.T) {
	until := began.Add(time.Hour)
	for want, e := range map[string]revoked.Entry{
		"name the issuer":             {Subject: "ann", Before: began, Until: until},
		"until when":                  {Issuer: issuer, ID: "1"},
		"before when":                 {Issuer: issuer, Subject: "ann", Until: until},
		"subject takes UTF-8 text of": {Issuer: issuer, Subject: strings.Repeat("a", 1025), Before: began, Until: until},
		"sid takes UTF-8 text of":     {Issuer: issuer, Session: "\xff", Until: until},
	} {
		if err := new(revoked.List).Add(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
}

func TestOfTwoEntriesThatNameTheSameTheLaterMomentCounts(t *testing.T) {
	var list revoked.List
	told := 0
	stop := list.Watch(func(revoked.Entry) { told++ })
	add := func(before time.Duration) {
		t.Helper()
		if err := list.Add(revoked.Entry{Issuer: issuer, Subject: "ann", Before: began.Add(before), Until: began.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	add(time.Minute)
	add(0)
	add(time.Minute)
	if list.Len() != 1 || told != 1 {
		t.Fatalf("%d entries, told %d times", list.Len(), told)
	}
	if list.Find(tokenOf("ann", "", "", "", time.Minute)) == nil {
		t.Error("an earlier moment took a later one's place")
	}
	add(2 * time.Minute)
	if list.Find(tokenOf("ann", "", "", "", 2*time.Minute)) == nil || told != 2 {
		t.Errorf("a later moment does not count, or was told %d times", told)
	}
	stop()
	add(3 * time.Minute)
	if told != 2 {
		t.Error("told after it was stopped")
	}
}

func TestAFullListRefusesAndForgetsNothing(t *testing.T) {
	var list revoked.List
	list.SetMost(2)
	add := func(jti string) error {
		return list.Add(revoked.Entry{Issuer: issuer, ID: jti, Until: began.Add(time.Hour)})
	}
	if err := errors.Join(add("1"), add("2"), add("1")); err != nil {
		t.Fatal(err)
	}
	var full *revoked.Full
	if err := add("3"); !errors.As(err, &full) || full.Most != 2 {
		t.Fatalf("%v", err)
	}
	for _, jti := range []string{"1", "2"} {
		if list.Find(tokenOf("", "", jti, "", 0)) == nil {
			t.Errorf("%s was forgotten", jti)
		}
	}
	if list.Expire(began.Add(time.Hour + time.Second)); list.Len() != 0 || list.Find(tokenOf("", "", "1", "", 0)) != nil {
		t.Error("what has run out is still there")
	}
	if err := add("3"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsTakenOutIsFoundNoMore(t *testing.T) {
	var list revoked.List
	e := revoked.Entry{Issuer: issuer, Session: "s", Until: began.Add(time.Hour)}
	other := e
	other.Subject = "ann"
	for _, one := range []revoked.Entry{e, other} {
		if err := list.Add(one); err != nil {
			t.Fatal(err)
		}
	}
	if !list.Remove(&e) || list.Remove(&e) {
		t.Error("not removed once")
	}
	if list.Find(tokenOf("bob", "", "", "s", 0)) != nil || list.Find(tokenOf("ann", "", "", "s", 0)) == nil {
		t.Error("another was taken out")
	}
}

func TestFindingAllocatesNothing(t *testing.T) {
	var list revoked.List
	some := tokenOf("ann", "app", "jti", "sid", 0)
	find := func() {
		if list.Find(some) != nil {
			t.Fatal("found")
		}
	}
	if n := testing.AllocsPerRun(100, find); n != 0 {
		t.Errorf("%v allocations in an empty list", n)
	}
	fill(t, &list, 1000)
	if n := testing.AllocsPerRun(100, find); n != 0 {
		t.Errorf("%v allocations in a list of %d", n, list.Len())
	}
}

func fill(t testing.TB, list *revoked.List, n int) {
	for i := range n {
		e := revoked.Entry{Issuer: issuer, Before: began, Until: began.Add(time.Hour)}
		*[]*string{&e.Subject, &e.Client, &e.ID, &e.Session}[i%4] = fmt.Sprint("some ", i)
		if err := list.Add(e); err != nil {
			t.Fatal(err)
		}
	}
}

// What is added while others look is found by all who look afterwards.
func TestManyAddAndFindAtOnce(t *testing.T) {
	var list revoked.List
	var all sync.WaitGroup
	for node := range 4 {
		all.Go(func() {
			for i := range 200 {
				jti := fmt.Sprint(node, " ", i)
				if err := list.Add(revoked.Entry{Issuer: issuer, ID: jti, Until: began.Add(time.Hour)}); err != nil {
					t.Error(err)
				}
				if list.Find(tokenOf("", "", jti, "", 0)) == nil {
					t.Error("not found:", jti)
				}
			}
		})
	}
	all.Wait()
	if list.Len() != 800 {
		t.Error(list.Len())
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var list revoked.List
			fill(b, &list, n)
			some := tokenOf("ann", "app", "jti", "sid", 0)
			for b.Loop() {
				list.Find(some)
			}
		})
	}
}
