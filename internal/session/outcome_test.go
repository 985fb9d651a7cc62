package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errTest = errors.New("test")

// What becomes of a grant whose AT has just expired, by what the AS answers.
// first is what the request gets that asks, then what one gets a minute later.
func TestOutcomes(t *testing.T) {
	scope := "less"
	zero, negative := time.Duration(0), -time.Second
	for name, row := range map[string]struct {
		change      func(*Options)
		kind        Kind
		answers     []Outcome // the last one for ever
		first, then string
		calls       int
	}{
		"a pair": {answers: []Outcome{next(1)}, first: "at2", then: "at2", calls: 1},
		"no refresh token keeps the old one": {
			answers: []Outcome{Granted{AccessToken: NewSecret("at2"), ExpiresIn: seconds(30)}, next(2)},
			first:   "at2", then: "at3", calls: 2},
		"less scope":        {answers: []Outcome{Granted{AccessToken: NewSecret("at2"), Scope: &scope}}, first: "at2", then: "at2", calls: 1},
		"no lifetime":       {answers: []Outcome{Granted{AccessToken: NewSecret("at2")}}, first: "at2", then: "at2", calls: 1},
		"a lifetime of 0":   {answers: []Outcome{Granted{AccessToken: NewSecret("at2"), ExpiresIn: &zero}}, first: "at2", then: "at2", calls: 1},
		"a lifetime of -1":  {answers: []Outcome{Granted{AccessToken: NewSecret("at2"), ExpiresIn: &negative}}, first: "at2", then: "at2", calls: 1},
		"another subject":   {answers: []Outcome{Granted{AccessToken: NewSecret("at2"), Subject: "other"}}, first: "no grant", then: "no grant", calls: 1},
		"refused":           {answers: []Outcome{Refused{errTest}}, first: "no grant", then: "no grant", calls: 1},
		"not sent, then":    {answers: []Outcome{NotSent{errTest}, next(2)}, first: "at3", then: "at3", calls: 2},
		"503, then":         {answers: []Outcome{Unconsumed{Err: errTest}, next(2)}, first: "at3", then: "at3", calls: 2},
		"429 and 30 s":      {answers: []Outcome{Unconsumed{Err: errTest, RetryAfter: 30 * time.Second}, next(2)}, first: "unavailable", then: "at3", calls: 2},
		"bad client, fixed": {answers: []Outcome{BadClient{errTest}, next(2)}, first: "at3", then: "at3", calls: 2},
		"bad client of the grant's own": {kind: ByRunningAgain,
			answers: []Outcome{BadClient{errTest}}, first: "unavailable", then: "unavailable", calls: 2},
		"bad client of the grant's own, for a time": {kind: ByRunningAgain,
			answers: []Outcome{BadClient{errTest}, next(2)}, first: "unavailable", then: "at3", calls: 2},
		"run again as often as needed": {kind: ByRunningAgain,
			answers: []Outcome{Unknown{Err: errTest}, Unknown{Err: errTest}, Unknown{Err: errTest}, next(4)}, first: "at5", then: "at5", calls: 4},
		"unknown, one retry":         {answers: []Outcome{Unknown{Err: errTest}, next(2)}, first: "at3", then: "at3", calls: 2},
		"unknown twice":              {answers: []Outcome{Unknown{Err: errTest}, Unknown{Err: errTest}, next(3)}, first: "at4", then: "at4", calls: 3},
		"unknown twice, refused":     {answers: []Outcome{Unknown{Err: errTest}, Unknown{Err: errTest}, Refused{errTest}}, first: "no grant", then: "no grant", calls: 3},
		"unknown, refused":           {answers: []Outcome{Unknown{Err: errTest}, Refused{errTest}}, first: "no grant", then: "no grant", calls: 2},
		"unknown, 503, then":         {answers: []Outcome{Unknown{Err: errTest}, Unconsumed{Err: errTest}, next(3)}, first: "at4", then: "at4", calls: 3},
		"unknown, 503, unknown":      {answers: []Outcome{Unknown{Err: errTest}, Unconsumed{Err: errTest}, Unknown{Err: errTest}, next(4)}, first: "at5", then: "at5", calls: 4},
		"unknown, nothing presented": {change: func(o *Options) { o.OnUncertain = Reauth }, answers: []Outcome{Unknown{Err: errTest}}, first: "no grant", then: "no grant", calls: 1},
		"unknown, with a reuse grace": {change: func(o *Options) { o.OnUncertain, o.ReuseGrace = Reauth, 5*time.Second },
			answers: []Outcome{Unknown{Err: errTest}, next(2)}, first: "at3", then: "at3", calls: 2},
		"unknown twice, with a reuse grace and no retry": {change: func(o *Options) { o.OnUncertain, o.ReuseGrace = Reauth, 5*time.Second },
			answers: []Outcome{Unknown{Err: errTest}}, first: "no grant", then: "no grant", calls: 2},
		"unknown, the refresh token salvaged": {answers: []Outcome{Unknown{errTest, NewSecret("rt2")}, next(2)}, first: "at3", then: "at3", calls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, row.change, func(_ context.Context, call int, _ Grant) Outcome {
					return row.answers[min(call, len(row.answers))-1]
				})
				if row.kind == ByRunningAgain {
					var err error
					b.h, _, err = b.vault.Create(t.Context(), Grant{Kind: ByRunningAgain, Credentials: NewSecret("id:secret")},
						Granted{AccessToken: NewSecret("at1"), ExpiresIn: seconds(100)}, time.Now())
					if err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(101 * time.Second)
				b.want(row.first)
				time.Sleep(59 * time.Second)
				b.want(row.then)
				b.wantCalls(row.calls)
			})
		})
	}
}

func TestAnOutageCostsFewCallsAndNoGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			if down {
				return Unconsumed{Err: errTest}
			}
			return next(0)
		})
		time.Sleep(90 * time.Second)
		for range 95 {
			b.want("at1")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		for range 20 {
			b.want("unavailable")
			time.Sleep(100 * time.Millisecond)
		}
		b.mu.Lock()
		if b.calls > 12 {
			t.Errorf("%d calls", b.calls)
		}
		b.mu.Unlock()
		down = false
		time.Sleep(time.Minute)
		b.want("at1")
	})
}

func TestGrantsEndIdleAndAtTheirMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, always)
		time.Sleep(61 * time.Minute)
		b.want("no grant")
		b.wantCalls(0)
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Max = 2 * time.Hour }, always)
		for range 11 {
			time.Sleep(10 * time.Minute)
			if _, err := b.vault.Token(t.Context(), b.h); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(10 * time.Minute)
		b.want("no grant")
	})
}

func TestTheEndBeatsALateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, _ Grant) Outcome {
			time.Sleep(time.Second)
			return next(call)
		})
		time.Sleep(101 * time.Second)
		go func() { b.want("no grant") }()
		synctest.Wait()
		if err := b.vault.End(t.Context(), b.h, EndedLogout); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		b.want("no grant")
		if len(b.revoked) != 2 || b.revoked[0] != "at1/rt1" || b.revoked[1] != "at2/rt2" {
			t.Errorf("given back: %v", b.revoked)
		}
		if err := b.vault.End(t.Context(), b.h, EndedLogout); !errors.Is(err, ErrNoGrant) {
			t.Error(err)
		}
	})
}
