package as

import (
	"context"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// The times of fetching lists of statuses.
const (
	statusUnused  = time.Hour // then a list is forgotten
	statusAttempt = 10 * time.Second
)

// keepStatuses is the one goroutine that fetches a list, until no token has named
// it for an hour.
func (s *Server) keepStatuses(l *statusList) {
	failures, restored := 0, s.restoreStatuses(l.address)
	for {
		next := s.fetchStatuses(l, &failures, restored)
		restored = nil
		l.mu.Lock()
		l.next = s.cfg.Now().Add(next)
		l.mu.Unlock()
		timer := time.NewTimer(next)
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-l.wake:
			timer.Stop()
		}
		if s.cfg.Now().Unix()-l.used.Load() > int64(statusUnused/time.Second) {
			s.dropStatuses(l)
			return
		}
	}
}

// dropStatuses forgets a list. Who holds it yet may use it to its end.
func (s *Server) dropStatuses(l *statusList) {
	s.statuses.mu.Lock()
	defer s.statuses.mu.Unlock()
	lists := map[string]*statusList{}
	for name, one := range *s.statuses.all.Load() {
		if one != l {
			lists[name] = one
		}
	}
	s.statuses.all.Store(&lists)
	if held := l.held.Load(); held != nil {
		s.statuses.size.Add(-int64(held.Size()))
	}
	l.mu.Lock()
	l.dropped = true
	l.mu.Unlock()
	l.land(errStopped)
}

func (l *statusList) land(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	if l.flight != nil {
		close(l.flight)
		l.flight = nil
	}
}

// fetchStatuses makes one attempt and answers how long to wait before the next one.
// restored is what counts where it fails; nil: nothing does.
func (s *Server) fetchStatuses(l *statusList, failures *int, restored *heldStatuses) time.Duration {
	l.mu.Lock()
	if l.flight == nil {
		l.flight = make(chan struct{})
	}
	l.mu.Unlock()
	began := s.cfg.Now()
	fresh, err := s.readStatuses(l)
	if err != nil && restored != nil {
		s.statuses.size.Add(int64(restored.Size()))
		l.held.Store(restored)
	}
	select { // an index that asked while this fetch ran is served by it
	case <-l.wake:
	default:
	}
	l.land(err)
	if s.ctx.Err() != nil {
		return statusAttempt
	}
	s.observe(Event{Op: OpStatusList, List: l.address, Err: err, Held: l.inForce(s.cfg.Now()) != nil, Took: s.cfg.Now().Sub(began)})
	if err == nil {
		s.storeStatuses()
		*failures = 0
		return max(Floor, time.Duration(float64(fresh)*(0.8+0.1*s.cfg.Jitter())))
	}
	*failures++
	if l.held.Load() == nil {
		return min(retryNone<<min(*failures-1, 5), retryMost)
	}
	return time.Duration(float64(min(Floor<<min(*failures-1, 10), retryMost)) * (0.75 + 0.25*s.cfg.Jitter()))
}

// readStatuses asks for a list and puts a good one in force.
func (s *Server) readStatuses(l *statusList) (fresh time.Duration, err error) {
	select {
	case s.statuses.places <- struct{}{}:
		defer func() { <-s.statuses.places }()
	case <-s.ctx.Done():
		return 0, errStopped
	}
	ctx, cancel := context.WithTimeout(s.ctx, statusAttempt)
	defer cancel()
	asking, way := allowAnyAddress(ctx, s.cfg.dialing().zone) // the operator's own words name the place
	way.hidden = true                                         // the bearer token is for who has the metadata and keys
	doc, fresh, err := s.read(asking, l.address, "application/statuslist+jwt", token.MaxStatusList)
	if err != nil {
		return 0, err
	}
	lists, now := s.listProfile(), s.cfg.Now()
	list, err := lists.Read(ctx, string(doc), l.address, now)
	if err != nil {
		return 0, err
	}
	next := holdStatuses(list, string(doc), now)
	if list.Fresh > 0 {
		fresh = max(Floor, min(list.Fresh, Ceiling))
	}
	if left := next.until.Sub(now); left < fresh {
		fresh = max(Floor, left)
	}
	grown, old := int64(list.Size()), l.held.Load()
	if old != nil {
		grown -= int64(old.Size())
	}
	if s.statuses.size.Add(grown) > mostStatusBytes {
		s.statuses.size.Add(-grown)
		return 0, errLargeLists
	}
	l.held.Store(next)
	if old != nil && !list.Same(old.StatusList) {
		s.statuses.tell()
	}
	return fresh, nil
}

// listProfile is what lists must be.
func (s *Server) listProfile() token.ListProfile {
	lists := s.cfg.Statuses.Lists
	if lists.Keys == nil {
		lists.Keys = s
	}
	return lists
}

// WatchStatuses has told told when a list says another thing than before, once it is
// in force, until stop is called. It must not block.
func (s *Server) WatchStatuses(told func()) (stop func()) {
	all := &s.statuses
	all.mu.Lock()
	defer all.mu.Unlock()
	watcher := &told
	all.watchers = append(all.watchers, watcher)
	return func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		all.watchers = slices.DeleteFunc(all.watchers, func(one *func()) bool { return one == watcher })
	}
}

func (all *statusLists) tell() {
	all.mu.Lock()
	watchers := slices.Clone(all.watchers)
	all.mu.Unlock()
	for _, told := range watchers {
		(*told)()
	}
}
