package signals

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

const (
	alice     = `{"format": "iss_sub", "iss": "https://login.example.com", "sub": "alice"}`
	inSession = `{"format": "complex", "user": ` + alice + `, "session": {"format": "opaque", "id": "s-1"}}`
)

func (t *transmitter) post(r *Receiver, raw string, header http.Header) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/signals", strings.NewReader(raw))
	req.Header.Set("Content-Type", "application/secevent+jwt")
	for name, values := range header {
		req.Header[name] = values
	}
	w := httptest.NewRecorder()
	if err := r.ServeHTTP(w, req); err != nil {
		t.tb.Fatal(err)
	}
	return w
}

func TestAnEventThatIsPostedIsDoneAndAccepted(t *testing.T) {
	tr := newTransmitter(t)
	r, s := tr.receive(t, Signals{Push: "/signals"})
	at := time.Now().Add(-5 * time.Second).Unix()
	_, raw := tr.set("", inSession, revokedBy, `{"event_timestamp": `+jsonOf(at)+`}`, nil)
	for range 2 { // RFC 8935 §2: one that came before is accepted again
		if w := tr.post(r, raw, nil); w.Code != http.StatusAccepted || w.Body.Len() > 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	entries, ended := s.taken()
	if len(entries) != 1 || len(ended) != 1 {
		t.Fatalf("done %d and %d times", len(entries), len(ended))
	}
	if e := entries[0]; e.Issuer != theIssuer || e.Subject != "alice" || e.Session != "s-1" || !e.Before.IsZero() || e.Source != revoked.ByEvent || e.Reason != "session-revoked" {
		t.Errorf("taken back: %+v", e)
	}
	if e := ended[0]; e.Session != "s-1" || !e.Before.IsZero() {
		t.Errorf("grants end: %+v", e)
	}
	_, raw = tr.set("", alice, revokedBy, `{"event_timestamp": `+jsonOf(at)+`}`, nil)
	tr.post(r, raw, nil)
	entries, ended = s.taken()
	// A transmitter writes seconds: what began in that second is meant, too.
	if last := time.UnixMilli(at*1000 + 999); len(ended) != 2 || !ended[1].Before.Equal(last) || !entries[1].Before.Equal(last) {
		t.Errorf("taken back %+v, ended %+v", entries, ended)
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func TestWhatASubjectIsInTokens(t *testing.T) {
	tr := newTransmitter(t)
	block := Signals{Push: "/signals", Match: map[string]string{"email": "email", "opaque": "sub", "tenant": "org", "session": "sid"}}
	r, _ := tr.receive(t, block)
	for name, row := range map[string]struct {
		subject string
		want    []revoked.Entry
	}{
		"of the issuer":              {alice, []revoked.Entry{{Issuer: theIssuer, Subject: "alice"}}},
		"by its tokens' other name":  {`{"format": "iss_sub", "iss": "urn:tokens", "sub": "alice"}`, []revoked.Entry{{Issuer: theIssuer, Subject: "alice"}}},
		"of another issuer":          {`{"format": "iss_sub", "iss": "https://login.example.org", "sub": "alice"}`, nil},
		"one token":                  {`{"format": "jwt_id", "iss": "https://login.example.com", "jti": "t-7"}`, []revoked.Entry{{Issuer: theIssuer, ID: "t-7"}}},
		"a token of another issuer":  {`{"format": "jwt_id", "iss": "https://login.example.org", "jti": "t-7"}`, nil},
		"by a claim":                 {`{"format": "email", "email": "Alice@Example.com"}`, []revoked.Entry{{Issuer: "https://login.example.com (email)", Subject: "alice@example.com"}}},
		"by sub":                     {`{"format": "opaque", "id": "alice"}`, []revoked.Entry{{Issuer: theIssuer, Subject: "alice"}}},
		"by what no claim has":       {`{"format": "phone_number", "phone_number": "+12065550100"}`, nil},
		"aliases":                    {`{"format": "aliases", "identifiers": [{"format": "did", "url": "did:x:1"}, ` + alice + `]}`, []revoked.Entry{{Issuer: theIssuer, Subject: "alice"}}},
		"a user's session":           {inSession, []revoked.Entry{{Issuer: theIssuer, Subject: "alice", Session: "s-1"}}},
		"a session":                  {`{"format": "complex", "session": {"format": "opaque", "id": "s-1"}}`, []revoked.Entry{{Issuer: theIssuer, Session: "s-1"}}},
		"all sessions of a user":     {`{"format": "complex", "user": ` + alice + `, "session": {"format": "opaque", "id": "ALL"}}`, []revoked.Entry{{Issuer: theIssuer, Subject: "alice"}}},
		"a user's device":            {`{"format": "complex", "user": ` + alice + `, "device": {"format": "opaque", "id": "d"}}`, []revoked.Entry{{Issuer: theIssuer, Subject: "alice"}}},
		"another's session":          {`{"format": "complex", "user": {"format": "iss_sub", "iss": "https://login.example.org", "sub": "x"}, "session": {"format": "opaque", "id": "s-1"}}`, nil},
		"a tenant":                   {`{"format": "complex", "tenant": {"format": "opaque", "id": "acme"}}`, []revoked.Entry{{Issuer: "https://login.example.com (org)", Subject: "acme"}}},
		"a device, which none names": {`{"format": "complex", "device": {"format": "opaque", "id": "d"}}`, nil},
		"a session by its token":     {`{"format": "complex", "user": ` + alice + `, "session": {"format": "jwt_id", "iss": "https://login.example.com", "jti": "t-7"}}`, []revoked.Entry{{Issuer: theIssuer, ID: "t-7"}}},
	} {
		_, raw := tr.set("", row.subject, revokedBy, `{}`, nil)
		set, err := r.read(context.Background(), raw)
		if err != nil {
			t.Fatal(err)
		}
		got := r.mapping.targets(&set.About)
		if jsonOf(got) != jsonOf(row.want) {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

func TestAnEventWithACriticalMemberThatIsNotUnderstoodTakesNothingBack(t *testing.T) {
	tr := newTransmitter(t)
	tr.critical = []string{"tenant", "user"}
	r, s := tr.receive(t, Signals{Push: "/signals"})
	subject := `{"format": "complex", "user": ` + alice + `, "tenant": {"format": "opaque", "id": "acme"}}`
	_, raw := tr.set("", subject, revokedBy, `{}`, nil)
	if w := tr.post(r, raw, nil); w.Code != http.StatusAccepted {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if entries, _ := s.taken(); len(entries) > 0 {
		t.Errorf("taken back: %+v", entries)
	}
}

func TestARefreshIsAskedForWhereClaimsChangedAndNoGrantEnds(t *testing.T) {
	tr := newTransmitter(t)
	r, s := tr.receive(t, Signals{Push: "/signals"})
	_, raw := tr.set("", alice, changed, `{"claims": {"role": "ro"}}`, nil)
	tr.post(r, raw, nil)
	entries, ended := s.taken()
	if len(entries) != 1 || entries[0].Before.IsZero() || entries[0].Subject != "alice" || len(ended) > 0 {
		t.Errorf("taken back %+v, ended %+v", entries, ended)
	}
}

func TestAnOperatorDecidesWhatAnEventDoes(t *testing.T) {
	tr := newTransmitter(t)
	r, s := tr.receive(t, Signals{Push: "/signals", On: map[string]string{"token-claims-change": "revoke", "account-disabled": "note", "urn:vendor:risk": "renew"}})
	for event, want := range map[string][2]int{changed: {1, 1}, disabled: {0, 0}, "urn:vendor:risk": {1, 0}, "urn:vendor:other": {0, 0}} {
		before, endedBefore := s.taken()
		_, raw := tr.set("", alice, event, `{}`, nil)
		if w := tr.post(r, raw, nil); w.Code != http.StatusAccepted {
			t.Fatalf("%s: %d %s", event, w.Code, w.Body)
		}
		entries, ended := s.taken()
		if got := [2]int{len(entries) - len(before), len(ended) - len(endedBefore)}; got != want {
			t.Errorf("%s: %v, want %v", event, got, want)
		}
	}
}

func TestWhatIsNotTakenIsAnsweredAsRFC8935Says(t *testing.T) {
	tr, other := newTransmitter(t), newTransmitter(t)
	r, s := tr.receive(t, Signals{Push: "/signals", AuthorizationHeader: "Bearer from-the-transmitter"})
	good := http.Header{"Authorization": {"Bearer from-the-transmitter"}}
	foreign, _ := other.key.Token("secevent+jwt", map[string]any{
		"iss": tr.URL, "aud": "https://api.example.com", "iat": time.Now().Unix(), "jti": "x",
		"sub_id": json.RawMessage(alice), "events": map[string]any{revokedBy: map[string]any{}},
	})
	made := func(edits map[string]any) string {
		_, raw := tr.set("", alice, revokedBy, `{}`, edits)
		return raw
	}
	for name, row := range map[string]struct {
		raw    string
		header http.Header
		err    string
	}{
		"nothing shown":          {made(nil), nil, "authentication_failed"},
		"another thing shown":    {made(nil), http.Header{"Authorization": {"Bearer x"}}, "authentication_failed"},
		"two things shown":       {made(nil), http.Header{"Authorization": {"Bearer from-the-transmitter", "Bearer x"}}, "authentication_failed"},
		"another type of body":   {made(nil), http.Header{"Authorization": good["Authorization"], "Content-Type": {"application/json"}}, "invalid_request"},
		"no token":               {"{}", good, "invalid_request"},
		"too large":              {strings.Repeat("x", token.MaxSize+3), good, "invalid_request"},
		"of another transmitter": {made(map[string]any{"iss": "https://x.example.com"}), good, "invalid_issuer"},
		"for another receiver":   {made(map[string]any{"aud": "https://x.example.com"}), good, "invalid_audience"},
		"signed by another":      {foreign, good, "invalid_key"},
		"with exp":               {made(map[string]any{"exp": 1}), good, "invalid_request"},
		"about nothing":          {made(map[string]any{"sub_id": map[string]any{"format": "email"}}), good, "invalid_request"},
		"good":                   {made(nil), good, ""},
		"good, of a longer type": {made(nil), http.Header{"Authorization": good["Authorization"], "Content-Type": {"application/secevent+jwt; charset=utf-8"}}, ""},
	} {
		w := tr.post(r, row.raw, row.header)
		var body struct{ Err, Description string }
		_ = json.Unmarshal(w.Body.Bytes(), &body)
		want := http.StatusBadRequest
		if row.err == "" {
			want = http.StatusAccepted
		}
		if w.Code != want || body.Err != row.err || row.err != "" && (body.Description == "" || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if entries, _ := s.taken(); len(entries) != 2 {
		t.Errorf("%d were done, of 2 that are good", len(entries))
	}
	req := httptest.NewRequest(http.MethodGet, "/signals", nil)
	w := httptest.NewRecorder()
	_ = r.ServeHTTP(w, req)
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
}

func TestWhatFailsHereIsSentAgain(t *testing.T) {
	tr := newTransmitter(t)
	r, s := tr.receive(t, Signals{Push: "/signals"})
	_, raw := tr.set("", alice, revokedBy, `{}`, nil)
	s.fails = errors.New("the store is away")
	if w := tr.post(r, raw, nil); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	s.fails = nil
	if w := tr.post(r, raw, nil); w.Code != http.StatusAccepted {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if entries, _ := s.taken(); len(entries) != 1 {
		t.Errorf("done %d times", len(entries))
	}
}

func TestAnEventIsNoVerdictWhileTheTransmittersKeysAreAway(t *testing.T) {
	tr := newTransmitter(t)
	tr.down = true
	r, _ := tr.receive(t, Signals{Push: "/signals"})
	_, raw := tr.set("", alice, revokedBy, `{}`, nil)
	if w := tr.post(r, raw, nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestEventsAreFetchedDoneAndAcknowledged(t *testing.T) {
	tr := newTransmitter(t)
	r, s := tr.receive(t, Signals{Poll: true, Token: "stream-token"})
	r.Start()
	id, raw := tr.set("", alice, revokedBy, `{}`, nil)
	tr.tell(id, raw)
	bad, badRaw := tr.set("", alice, revokedBy, `{}`, map[string]any{"aud": "x"})
	tr.tell(bad, badRaw)
	gatewaytest.Await(t, "an acknowledgement and an error", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		why, _ := tr.errs[bad].(map[string]any)
		return strings.Contains(strings.Join(tr.acked, " "), id) && why["err"] == "invalid_audience"
	})
	if entries, ended := s.taken(); len(entries) != 1 || len(ended) != 1 {
		t.Errorf("taken back %+v, ended %+v", entries, ended)
	}
	gatewaytest.Await(t, "a verification that was asked for", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.verifies > 0 && len(tr.acked) > 1
	})
}

func TestAnEventThatFailsStaysAtTheTransmitterUntilItIsDone(t *testing.T) {
	tr := newTransmitter(t)
	r, s := tr.receive(t, Signals{Poll: true, Token: "stream-token"})
	s.fails = errors.New("the store is away")
	id, raw := tr.set("", alice, revokedBy, `{}`, nil)
	tr.tell(id, raw)
	r.Start()
	gatewaytest.Await(t, "two polls", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.polls > 1 && len(tr.waiting) > 0
	})
	s.mu.Lock()
	s.fails = nil
	s.mu.Unlock()
	gatewaytest.Await(t, "the acknowledgement", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return strings.Contains(strings.Join(tr.acked, " "), id)
	})
}

func TestPollingGoesOnAfterAnOutage(t *testing.T) {
	tr := newTransmitter(t)
	tr.quick = true
	r, s := tr.receive(t, Signals{Poll: true, Token: "stream-token"})
	r.Start()
	polled := func() int { tr.mu.Lock(); defer tr.mu.Unlock(); return tr.polls }
	gatewaytest.Await(t, "a poll", func() bool { return polled() > 0 })
	tr.mu.Lock()
	tr.down = true
	tr.mu.Unlock()
	gatewaytest.Await(t, "the outage to be seen", func() bool { return r.fault.Load() != nil })
	id, raw := tr.set("", alice, revokedBy, `{}`, nil)
	tr.tell(id, raw)
	tr.mu.Lock()
	tr.down = false
	tr.mu.Unlock()
	gatewaytest.Await(t, "the event", func() bool { entries, _ := s.taken(); return len(entries) > 0 })
	gatewaytest.Await(t, "no fault any more", func() bool { return r.fault.Load() == nil })
}

func TestATransmitterThatIsSilentIsAFailureWhereThatIsToCount(t *testing.T) {
	tr := newTransmitter(t)
	kept, _ := tr.receive(t, Signals{Push: "/signals", Token: "stream-token"})
	r, _ := tr.receive(t, Signals{Push: "/signals", Token: "stream-token", Silent: "refuse"})
	for _, one := range []*Receiver{kept, r} {
		if err := one.Heard(time.Now()); err != nil {
			t.Errorf("at first: %v", err)
		}
	}
	late := time.Now().Add(3*DefaultVerify + time.Minute)
	if err := kept.Heard(late); err != nil {
		t.Errorf("silent keep: %v", err)
	}
	if f := verdict.FailureOf(r.Heard(late)); f.Reason != verdict.SignalsSilent || f.Issuer != theIssuer || f.Lasting {
		t.Errorf("silent refuse: %+v", f)
	}
	r.now = func() time.Time { return late }
	_, raw := tr.set("", `{"format": "opaque", "id": "stream-1"}`, verified, `{"state": "x"}`, nil)
	if w := tr.post(r, raw, nil); w.Code != http.StatusAccepted {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := r.Heard(late.Add(time.Minute)); err != nil {
		t.Errorf("after a verification: %v", err)
	}
	var none *Receiver
	if err := none.Heard(late); err != nil {
		t.Errorf("without signals: %v", err)
	}
}

// Two nodes behind one load balancer: a verification reaches one of them.
func TestWhatOneNodeHearsIsHeardByAll(t *testing.T) {
	tr := newTransmitter(t)
	shared := &memory{known: map[string]bool{}}
	nodes, sites := make([]*Receiver, 2), make([]*site, 2)
	for i := range nodes {
		// Of one process they are told apart by their audience.
		r, s := tr.receive(t, Signals{Push: "/signals", Token: "stream-token", Silent: "refuse", Audience: []string{"https://api.example.com", jsonOf(i)}})
		sites[i] = s
		r.mu.Lock()
		r.sites[0].Memory = shared
		r.mu.Unlock()
		nodes[i] = r
	}
	late := time.Now().Add(time.Hour)
	nodes[0].now = func() time.Time { return late }
	nodes[1].now = nodes[0].now
	_, raw := tr.set("", alice, revokedBy, `{}`, nil)
	if w := tr.post(nodes[0], raw, nil); w.Code != http.StatusAccepted {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := nodes[0].shareHeard(context.Background(), nodes[0].heard.Load()); err != nil {
		t.Fatal(err)
	}
	if nodes[1].Heard(late) == nil {
		t.Fatal("the other node has heard by itself: this test shows nothing")
	}
	nodes[1].askOthers(context.Background())
	if err := nodes[1].Heard(late); err != nil {
		t.Error(err)
	}
	if w := tr.post(nodes[1], raw, nil); w.Code != http.StatusAccepted { // and what one has done, the other does not do again
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	first, _ := sites[0].taken()
	if second, _ := sites[1].taken(); len(first) != 1 || len(second) > 0 {
		t.Errorf("done %d times by one node and %d times by the other", len(first), len(second))
	}
}

// Whatever a transmitter answers is read or refused, within bounds.
func FuzzAnswers(f *testing.F) {
	f.Add(`{"sets": {"a": "x.y.z"}, "moreAvailable": true}`)
	f.Add(`{"sets": []}`)
	f.Add(`[{"stream_id": "s", "aud": ["a"], "delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://x"}}]`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, doc string) {
		sets, more, err := readSets(doc)
		if err != nil && (len(sets) > 0 || more) || more && len(sets) == 0 {
			t.Fatalf("%q: %d sets, more %v, %v", doc, len(sets), more, err)
		}
		all, err := readStreams(doc)
		for _, s := range all {
			if err != nil || s.ID == "" || len(s.ID) > streamMembers || len(s.Endpoint) > streamMembers {
				t.Fatalf("%q: %+v, %v", doc, s, err)
			}
		}
	})
}
