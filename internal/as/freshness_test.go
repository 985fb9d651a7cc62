package as

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestHowLongAnAnswerIsFresh(t *testing.T) {
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		says string
		h    http.Header
		want time.Duration
	}{
		{"nothing", http.Header{}, Usual},
		{"max-age", http.Header{"Cache-Control": {"max-age=600"}}, 10 * time.Minute},
		{"max-age among others", http.Header{"Cache-Control": {"public, Max-Age=600, must-revalidate"}}, 10 * time.Minute},
		{"max-age quoted", http.Header{"Cache-Control": {`max-age="600"`}}, 10 * time.Minute},
		{"max-age in a second field", http.Header{"Cache-Control": {"public", "max-age=600"}}, 10 * time.Minute},
		{"max-age under the floor", http.Header{"Cache-Control": {"max-age=1"}}, Floor},
		{"max-age over the ceiling", http.Header{"Cache-Control": {"max-age=86400"}}, Ceiling},
		{"max-age beyond 64 bits", http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, Ceiling},
		{"max-age zero", http.Header{"Cache-Control": {"max-age=0"}}, Usual},
		{"max-age negative", http.Header{"Cache-Control": {"max-age=-5"}}, Usual},
		{"max-age of words", http.Header{"Cache-Control": {"max-age=soon"}}, Usual},
		{"s-maxage is for shared caches", http.Header{"Cache-Control": {"s-maxage=600"}}, Usual},
		{"no-store", http.Header{"Cache-Control": {"no-store, max-age=600"}}, Usual},
		{"no-cache", http.Header{"Cache-Control": {"max-age=600, no-cache"}}, Usual},
		{"age", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"100"}}, 500 * time.Second},
		{"age over max-age", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"700"}}, Floor},
		{"age beyond 64 bits", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"99999999999999999999"}}, Floor},
		{"age negative", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"-100"}}, 10 * time.Minute},
		{"age of words", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"old"}}, 10 * time.Minute},
		// A cache in front of the issuer may hold the keys for a day.
		{"an old answer that is long fresh", http.Header{"Cache-Control": {"max-age=86400"}, "Age": {"7200"}}, Ceiling},
		{"an old answer that is soon stale", http.Header{"Cache-Control": {"max-age=86400"}, "Age": {"86340"}}, time.Minute},
		{"Expires", http.Header{"Expires": {at(10 * time.Minute)}}, 10 * time.Minute},
		{"Expires by the server's clock", http.Header{"Date": {at(-time.Hour)}, "Expires": {at(-50 * time.Minute)}}, 10 * time.Minute},
		{"Expires with an age", http.Header{"Date": {at(-4 * time.Minute)}, "Expires": {at(6 * time.Minute)}, "Age": {"240"}}, 6 * time.Minute},
		{"Expires in the past", http.Header{"Expires": {at(-time.Minute)}}, Usual},
		{"Expires far away", http.Header{"Expires": {at(1000 * time.Hour)}}, Ceiling},
		{"Expires: 0", http.Header{"Expires": {"0"}}, Usual},
		{"max-age goes before Expires", http.Header{"Cache-Control": {"max-age=60"}, "Expires": {at(10 * time.Minute)}}, time.Minute},
	} {
		if got := freshness(c.h, now); got != c.want {
			t.Errorf("%s: %s, want %s", c.says, got, c.want)
		}
	}
}

func TestKeysAreFetchedBeforeTheyRunOutWithJitter(t *testing.T) {
	for _, jitter := range []float64{0, 0.5, 0.999} {
		synctest.Test(t, func(t *testing.T) {
			issuer := newIssuer()
			issuer.set(keysURL, reply(200, string(publishedA), "Cache-Control", "max-age=1000"))
			ready(t, issuer, func(c *Config) { c.Jitter = func() float64 { return jitter } })
			time.Sleep(time.Hour)
			synctest.Wait()
			want := time.Duration((0.8 + 0.1*jitter) * float64(1000*time.Second))
			at := issuer.times(keysURL)
			if len(at) < 3 {
				t.Fatalf("%d fetches in an hour", len(at))
			}
			for i := 1; i < len(at); i++ {
				if gap := at[i] - at[i-1]; gap != want || gap >= 1000*time.Second {
					t.Errorf("jitter %v: fetched after %s, want %s", jitter, gap, want)
				}
			}
		})
	}
}

func TestNoAnswerMakesFetchesCloserThanTheFloor(t *testing.T) {
	for _, says := range []string{"max-age=1", "max-age=5"} {
		synctest.Test(t, func(t *testing.T) {
			issuer := newIssuer()
			issuer.set(keysURL, reply(200, string(publishedA), "Cache-Control", says))
			ready(t, issuer, func(c *Config) { c.Jitter = func() float64 { return 0 } })
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := len(issuer.times(keysURL)); n != 13 {
				t.Errorf("%s: %d fetches in a minute, want one at the start and one each %s", says, n, Floor)
			}
		})
	}
}

func TestBackOffWithKeysInForceGrowsToAMinute(t *testing.T) {
	for _, jitter := range []float64{0, 0.999} {
		synctest.Test(t, func(t *testing.T) {
			issuer := newIssuer()
			ready(t, issuer, func(c *Config) { c.Jitter = func() float64 { return jitter } })
			issuer.down(refuse)
			issuer.urls()
			time.Sleep(time.Hour)
			at := slices.Compact(issuer.times("")) // places of metadata are asked at once
			var gaps []time.Duration
			for i := 1; i < len(at); i++ {
				gaps = append(gaps, at[i]-at[i-1])
			}
			if len(gaps) < 30 || !slices.IsSorted(gaps) {
				t.Fatalf("gaps %v", gaps)
			}
			if gaps[0] > Floor {
				t.Errorf("the first retry came after %s, want at most %s", gaps[0], Floor)
			}
			if most := gaps[len(gaps)-1]; most > time.Minute || most < 30*time.Second {
				t.Errorf("the longest back-off is %s, want at most a minute", most)
			}
		})
	}
}

func TestASuccessEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s, _ := ready(t, issuer)
		issuer.down(refuse)
		time.Sleep(time.Hour)
		issuer.up(keyB)
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := prove(t, s, keyB); err != nil || s.Status().Err != nil {
			t.Fatalf("a minute after the recovery: %v, status %+v", err, s.Status())
		}
		issuer.down(refuse)
		issuer.urls()
		time.Sleep(2 * Usual)
		at := issuer.times("")
		if len(at) < 3 || at[1]-at[0] > Floor {
			t.Errorf("in the next outage asked at %v; the back-off starts over, with at most %s", at, Floor)
		}
	})
}
