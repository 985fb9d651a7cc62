package caddyoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// streamKeeper is a transmitter that keeps streams for receivers (OpenID Shared
// Signals Framework 1.0 §8.1), and remembers what it was asked.
type streamKeeper struct {
	*httptest.Server
	key *jwssign.Key

	mu      sync.Mutex
	streams []map[string]any
	status  string
	bare    bool // it takes no subjects
	asked   []string
	bodies  []map[string]any
}

const streamSecret = "the-token-of-the-stream"

func newStreamKeeper(t *testing.T) *streamKeeper {
	t.Helper()
	k := &streamKeeper{key: benchKey(t, "ES256"), status: "enabled"}
	k.Server = newServer(k)
	t.Cleanup(k.Close)
	return k
}

// has gives it a stream that is polled.
func (k *streamKeeper) has(change func(stream map[string]any)) {
	stream := map[string]any{
		"stream_id": "stream-1", "iss": k.URL, "aud": "urn:orders", "events_delivered": []string{caepEvent + "session-revoked"},
		"delivery": map[string]any{"method": "urn:ietf:rfc:8936", "endpoint_url": k.URL + "/poll"},
	}
	if change != nil {
		change(stream)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.streams = append(k.streams, stream)
}

func (k *streamKeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	answer := func(status int, body any) { w.WriteHeader(status); _ = json.NewEncoder(w).Encode(body) }
	switch {
	case r.URL.Path == "/.well-known/ssf-configuration":
		said := map[string]string{"issuer": k.URL, "jwks_uri": k.URL + "/keys", "configuration_endpoint": k.URL + "/streams", "status_endpoint": k.URL + "/status", "verification_endpoint": k.URL + "/verify"}
		if !k.bare {
			said["add_subject_endpoint"], said["remove_subject_endpoint"] = k.URL+"/add", k.URL+"/remove"
		}
		answer(http.StatusOK, said)
		return
	case r.URL.Path == "/keys":
		_, _ = w.Write(jwssign.Set(k.key))
		return
	case r.Header.Get("Authorization") != "Bearer "+streamSecret:
		answer(http.StatusUnauthorized, nil)
		return
	case r.Method == http.MethodGet && r.URL.Path == "/status":
		answer(http.StatusOK, map[string]string{"stream_id": "stream-1", "status": k.status})
		return
	case r.Method == http.MethodGet:
		answer(http.StatusOK, k.streams)
		return
	}
	text, _ := io.ReadAll(r.Body)
	var body map[string]any
	_ = json.Unmarshal(text, &body)
	k.asked, k.bodies = append(k.asked, r.Method+" "+r.URL.Path), append(k.bodies, body)
	answer(http.StatusOK, map[string]string{})
}

// site is a Caddyfile whose issuer has the stream.
func (k *streamKeeper) site(issuer, words string) string {
	return fmt.Sprintf("https://api.example.com {\noauth {\nissuer %s {\naudience api\nsignals %s {\naudience urn:orders\ntoken %s\n%s\n}\n}\n%s\n}\n}\n", issuer, k.URL, streamSecret, words, "session {\nstore bolt\n}")
}

// does runs "caddy oauth signals" on a Caddyfile, and answers what the transmitter
// was asked for the last time.
func (k *streamKeeper) does(t *testing.T, file string, want int, args ...string) (out, problems, asked string, body map[string]any) {
	t.Helper()
	status, out, problems := oauthCommand(t, "", append([]string{"signals", "--config", file}, args...)...)
	if status != want {
		t.Errorf("%q: status %d, want %d\n%s%s", args, status, want, out, problems)
	}
	if strings.Contains(out+problems, streamSecret) {
		t.Errorf("%q: the secret is printed", args)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.asked); n > 0 {
		asked, body = k.asked[n-1], k.bodies[n-1]
	}
	return out, problems, asked, body
}

func TestTheCommandMakesAndChangesAStreamAsItsFlagsSay(t *testing.T) {
	issuer, k := newGrantor(t, nil), newStreamKeeper(t)
	file := configFile(t, k.site(issuer.URL, "push /events"))
	pushed := func(body map[string]any) string {
		delivery, _ := body["delivery"].(map[string]any)
		to, _ := delivery["endpoint_url"].(string)
		return to
	}
	if _, _, asked, body := k.does(t, file, 1, "create"); asked != "POST /streams" || pushed(body) != "https://api.example.com/events" { // 1: it shows none of it afterwards
		t.Errorf("%s: %v", asked, body)
	}
	if _, _, _, body := k.does(t, file, 1, "create", "--url", "https://other.example.com/in"); pushed(body) != "https://other.example.com/in" {
		t.Errorf("--url: %v", body)
	}
	k.has(func(stream map[string]any) {
		stream["delivery"] = map[string]any{"method": "urn:ietf:rfc:8935", "endpoint_url": "https://api.example.com/events"}
	})
	for _, one := range []struct{ action, asked, said string }{
		{"show", "POST /streams", "stream-1"}, {"update", "PATCH /streams", "changed"}, {"verify", "POST /verify", "verification"},
		{"pause", "POST /status", "paused"}, {"enable", "POST /status", "enabled"}, {"delete", "DELETE /streams", "deleted"},
	} {
		if out, _, asked, _ := k.does(t, file, 0, one.action); asked != one.asked || !strings.Contains(out, one.said) {
			t.Errorf("%s: asked %s, want %s\n%s", one.action, asked, one.asked, out)
		}
	}
	out, _, _, _ := k.does(t, file, 0, "--json", "--issuer", issuer.URL)
	var reports []struct {
		Stream string `json:"stream_id"`
		Status string
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != 1 || reports[0].Stream != "stream-1" || reports[0].Status != "enabled" {
		t.Errorf("--json: %s %v", out, err)
	}
	for want, args := range map[string][]string{
		"no issuer https://other.example": {"--issuer", "https://other.example"},
		"unknown argument":                {"stop"},
		"unknown flag":                    {"--stop"},
		"--subject":                       {"add"},
		"nothing else takes it":           {"pause", "--subject", "ann"},
	} {
		if _, problems, _, _ := k.does(t, file, 2, args...); !strings.Contains(problems, want) {
			t.Errorf("%q: %s", args, problems)
		}
	}
	two := configFile(t, k.site(issuer.URL, "push /events")+strings.Replace(k.site(newGrantor(t, nil).URL, "push /others"), "api.example.com", "b.example.com", 1))
	if _, problems, _, _ := k.does(t, two, 2, "verify"); !strings.Contains(problems, "name one with --issuer") {
		t.Error(problems)
	}
	k.does(t, two, 0, "verify", "--issuer", issuer.URL)
}

func TestTheCommandAddsAndRemovesSubjectsOfAStream(t *testing.T) {
	issuer, k := newGrantor(t, nil), newStreamKeeper(t)
	k.has(nil)
	file := configFile(t, k.site(issuer.URL, "poll"))
	for _, one := range []struct{ action, subject, asked, format, name, value string }{
		{"add", "ann", "POST /add", "iss_sub", "sub", "ann"},
		{"remove", "ann", "POST /remove", "iss_sub", "sub", "ann"},
		{"add", `{"format": "email", "email": "ann@example.com"}`, "POST /add", "email", "email", "ann@example.com"},
	} {
		_, _, asked, body := k.does(t, file, 0, one.action, "--subject", one.subject)
		subject, _ := body["subject"].(map[string]any)
		if asked != one.asked || body["stream_id"] != "stream-1" || subject["format"] != one.format || subject[one.name] != one.value ||
			one.format == "iss_sub" && subject["iss"] != issuer.URL {
			t.Errorf("%s %s: %s %v", one.action, one.subject, asked, body)
		}
	}
	for subject, want := range map[string]string{`{"email": "ann@example.com"}`: "no format", `{"format"`: "no JSON object"} {
		if _, problems, _, _ := k.does(t, file, 1, "add", "--subject", subject); !strings.Contains(problems, want) {
			t.Errorf("%s: %s", subject, problems)
		}
	}
	k.mu.Lock()
	k.bare = true
	k.mu.Unlock()
	if _, problems, _, _ := k.does(t, file, 1, "add", "--subject", "ann"); !strings.Contains(problems, "add_subject_endpoint") {
		t.Error(problems)
	}
}

func TestTheDoctorLooksAtTheStreamOfATransmitter(t *testing.T) {
	issuer := newGrantor(t, nil)
	for want, change := range map[string]func(k *streamKeeper){
		"ok signals: has the stream stream-1 (enabled poll) for urn:orders: session-revoked": func(k *streamKeeper) { k.has(nil) },
		"fail signals: caddy oauth signals create":                                           func(*streamKeeper) {},
		"fail signals: is paused":                                                            func(k *streamKeeper) { k.has(nil); k.status = "paused" },
		"fail signals: write that as audience in signals":                                    func(k *streamKeeper) { k.has(func(s map[string]any) { s["aud"] = "urn:another" }) },
		"fail signals: caddy oauth signals add":                                              func(k *streamKeeper) { k.has(func(s map[string]any) { s["default_subjects"] = "NONE" }) },
		"fail signals: the stream of events cannot be looked at":                             func(k *streamKeeper) { k.Close() },
	} {
		k := newStreamKeeper(t)
		change(k)
		d := examinedWhole(t, k.site(issuer.URL, "poll"))
		d.wants(t, want)
		if strings.Contains(d.raw, streamSecret) {
			t.Error("a secret is printed")
		}
	}
	k := newStreamKeeper(t)
	examinedWhole(t, strings.Replace(k.site(issuer.URL, "push /events"), "token "+streamSecret+"\n", "", 1)).wants(t, "warn signals: nobody would see that its stream does not work")
}

func TestTheDoctorSaysWhereWhatWasTakenBackIsNotKept(t *testing.T) {
	issuer := newGrantor(t, nil)
	site := func(words string) string {
		return fmt.Sprintf("http://api.example {\noauth {\nissuer %s {\naudience api\n}\n%s\n}\n}\n", issuer.URL, words)
	}
	revocations := func(d *diagnosis) (found []string) {
		for _, one := range d.Findings {
			if one.Check == "revocation" {
				found = append(found, one.Result)
			}
		}
		return found
	}
	for text, want := range map[string]string{
		site("revocation {\nkeep 48h\n}"):                                                                              "this process alone",
		site("revocation {\nkeep 48h\n}\nsession {\nstore memory\n}"):                                                  "in memory alone",
		site("revocation {\nkeep 5m\n}\nsession {\nstore bolt\n}"):                                                     "keep is 5m0s",
		site("") + strings.Replace(site("session {\nstore bolt\n}"), "api.example", "b.example", 1):                    "grants of another site are in a store",
		newStreamKeeper(t).site(issuer.URL, "push /events") + strings.Replace(site(""), "api.example", "c.example", 1): "grants of another site are in a store",
	} {
		examinedWhole(t, text).wants(t, "warn revocation: "+want)
	}
	for _, text := range []string{site(""), site("revocation {\nkeep 48h\n}\nsession {\nstore bolt\n}"), site("session {\nstore memory\n}")} {
		if d := examinedWhole(t, text); slices.Contains(revocations(d), "warn") {
			t.Errorf("%s\n%s", text, d.raw)
		}
	}
}
