package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// takingBack is a way of taking sessions back.
type takingBack struct {
	name string
	fits func(x *enduring) bool
	both bool // it concerns the other session of the user, too
	do   func(s *soak, x *enduring, n *soakNode) error
}

const accountDisabled = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"

var takingsBack = []takingBack{
	{"a subject, by an operator", always, true, func(s *soak, x *enduring, n *soakNode) error {
		return n.revoke(map[string]string{"issuer": s.issuer.url, "subject": x.subject})
	}},
	{"a session at the issuer, by an operator", hasSid, false, func(s *soak, x *enduring, n *soakNode) error {
		return n.revoke(map[string]string{"issuer": s.issuer.url, "sid": x.sid})
	}},
	{"a token, by an operator", isJWT, false, func(s *soak, x *enduring, n *soakNode) error {
		return n.revoke(map[string]string{"issuer": s.issuer.url, "jti": x.jti})
	}},
	{"a session at the issuer, back-channel", isBrowser, false, func(s *soak, x *enduring, n *soakNode) error {
		return n.wantStatus(http.StatusOK)(n.post("/_oauth/backchannel_logout", session{}, url.Values{"logout_token": {s.issuer.logoutToken(x.sid)}}))
	}},
	{"a session, by an event", hasSid, false, func(s *soak, x *enduring, n *soakNode) error {
		return s.event(n, sessionRevoked, map[string]any{"format": "complex", "session": map[string]any{"format": "opaque", "id": x.sid}})
	}},
	{"a subject, by an event", always, true, func(s *soak, x *enduring, n *soakNode) error {
		return s.event(n, accountDisabled, about(s.issuer.url, x.subject))
	}},
	{"a token, by an event", isJWT, false, func(s *soak, x *enduring, n *soakNode) error {
		return s.event(n, sessionRevoked, map[string]any{"format": "jwt_id", "iss": s.issuer.url, "jti": x.jti})
	}},
	{"a grant, by its client", isReference, false, func(_ *soak, x *enduring, n *soakNode) error {
		return n.wantStatus(http.StatusOK)(n.post("/revoke", x.session, url.Values{"token": {x.refresh}}))
	}},
	{"a browser's log-out", isBrowser, false, func(_ *soak, x *enduring, n *soakNode) error {
		req, _ := http.NewRequest(http.MethodPost, n.url("/_oauth/logout"), nil)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		x.present(req)
		return n.wantStatus(http.StatusSeeOther)(send(n.client, req))
	}},
}

func always(*enduring) bool        { return true }
func hasSid(x *enduring) bool      { return x.sid != "" }
func isJWT(x *enduring) bool       { return x.how == aJWT }
func isBrowser(x *enduring) bool   { return x.how == aBrowser }
func isReference(x *enduring) bool { return x.how == anApp || x.how == aRobot }

func (n *soakNode) wantStatus(want int) func(a answer, err error) error {
	return func(a answer, err error) error {
		if err == nil && a.status != want {
			err = fmt.Errorf("%d %.200s", a.status, a.body)
		}
		return err
	}
}

// revoke is an operator's, at the node's admin endpoint.
func (n *soakNode) revoke(what map[string]string) error {
	body, _ := json.Marshal(what)
	req, _ := http.NewRequest(http.MethodPost, "http://"+n.admin+"/oauth/revocations", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	return n.wantStatus(http.StatusOK)(send(freshClient, req))
}

func (s *soak) event(n *soakNode, kind string, subject map[string]any) error {
	_, raw := s.sender.set(kind, subject, map[string]any{}, 0)
	return n.wantStatus(http.StatusAccepted)(s.sender.post(n.url("/signals"), raw))
}

// takeBacks takes sessions back, each way in turn, until the end.
func (s *soak) takeBacks(each time.Duration) (wait func()) {
	d := s.drawing("takings back")
	var wg sync.WaitGroup
	wg.Go(func() {
		for turn := 0; s.pause(each/2 + time.Duration(d.Int64N(int64(each)))); turn++ {
			way := takingsBack[turn%len(takingsBack)]
			x, i := s.some(d)
			for range 50 {
				if x != nil && x.living() && way.fits(x) && time.Since(x.began) > 3*time.Second {
					break
				}
				x, i = s.some(d)
			}
			if x == nil || !way.fits(x) || time.Since(x.began) < 3*time.Second { // events say seconds
				continue
			}
			n := s.someNode(d)
			concerned := []*enduring{x}
			if way.both && x.beside != nil {
				concerned = append(concerned, x.beside)
			}
			if s.claim(concerned) {
				wg.Go(func() { s.takeBack(way, concerned, i, n) })
			}
		}
	})
	return wg.Wait
}

// claim says that sessions are being taken back, unless one is already.
func (s *soak) claim(all []*enduring) bool {
	for _, x := range all {
		x.mu.Lock()
		defer x.mu.Unlock()
	}
	if !all[0].taking.IsZero() || all[0].gone || len(all) > 1 && time.Since(all[1].began) < 3*time.Second {
		return false
	}
	for _, x := range all {
		if x.taking.IsZero() {
			x.taking = time.Now()
		}
	}
	return true
}

func (s *soak) takeBack(way takingBack, concerned []*enduring, place int, n *soakNode) {
	for again := 0; ; {
		began := time.Now()
		err := way.do(s, concerned[0], n)
		if err == nil {
			break
		}
		s.answers.add("taking back was asked for again")
		// A node that reads its configuration just now may not be able to.
		if again++; again > 1 && !s.mishaps.excuse(began, time.Now()) {
			s.failf("node %d does not take back %s (%s): %v", n.number, way.name, concerned[0].how, err)
			return
		}
		if !s.pause(200 * time.Millisecond) {
			return
		}
		n = s.nodes[(n.number+1)%len(s.nodes)]
	}
	at := time.Now()
	s.answers.add("taken back: " + way.name)
	var wg sync.WaitGroup
	for _, x := range concerned {
		x.mu.Lock()
		if x.taken.IsZero() {
			x.taken = at
		}
		var open []*openStream
		for o := range x.streams {
			open = append(open, o)
		}
		x.mu.Unlock()
		for _, n := range s.nodes {
			wg.Go(func() { s.awaitRefused(way, x, n, at) })
		}
		for _, o := range open {
			wg.Go(func() { s.awaitEnded(way, o, at) })
		}
	}
	wg.Wait()
	s.mu.Lock()
	s.late = append(s.late, concerned...)
	s.late = s.late[max(0, len(s.late)-100):]
	s.mu.Unlock()
	s.replace(place, concerned[0], n)
	for _, x := range concerned[1:] {
		s.mu.Lock()
		i := 0
		for i < len(s.slots) && s.slots[i] != x {
			i++
		}
		s.mu.Unlock()
		s.replace(i, x, n)
	}
}

// awaitRefused asks a node until it refuses what was taken back.
func (s *soak) awaitRefused(way takingBack, x *enduring, n *soakNode, at time.Time) {
	for {
		began := time.Now()
		status := s.use(x, n)
		switch clean := !s.mishaps.deaf(n, at, time.Now()); {
		case status == http.StatusUnauthorized && clean:
			s.seen.add("refused everywhere", began.Sub(at))
			return
		case status == http.StatusUnauthorized:
			s.seen.add("refused, where Redis or the node was away", began.Sub(at))
			return
		case began.Sub(at) > 2*time.Minute:
			s.failf("node %d does not refuse %s, taken back as %s, for two minutes: %d", n.number, x.how, way.name, status)
			return
		}
		if !s.pause(20 * time.Millisecond) {
			return
		}
	}
}

// awaitEnded awaits the end of an exchange of what was taken back.
func (s *soak) awaitEnded(way takingBack, o *openStream, at time.Time) {
	patience := time.NewTimer(2 * time.Minute)
	defer patience.Stop()
	select {
	case <-o.ended:
	case <-s.ctx.Done():
		return
	case <-patience.C:
		s.failf("node %d leaves %s of %s open, which was taken back as %s", o.n.number, o.kind, o.x.how, way.name)
		return
	}
	took := max(o.at.Sub(at), 0)
	if s.mishaps.deaf(o.n, at, o.at) {
		s.seen.add("a stream's end, where Redis or the node was away", took)
		return
	}
	s.seen.add("a stream's end", took)
	if took > within() {
		s.failf("node %d ends %s of %s %s after it was taken back as %s", o.n.number, o.kind, o.x.how, took, way.name)
	}
}
