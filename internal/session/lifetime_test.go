package session

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An AT that its AS called good for longer than it was, or of whose life it said
// nothing, was refused with 401 until the life that was assumed was over.
func TestAnAccessTokenRunsOutAtTheEarlierOfWhatItsServerSaysAndItsOwnEnd(t *testing.T) {
	const m = time.Minute
	said := func(d time.Duration) *time.Duration { return &d }
	asked := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o, err := Options{Now: time.Now, Renew: func(context.Context, Grant) Outcome { return nil }}.complete()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		said       *time.Duration
		ends, life time.Duration // by the token, from asked; 0: it does not say
		grace      time.Duration
		end, lives time.Duration
	}{
		"both say the same":                  {said: said(10 * m), ends: 10 * m, life: 10 * m, end: 10 * m, lives: 10 * m},
		"the server says less":               {said: said(3 * m), ends: 10 * m, life: 10 * m, end: 3 * m, lives: 3 * m},
		"the server says more":               {said: said(time.Hour), ends: 10 * m, life: 10 * m, end: 10 * m, lives: 10 * m},
		"the server says more, without iat":  {said: said(time.Hour), ends: 10 * m, end: 10 * m, lives: 10 * m},
		"more of a short life":               {said: said(time.Hour), ends: 6 * time.Second, life: 6 * time.Second, end: 6 * time.Second, lives: 6 * time.Second},
		"more of a short life, without iat":  {said: said(time.Hour), ends: 6 * time.Second, end: 6 * time.Second, lives: 6 * time.Second},
		"the server says nothing":            {ends: 2 * m, life: 2 * m, end: 2 * m, lives: 2 * m},
		"nothing, of a long life":            {ends: 60 * m, life: 60 * m, end: 60 * m, lives: 60 * m},
		"nothing, without iat":               {ends: 2 * m, end: 2 * m, lives: 2 * m},
		"zero":                               {said: said(0), ends: 2 * m, life: 2 * m, end: 2 * m, lives: 2 * m},
		"a negative number":                  {said: said(-m), ends: 2 * m, life: 2 * m, end: 2 * m, lives: 2 * m},
		"nobody says anything":               {end: 5 * m, lives: 5 * m},
		"opaque":                             {said: said(3 * m), end: 3 * m, lives: 3 * m},
		"its clock is behind":                {said: said(5 * m), ends: 3 * m, life: 5 * m, grace: m / 2, end: 3 * m, lives: 3 * m},
		"behind by almost all of the life":   {said: said(2 * m), ends: time.Second, life: 2 * m, grace: m / 2, end: 31 * time.Second, lives: 2 * m},
		"behind by a little more than that":  {said: said(2 * m), ends: -time.Second, life: 2 * m, grace: m / 2, end: 29 * time.Second, lives: 2 * m},
		"its clock is ahead":                 {said: said(5 * m), ends: 7 * m, life: 5 * m, grace: m / 2, end: 5 * m, lives: 5 * m},
		"ahead, and it says nothing":         {ends: 7 * m, life: 5 * m, grace: m / 2, end: 5 * m, lives: 5 * m},
		"behind, and it says nothing at all": {ends: -m, end: -m, lives: 5 * m},
	} {
		answer := Granted{ExpiresIn: row.said, Life: row.life, Grace: row.grace}
		if row.ends != 0 {
			answer.Ends = asked.Add(row.ends)
		}
		lives, end := o.life(&answer, asked)
		if lives != row.lives || end.Sub(asked) != row.end {
			t.Errorf("%s: it lives %v and ends after %v; want %v and %v", name, lives, end.Sub(asked), row.lives, row.end)
		}
	}
}

func untimely(call int) Outcome { return Untimely{Answer: next(call), Err: errTest} }

func TestAnAccessTokenThatFailsByTimeAloneIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var right atomic.Bool
		var begun moments
		var shown []string // under the bench's lock
		var b *bench
		b = newBench(t, nil, func(_ context.Context, call int, g Grant) Outcome {
			begun.note()
			b.mu.Lock()
			shown = append(shown, g.Refresh.Reveal())
			b.mu.Unlock()
			if right.Load() {
				return next(call)
			}
			return untimely(call)
		})
		time.Sleep(85 * time.Second) // the old one is due, and serves
		for range 14 {
			b.want("at1")
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Second)
		for range 600 {
			if _, err := b.vault.Token(t.Context(), b.h); errors.Is(err, ErrNoGrant) || err == nil {
				t.Fatalf("%v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		b.mu.Lock()
		for i, at := range begun.all()[1:] {
			if pause := at.Sub(begun.all()[i]); pause < 10*time.Second {
				t.Errorf("asked again after %v: min_refresh_interval is 10s", pause)
			}
			if shown[i+1] == shown[i] {
				t.Errorf("%s was presented twice: the new one was not kept", shown[i])
			}
		}
		b.mu.Unlock()
		right.Store(true)
		time.Sleep(time.Minute)
		b.want(next(b.made() + 1).AccessToken.Reveal())
	})
}

func TestARequestThatCausesAnUntimelyAnswerIsToldWhyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, g Grant) Outcome { return untimely(call) })
		time.Sleep(101 * time.Second)
		began := time.Now()
		_, err := b.vault.Token(t.Context(), b.h)
		late, ok := errors.AsType[*Unavailable](err)
		if !ok || !errors.Is(err, errTest) || late.RetryAfter < 10*time.Second || time.Since(began) > time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestAnUntimelyAnswerForAnotherUserEndsTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, func(_ context.Context, call int, g Grant) Outcome {
			answer := next(call)
			answer.Subject = "other"
			return Untimely{Answer: answer, Err: errTest}
		})
		time.Sleep(101 * time.Second)
		b.want("no grant")
	})
}
