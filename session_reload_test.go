package caddyoauth

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
)

const (
	firstKey  = "the-first-key-the-first-key-the-first"
	secondKey = "the-second-key-the-second-key-the-second"
)

func TestAReloadAppliesItsSettingsToTheOpenStore(t *testing.T) {
	h := newDeployment(t)
	h.start("")
	tok := h.token()
	if tok.ExpiresIn < 43_000 {
		t.Errorf("expires in %d, want twelve hours", tok.ExpiresIn)
	}
	h.start("max 10m")
	h.want("after a reload", tok, 200)
	if next := h.token(); next.ExpiresIn > 600 || next.ExpiresIn < 590 {
		t.Errorf("a new grant expires in %d, want ten minutes", next.ExpiresIn)
	}
	h.start("idle 1ms")
	h.want("idle for more than a millisecond", tok, 401)
}

func TestKeysRotateUnderLiveGrants(t *testing.T) {
	h := newDeployment(t)
	h.start("keys " + firstKey)
	old := h.token()
	h.start("keys " + secondKey + " " + firstKey)
	h.want("with the new key first", old, 200)
	young := h.token()
	h.skip(accessLife) // renewing seals anew
	h.want("renewed", old, 200)
	h.start("keys " + secondKey)
	h.want("sealed anew, without the old key", old, 200)
	h.want("sealed with the new key, without the old one", young, 200)
	h.stop()
	h.start("keys " + secondKey)
	h.want("sealed anew, after a restart", old, 200)
	h.want("sealed with the new key, after a restart", young, 200)
	h.stop()
	h.start("keys " + strings.Repeat("x", 40))
	h.want("with no key that opens it: a failure, and no verdict", old, 503)
}

func TestAReloadThatFailsLeavesTheOldSettings(t *testing.T) {
	h := newDeployment(t)
	h.start("keys " + firstKey)
	old := h.token()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, broken := range map[string]string{
		"a port that is taken":       h.config("keys "+secondKey+"\nidle 1ms\nmax 1s") + fmt.Sprintf("http://%s {\nrespond hi\n}\n", taken.Addr()),
		"an issuer that is not told": strings.Replace(h.config("keys "+secondKey+"\nidle 1ms\nmax 1s"), "respond", "oauth {env.SURELY_NOT_SET_HERE} api\nrespond", 1),
	} {
		doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(broken), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Load(doc, true); err == nil {
			t.Fatal(name, ": it loads")
		}
		h.want(name, old, 200)
		if next := h.token(); next.ExpiresIn < 43_000 {
			t.Errorf("%s: a new grant expires in %d", name, next.ExpiresIn)
		}
	}
	young := h.token()
	h.stop()
	h.start("keys " + firstKey)
	h.want("an old grant, with the first key alone", old, 200)
	h.want("a grant made after the failures, with the first key alone", young, 200)
}

func TestTheKeyringOfASingleNodeIsMadeOnceAndKept(t *testing.T) {
	h := newDeployment(t)
	const name = "storage/oauth/keyring.json"
	h.start("")
	tok := h.token()
	first, err := os.ReadFile(h.path(name))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(h.path(name)); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	for range 2 {
		h.start("idle 2h")
		h.stop()
		h.start("")
		h.want("after a restart", tok, 200)
	}
	if again, err := os.ReadFile(h.path(name)); err != nil || string(again) != string(first) {
		t.Error("the keyring has changed: ", err)
	}
	h.start("keys " + firstKey)
	h.want("after a reload with keys", tok, 200)
	h.stop()
	h.start("keys " + firstKey)
	h.want("after a restart with keys: the stored one still opens", tok, 200)
	young := h.token()
	h.stop()
	if err := os.Remove(h.path(name)); err != nil {
		t.Fatal(err)
	}
	h.start("keys " + firstKey)
	h.want("sealed with the configured key, without the stored one", young, 200)
	h.want("sealed with the stored key, without it: a failure, and no verdict", tok, 503)
	if _, err := os.Stat(h.path(name)); err == nil {
		t.Error("a keyring was made that nobody needs")
	}
}

// A lost keyring means lost grants. Making another one over a damaged one would
// lose them for good.
func TestADamagedKeyringIsAFailureAndStaysAsItIs(t *testing.T) {
	h := newDeployment(t)
	h.start("")
	tok := h.token()
	h.stop()
	const name = "storage/oauth/keyring.json"
	good, err := os.ReadFile(h.path(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), good[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	h.start("")
	status, header, _ := h.ask(http.MethodGet, "/", "", "Authorization", "Bearer "+tok.AccessToken)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", status, header)
	}
	if now, _ := os.ReadFile(h.path(name)); string(now) != string(good[:10]) {
		t.Error("it was written over")
	}
	if !strings.Contains(h.log(), "oauth/keyring.json holds no keyring") {
		t.Error("no log line names the file")
	}
	if err := os.WriteFile(h.path(name), good, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the keyring to be taken again", func() bool { return h.status(tok) == 200 })
}

func TestTwoSitesShareOneStore(t *testing.T) {
	h := newDeployment(t)
	other, port, last := newGrantor(t, nil), freePort(t), freePort(t)
	second := fmt.Sprintf("http://127.0.0.1:%d {\noauth {\nissuer %s %s {\naudience api\n}\nsession {\nstore bolt %s\n}\n}\nrespond two\n}\n", port, h.issuer.URL, other.URL, h.path("grants.db"))
	third := strings.NewReplacer(fmt.Sprint(port), fmt.Sprint(last), h.issuer.URL+" ", "").Replace(second)
	load(t, h.config("")+second+third)
	tok := h.token()
	here := h.port
	h.want("where it was given", tok, 200)
	h.port = port
	h.want("at a site with the same store and issuer", tok, 200)
	h.port = last
	for range 3 {
		h.want("at a site of another issuer", tok, 401)
	}
	h.port = here
	h.want("where it was given, afterwards", tok, 200)
	if n := len(h.issuer.take()); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestAGrantOfAnIssuerThatIsConfiguredNoMoreEndsWithALogLine(t *testing.T) {
	h := newDeployment(t)
	h.start("")
	tok := h.token()
	mine := h.issuer
	h.issuer = newGrantor(t, nil)
	h.start("")
	h.want("without its issuer", tok, 401)
	if log := h.log(); !strings.Contains(log, "its issuer is not configured any more") || !strings.Contains(log, `"sref":"`) || strings.Contains(log, tok.AccessToken[10:40]) {
		t.Error("no log line about it, or too much of one")
	}
	h.issuer = mine
	h.start("")
	h.want("with its issuer again: it has ended", tok, 401)
	if n := len(mine.take()); n != 1 {
		t.Errorf("its issuer was asked %d times", n)
	}
}

func TestReloadsWithLiveGrantsLeakNothing(t *testing.T) {
	h := newDeployment(t)
	quiet := func(words string) string {
		return strings.Replace(h.config(words), fmt.Sprintf("output file %s {\n\t\t\troll_disabled\n\t\t}", h.path("log")), "output discard", 1)
	}
	load(t, quiet(""))
	h.want("", h.token(), 200)
	h.stop()
	load(t, quiet("")) // what starts once and lasts has started now
	h.want("", h.token(), 200)
	h.stop()
	await(t, "the first configuration to be gone", func() bool { return !held(h.path("grants.db")) })
	base := runtime.NumGoroutine()
	for n := range 5 {
		load(t, quiet(fmt.Sprintf("idle %dh", n+1)))
		tok := h.token()
		h.want("", tok, 200)
		h.skip(accessLife)
		h.want("renewed", tok, 200)
		load(t, quiet(fmt.Sprintf("max %dh", n+1)))
		h.want("reloaded", tok, 200)
		h.stop()
	}
	await(t, "goroutines to return to the baseline", func() bool { return runtime.NumGoroutine() <= base+2 })
	for _, v := range grants.States() {
		t.Errorf("the vault %s is still held", v.Store)
	}
}

// held reports whether some vault of this process has the file.
func held(path string) bool {
	return slices.ContainsFunc(grants.States(), func(s grants.State) bool { return s.Store == "bolt "+path })
}
