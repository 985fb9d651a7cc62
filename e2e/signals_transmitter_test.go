package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// transmitter sends security events as the Shared Signals Framework 1.0 has it: its
// metadata, one stream that is polled (RFC 8936) or pushed (RFC 8935), verification.
type transmitter struct {
	*httptest.Server
	t   *testing.T
	key signKey

	mu      sync.Mutex
	number  int
	waiting map[string]string // jti → event, until it is acknowledged
	news    chan struct{}     // closed when there is another
	pushTo  []string          // addresses; none: it is polled
	mute    bool              // no verification comes
	asked   int               // for verifications
}

const (
	streamToken = "token-of-the-stream"
	pushHeader  = "Bearer shown-at-push"
	streamAud   = "https://receiver.example.com"

	sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	claimsChange   = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
)

func startTransmitter(t *testing.T) *transmitter {
	t.Helper()
	tr := &transmitter{t: t, key: newSignKey(t), waiting: map[string]string{}, news: make(chan struct{})}
	tr.Server = httptest.NewServer(tr)
	t.Cleanup(func() {
		tr.CloseClientConnections()
		tr.Close()
	})
	return tr
}

func (tr *transmitter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(body any) { _ = json.NewEncoder(w).Encode(body) }
	switch r.URL.Path {
	case "/.well-known/ssf-configuration":
		answer(map[string]any{
			"spec_version": "1_0", "issuer": tr.URL, "jwks_uri": tr.URL + "/keys", "delivery_methods_supported": []string{"urn:ietf:rfc:8935", "urn:ietf:rfc:8936"},
			"configuration_endpoint": tr.URL + "/streams", "verification_endpoint": tr.URL + "/verify", "default_subjects": "ALL",
		})
		return
	case "/keys":
		answer(map[string]any{"keys": []any{tr.key.jwk()}})
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+streamToken {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/streams":
		delivery := map[string]string{"method": "urn:ietf:rfc:8936", "endpoint_url": tr.URL + "/poll"}
		if len(tr.pushTo) > 0 {
			delivery = map[string]string{"method": "urn:ietf:rfc:8935", "endpoint_url": tr.pushTo[0]}
		}
		answer([]any{map[string]any{"stream_id": "stream-1", "iss": tr.URL, "aud": streamAud, "events_delivered": []string{sessionRevoked}, "delivery": delivery}})
	case "/verify":
		tr.mu.Lock()
		tr.asked++
		mute := tr.mute
		tr.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		if !mute {
			go tr.send("https://schemas.openid.net/secevent/ssf/event-type/verification", map[string]any{"format": "opaque", "id": "stream-1"}, map[string]any{}, 0)
		}
	case "/poll":
		tr.servePoll(r, answer)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (tr *transmitter) servePoll(r *http.Request, answer func(any)) {
	var asked struct {
		Ack               []string       `json:"ack"`
		Errs              map[string]any `json:"setErrs"`
		ReturnImmediately bool           `json:"returnImmediately"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Errs) > 0 {
		tr.t.Errorf("the gateway polls with %+v, %v", asked, err)
	}
	tr.mu.Lock()
	for _, id := range asked.Ack {
		delete(tr.waiting, id)
	}
	news, none := tr.news, len(tr.waiting) == 0
	tr.mu.Unlock()
	if none && !asked.ReturnImmediately {
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	sets := map[string]string{}
	for id, set := range tr.waiting {
		sets[id] = set
	}
	answer(map[string]any{"sets": sets, "moreAvailable": false})
}

// set makes an event that happened some time ago.
func (tr *transmitter) set(event string, subject, members map[string]any, ago time.Duration) (id, raw string) {
	tr.mu.Lock()
	tr.number++
	id = fmt.Sprintf("event-%d", tr.number)
	tr.mu.Unlock()
	at := time.Now().Add(-ago).Unix()
	if _, has := members["event_timestamp"]; !has {
		members["event_timestamp"] = at
	}
	return id, tr.key.sign(map[string]any{
		"iss": tr.URL, "aud": streamAud, "iat": time.Now().Unix(), "jti": id, "sub_id": subject, "events": map[string]any{event: members},
	}, map[string]any{"typ": "secevent+jwt"})
}

// send delivers an event: to the first address where it is pushed, or to whoever polls.
func (tr *transmitter) send(event string, subject, members map[string]any, ago time.Duration) {
	id, raw := tr.set(event, subject, members, ago)
	if len(tr.pushTo) > 0 {
		if a, err := tr.post(tr.pushTo[0], raw); err != nil || a.status != http.StatusAccepted || a.body != "" {
			tr.t.Errorf("the gateway answers an event with %d %s %v", a.status, a.body, err)
		}
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.waiting[id] = raw
	close(tr.news)
	tr.news = make(chan struct{})
}

func (tr *transmitter) post(address, raw string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(raw))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/secevent+jwt")
	req.Header.Set("Authorization", pushHeader)
	return send(plainClient, req)
}

// about is a user of an issuer.
func about(issuer, sub string) map[string]any {
	return map[string]any{"format": "iss_sub", "iss": issuer, "sub": sub}
}

// words are those of a signals block, with how events come in it.
func (tr *transmitter) words(more string) string {
	return fmt.Sprintf("signals %s {\n\t\t\t\taudience %s\n\t\t\t\ttoken %s\n\t\t\t\t%s\n\t\t\t}", tr.URL, streamAud, streamToken, more)
}

const pushWords = "push /signals\n\t\t\t\tauthorization_header \"" + pushHeader + "\""
