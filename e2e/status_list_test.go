package e2e

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// statusPlace has the status list of an issuer (Token Status List), of one bit for each
// token.
type statusPlace struct {
	*httptest.Server
	key signKey

	mu    sync.Mutex
	bits  byte
	down  bool
	asked int
}

func startStatusPlace(t *testing.T, key signKey) *statusPlace {
	t.Helper()
	p := &statusPlace{key: key}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *statusPlace) set(bits byte, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bits, p.down, p.asked = bits, down, 0
}

func (p *statusPlace) askedFor() int { p.mu.Lock(); defer p.mu.Unlock(); return p.asked }

func (p *statusPlace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked++; p.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write([]byte{p.bits})
	_ = z.Close()
	w.Header().Set("Content-Type", "application/statuslist+jwt")
	_, _ = w.Write([]byte(p.key.sign(map[string]any{
		"sub": p.URL + r.URL.Path, "iat": time.Now().Unix(), "ttl": 1, "status_list": map[string]any{"bits": 1, "lst": b64.EncodeToString(packed.Bytes())},
	}, map[string]any{"typ": "statuslist+jwt"})))
}

// A JWT is refused once its issuer's list takes it back; while the place of the list is
// down what was known goes on, and behind a restart, too.
func TestAStatusListTakesATokenBackAndIsKnownThroughOutagesAndRestarts(t *testing.T) {
	t.Parallel()
	f, up := startFakeIssuer(t), startUpstream(t)
	place := startStatusPlace(t, f.keys[0])
	g := newGateway(t)
	g.serve(fmt.Sprintf("http://127.0.0.1:%d {\n\toauth {\n\t\tissuer %s {\n\t\t\taudience %s\n\t\t\tstatus_lists %s\n\t\t}\n\t\tcopy_claims sub>X-User-Id\n\t}\n\treverse_proxy %s\n}\n", g.port, f.url, audience, place.URL, up.address()))
	token := func(index int) string {
		return f.token(map[string]any{"sub": fmt.Sprint("user-", index), "status": map[string]any{"status_list": map[string]any{"idx": index, "uri": place.URL + "/lists/1"}}})
	}
	first, second := token(1), token(2)
	g.bearer(first).wantPass(t, "user-1")
	g.bearer(second).wantPass(t, "user-2")

	place.set(0b010, false)
	await(t, 60*time.Second, "the list that takes the token back", func() bool { return g.bearer(first).status == http.StatusUnauthorized })
	g.bearer(first).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
	g.bearer(second).wantPass(t, "user-2")

	as := func(when string) {
		t.Helper()
		await(t, 60*time.Second, "the place to be asked in vain "+when, func() bool { return place.askedFor() > 0 })
		g.bearer(first).wantChallenge(t, http.StatusUnauthorized, "invalid_token")
		g.bearer(second).wantPass(t, "user-2")
		if said := g.adminGet("/oauth/issuers"); !strings.Contains(said, place.URL+"/lists/1") || !strings.Contains(said, `"good_until"`) {
			t.Errorf("%s: %s", when, said)
		}
	}
	place.set(0, true)
	as("while it is down")
	g.stop()
	<-g.proc.done
	place.set(0, true)
	g.start()
	g.bearer(second).wantPass(t, "user-2") // which asks for it
	as("behind a restart")
	if out, _, _ := g.command("oauth", "status", "--address", g.admin); !strings.Contains(out, "STATUS LISTS OF") || !strings.Contains(out, "503") {
		t.Errorf("the status says\n%s", out)
	}

	place.set(0, false)
	await(t, 60*time.Second, "the list that lets it in again", func() bool { return g.bearer(first).status == http.StatusOK })
}
