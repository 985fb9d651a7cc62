package session

import "time"

// modelDenial is an AS that does not know the grant's own client.
type modelDenial struct {
	until time.Time
	since time.Time // nothing else was said since then
}

// deny reports whether the AS does not know the grant's own client, as in an
// outage of its database: now and then for some time, to every client.
func (s *modelAS) deny(a *actor, calm bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !calm && !s.denial.until.After(now) && a.rnd.IntN(8) == 0 {
		s.denial.until = now.Add(time.Duration(a.rnd.Int64N(int64(5 * time.Minute))))
	}
	if calm || !s.denial.until.After(now) {
		s.denial.since = time.Time{}
		return false
	}
	if s.denial.since.IsZero() {
		s.denial.since = now
	}
	return true
}

// ended judges the end of a grant that is run again.
func (s *modelAS) ended(row *Row) {
	if !row.Dead || row.Reason != EndedRefused || s.w.kind != ByRunningAgain {
		return
	}
	s.mu.Lock()
	since := s.denial.since
	s.mu.Unlock()
	if since.IsZero() || time.Since(since) < 2*time.Minute-time.Second {
		s.w.fail("the grant is ended, and since %v its client was not known", since)
	}
	s.w.mu.Lock()
	s.w.disowned = true
	s.w.mu.Unlock()
}
