package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// eventSource is a transmitter of security events that posts them.
type eventSource struct {
	*httptest.Server
	key    *jwssign.Key
	number atomic.Int64
}

func newEventSource(t *testing.T) *eventSource {
	t.Helper()
	s := &eventSource{key: benchKey(t, "ES256")}
	s.Server = newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/ssf-configuration":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL, "jwks_uri": s.URL + "/keys"})
		case "/keys":
			_, _ = w.Write(jwssign.Set(s.key))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

const (
	caepEvent = "https://schemas.openid.net/secevent/caep/event-type/"
	riscEvent = "https://schemas.openid.net/secevent/risc/event-type/"
)

// event is one that happens now.
func (s *eventSource) event(t *testing.T, kind, subject string) string {
	t.Helper()
	set, err := s.key.Token("secevent+jwt", map[string]any{
		"iss": s.URL, "aud": "urn:orders", "iat": time.Now().Unix(), "jti": fmt.Sprint("event-", s.number.Add(1)),
		"sub_id": json.RawMessage(subject), "events": map[string]any{kind: map[string]any{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// told is a gateway whose issuer has a transmitter of its events.
func told(t *testing.T, issuer *grantor, s *eventSource, words string) *gate {
	t.Helper()
	g := rawGate(t, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
			client gateway the-gateways-own-secret
			signals %s {
				audience urn:orders
				push /events
				%s
			}
		}
	}`, issuer.URL, s.URL, words), &issuer.clock)
	g.attachSignals()
	return g
}

func (g *gate) tell(set string) int {
	g.Helper()
	return g.send(http.MethodPost, "/events", set, "Content-Type", "application/secevent+jwt").Code
}

func TestAnEventTakesBackTheTokensThatItNamesAndNoOthers(t *testing.T) {
	issuer, source := newGrantor(t, nil), newEventSource(t)
	g := told(t, issuer, source, "match email email\nmatch tenant org.id")
	long := map[string]any{"iat": time.Now().Add(-time.Minute).Unix()}
	made := func(sub string, claims map[string]any) string { return issuer.access(sub, long, claims) }
	complexOf := func(members string) string { return `{"format": "complex", ` + members + `}` }
	user := func(sub string) string {
		return fmt.Sprintf(`{"format": "iss_sub", "iss": %q, "sub": %q}`, issuer.URL, sub)
	}
	for name, row := range map[string]struct{ kind, subject, out, in, reason string }{
		"a user":           {caepEvent + "session-revoked", user("u1"), made("u1", nil), made("u2", nil), "token_revoked"},
		"a session":        {caepEvent + "session-revoked", complexOf(`"user": ` + user("u3") + `, "session": {"format": "opaque", "id": "s1"}`), made("u3", map[string]any{"sid": "s1"}), made("u3", map[string]any{"sid": "s2"}), "token_revoked"},
		"all of a user's":  {caepEvent + "session-revoked", complexOf(`"user": ` + user("u4") + `, "session": {"format": "opaque", "id": "ALL"}`), made("u4", map[string]any{"sid": "s3"}), made("u5", map[string]any{"sid": "s4"}), "token_revoked"},
		"one token":        {caepEvent + "session-revoked", fmt.Sprintf(`{"format": "jwt_id", "iss": %q, "jti": "t1"}`, issuer.URL), made("u6", map[string]any{"jti": "t1"}), made("u6", map[string]any{"jti": "t2"}), "token_revoked"},
		"an address":       {riscEvent + "account-disabled", `{"format": "email", "email": "Ann@Example.com"}`, made("u7", map[string]any{"email": "ann@example.com"}), made("u8", map[string]any{"email": "bob@example.com"}), "token_revoked"},
		"a tenant":         {riscEvent + "account-disabled", complexOf(`"tenant": {"format": "opaque", "id": "acme"}`), made("u9", map[string]any{"org": map[string]any{"id": "acme"}}), made("u9", nil), "token_revoked"},
		"claims":           {caepEvent + "token-claims-change", user("u10"), made("u10", nil), issuer.access("u10", map[string]any{"iat": time.Now().Add(2 * time.Second).Unix()}), "token_outdated"},
		"claims, by email": {caepEvent + "token-claims-change", `{"format": "email", "email": "eve@example.com"}`, made("u11", map[string]any{"email": "eve@example.com"}), made("u12", map[string]any{"email": "max@example.com"}), "token_outdated"},
	} {
		for _, tok := range []string{row.out, row.in} {
			if status, _ := g.get(tok); status != http.StatusOK {
				t.Fatalf("%s: %d before the event", name, status)
			}
		}
		set := source.event(t, row.kind, row.subject)
		if status := g.tell(set); status != http.StatusAccepted {
			t.Fatalf("%s: the event is answered with %d\n%s", name, status, g.logged())
		}
		if status, _ := g.get(row.out); status != http.StatusUnauthorized {
			t.Errorf("%s: %d after the event", name, status)
		}
		if entries := g.logs.FilterField(zap.String("reason", row.reason)).All(); len(entries) == 0 {
			t.Errorf("%s: it is not refused with %s", name, row.reason)
		}
		if status, _ := g.get(row.in); status != http.StatusOK {
			t.Errorf("%s: %d for a token that it does not name", name, status)
		}
		if status := g.tell(set); status != http.StatusAccepted {
			t.Errorf("%s: the event that comes again is answered with %d", name, status)
		}
	}
	for _, r := range g.saw {
		if r.URL.Path == "/events" {
			t.Error("an event reached the upstream")
		}
	}
}

func TestTheWordOfATransmitterCountsForItsOwnIssuerAlone(t *testing.T) {
	issuer, other, source := newGrantor(t, nil), newGrantor(t, nil), newEventSource(t)
	g := rawGate(t, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
			signals %s {
				audience urn:orders
				push /events
			}
		}
		issuer %s {
			audience api
		}
	}`, issuer.URL, source.URL, other.URL), &issuer.clock)
	g.attachSignals()
	theirs := other.access("ann", map[string]any{"iat": time.Now().Add(-time.Minute).Unix()})
	for _, subject := range []string{
		fmt.Sprintf(`{"format": "iss_sub", "iss": %q, "sub": "ann"}`, other.URL),
		fmt.Sprintf(`{"format": "iss_sub", "iss": %q, "sub": "ann"}`, issuer.URL),
	} {
		if status := g.tell(source.event(t, caepEvent+"session-revoked", subject)); status != http.StatusAccepted {
			t.Fatal(status)
		}
		if status, _ := g.get(theirs); status != http.StatusOK {
			t.Errorf("%s: %d for the other issuer's token", subject, status)
		}
	}
}

func TestAnEventIsToComeAgainWhileNoConfigurationIsInForce(t *testing.T) {
	issuer, source := newGrantor(t, nil), newEventSource(t)
	g := told(t, issuer, source, "")
	set := source.event(t, caepEvent+"session-revoked", fmt.Sprintf(`{"format": "iss_sub", "iss": %q, "sub": "ann"}`, issuer.URL))
	g.attached.end() // as a configuration that is going, or not there yet
	if status := g.tell(set); status != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503: it comes again", status)
	}
	if status := g.send(http.MethodPost, "/events", "", "Content-Type", "application/secevent+jwt").Code; status != http.StatusBadRequest {
		t.Errorf("%d for nothing", status)
	}
}
