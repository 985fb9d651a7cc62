package signals

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func describe(t *testing.T, tr *transmitter, block Signals) (*Report, error) {
	t.Helper()
	block.Token = "stream-token"
	r, _ := tr.receive(t, block)
	return r.Describe(context.Background())
}

func TestWhatIsAmissWithAStreamIsSaid(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*transmitter)
		block  Signals
		amiss  string // "": nothing
		err    string
	}{
		"nothing":                {nil, Signals{Poll: true}, "", ""},
		"another audience":       {func(tr *transmitter) { tr.streams[0]["aud"] = "urn:other" }, Signals{Poll: true}, `aud of the stream is ["urn:other"]`, ""},
		"another issuer":         {func(tr *transmitter) { tr.streams[0]["iss"] = "https://x.example.com" }, Signals{Poll: true}, "its events will be refused", ""},
		"another delivery":       {nil, Signals{Push: "/signals", Stream: "stream-1"}, "the stream delivers by poll", ""},
		"no subjects":            {func(tr *transmitter) { tr.streams[0]["default_subjects"] = "NONE" }, Signals{Poll: true}, "Default subjects ALL", ""},
		"events of other kinds":  {func(tr *transmitter) { tr.streams[0]["events_delivered"] = []string{"urn:x"} }, Signals{Poll: true}, "no type of event that is known here", ""},
		"a critical member":      {func(tr *transmitter) { tr.critical = []string{"tenant"} }, Signals{Poll: true}, `"match tenant <claim>"`, ""},
		"one that is matched":    {func(tr *transmitter) { tr.critical = []string{"tenant"} }, Signals{Poll: true, Match: map[string]string{"tenant": "org"}}, "", ""},
		"it is paused":           {func(tr *transmitter) { tr.status = "paused" }, Signals{Poll: true}, "the stream is paused", ""},
		"there is none":          {func(tr *transmitter) { tr.streams = nil }, Signals{Poll: true}, "", "caddy oauth signals create"},
		"there are two":          {func(tr *transmitter) { tr.streams = append(tr.streams, tr.streams[0]) }, Signals{Poll: true}, "", `write "stream <id>"`},
		"it takes another token": {func(tr *transmitter) { tr.access = "another" }, Signals{Poll: true}, "", "401"},
		"no answer of any use":   {func(tr *transmitter) { tr.down = true }, Signals{Poll: true}, "", "503"},
	} {
		tr := newTransmitter(t)
		if row.change != nil {
			row.change(tr)
		}
		report, err := describe(t, tr, row.block)
		switch {
		case row.err != "":
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%s: %+v, %v; want the error %q", name, report, err, row.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case row.amiss == "" && len(report.Amiss) > 0, row.amiss != "" && !strings.Contains(strings.Join(report.Amiss, "\n"), row.amiss):
			t.Errorf("%s: amiss %q, want %q", name, report.Amiss, row.amiss)
		}
	}
}

// A transmitter's management of streams: what it was asked, in order.
func TestAStreamIsMadeChangedAndEnded(t *testing.T) {
	tr := newTransmitter(t)
	made := tr.streams
	tr.streams = nil
	r, _ := tr.receive(t, Signals{Push: "/signals", Token: "stream-token", AuthorizationHeader: "Bearer shown"})
	ctx := context.Background()
	if err := r.Create(ctx, "https://api.example.com/signals"); err != nil {
		t.Fatal(err)
	}
	made[0]["delivery"] = map[string]any{"method": methodPush, "endpoint_url": "https://api.example.com/signals"}
	tr.streams = made
	if err := r.Create(ctx, "https://api.example.com/signals"); err == nil || !strings.Contains(err.Error(), "update") {
		t.Errorf("a second one: %v", err)
	}
	for _, do := range []func() error{
		func() error { return r.Update(ctx, "https://api.example.com/signals") },
		func() error { return r.SetStatus(ctx, "paused") },
		func() error { return r.Verify(ctx) },
		func() error { return r.Delete(ctx) },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	var told []string
	for _, one := range tr.managed {
		told = append(told, one.what)
	}
	if got, want := strings.Join(told, ", "), "POST /streams, PATCH /streams, POST /status, DELETE /streams?stream_id=stream-1"; got != want {
		t.Fatalf("asked %s; want %s", got, want)
	}
	var wanted struct {
		Delivery map[string]string `json:"delivery"`
		Events   []string          `json:"events_requested"`
	}
	if err := json.Unmarshal(tr.managed[0].body, &wanted); err != nil || wanted.Delivery["method"] != methodPush ||
		wanted.Delivery["endpoint_url"] != "https://api.example.com/signals" || wanted.Delivery["authorization_header"] != "Bearer shown" || len(wanted.Events) < 10 {
		t.Errorf("%s, %v", tr.managed[0].body, err)
	}
}

// Keycloak 26.7.3 forgets the endpoint_url of its own when it is told a delivery
// without one: nothing could be polled any more.
func TestAStreamThatIsPolledIsChangedWithoutADelivery(t *testing.T) {
	tr := newTransmitter(t)
	r, _ := tr.receive(t, Signals{Poll: true, Token: "stream-token"})
	if err := r.Update(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if body := string(tr.managed[0].body); strings.Contains(body, "delivery") || !strings.Contains(body, `"stream_id":"stream-1"`) {
		t.Error(body)
	}
}

func TestAnAccessTokenThatIsNotTakenIsReplacedOnce(t *testing.T) {
	tr := newTransmitter(t)
	tr.access = "second"
	r, _ := tr.receive(t, Signals{Push: "/signals", Stream: "stream-1"})
	asked := 0
	r.access = granting(func() string { asked++; return [...]string{"first", "second", "third"}[asked-1] })
	for range 2 {
		if _, err := r.Describe(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 2 {
		t.Errorf("asked for %d access tokens", asked)
	}
}
