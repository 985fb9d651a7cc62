package e2e

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// handover is how a client asks a Caddy that is reloaded meanwhile.
//
// Each generation of Caddy has a listener of its own at the same address, and
// the kernel shares new connections out among them. What the old one has not
// accepted when it closes is cut off with it, with or without the gateway in the
// site: no handler has seen the request. Browsers and proxies ask again then,
// and so does this. Go's client does it only on a connection that it has used
// before. Whether really no handler has seen such a request, wantUnseen checks.
type handover struct {
	http.RoundTripper

	mu  sync.Mutex
	cut []string // the attempts that were cut off
}

// attempt is the request header with each attempt's own name.
const attempt = "X-Attempt"

// newHandover makes a client with such a transport.
func newHandover(limit time.Duration) (*http.Client, *handover) {
	client := newClient(limit)
	h := &handover{RoundTripper: client.Transport}
	client.Transport = h
	return client, h
}

func (h *handover) RoundTrip(req *http.Request) (*http.Response, error) {
	for again := 3; ; again-- {
		name := rand.Text()
		each := req.Clone(req.Context())
		each.Header.Set(attempt, name)
		resp, err := h.RoundTripper.RoundTrip(each)
		// Only what has no body can be sent once more. A refused connection is none
		// that was cut off: then nothing listens, which a reload has to spare everyone.
		if again == 0 || req.Body != nil || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			return resp, err
		}
		h.mu.Lock()
		h.cut = append(h.cut, name)
		h.mu.Unlock()
	}
}

// CloseIdleConnections is for http.Client, which looks for a method of this name.
func (h *handover) CloseIdleConnections() {
	h.RoundTripper.(*http.Transport).CloseIdleConnections()
}

// brokenOff answers the attempts that a handler had, and broke off: those that were
// cut off though the access log has a line for them, and those that it has two
// for, since Go's client asks again by itself on a connection in use.
func (h *handover) brokenOff(g *gateway) []string {
	times := map[string]int{}
	for line := range strings.Lines(g.proc.out.String()) {
		var entry struct {
			Logger  string
			Request struct{ Headers http.Header }
		}
		if json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Logger, "http.log.access") {
			times[entry.Request.Headers.Get(attempt)]++
		}
	}
	delete(times, "") // other clients
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.cut {
		times[name]++
	}
	var broken []string
	for name, n := range times {
		if n > 1 {
			broken = append(broken, name)
		}
	}
	return broken
}

// wantUnseen checks that no handler had any of the requests that were cut off.
func (h *handover) wantUnseen(t *testing.T, g *gateway) {
	t.Helper()
	if broken := h.brokenOff(g); len(broken) > 0 {
		t.Errorf("%d requests were broken off after a handler had them: %.500s", len(broken), lineWith(g.proc.out.String(), broken[0]))
	}
	if len(h.cut) > 0 {
		t.Logf("%d requests were asked again, cut off with the old listener", len(h.cut))
	}
}

// A handler that breaks off is not taken for a listener that closes.
func TestTheHandoverTellsWhatAHandlerBrokeOffFromWhatNoneHasSeen(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.serve(g.site(g.port, "@broken path /broken\n\tabort @broken", startUpstream(t)))
	client, h := newHandover(10 * time.Second)
	if a, err := try(client, g.url("/"), ""); err != nil || a.status != http.StatusOK || len(h.cut) != 0 {
		t.Fatalf("%d %v, %d cut off", a.status, err, len(h.cut))
	}
	if _, err := try(client, g.url("/broken"), ""); err == nil {
		t.Error("an aborted request has an answer")
	}
	await(t, 5*time.Second, "the log to have the request", func() bool { return len(h.brokenOff(g)) > 0 })
}
