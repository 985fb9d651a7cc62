package caddyoauth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"

	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
)

func TestTheDoctorLooksAtTheStoreOfGrants(t *testing.T) {
	issuer := newGrantor(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	site := func(store string) string {
		return fmt.Sprintf("oauth %s api {\ntoken_endpoint /token\nsession {\nstore %s\n}\n}", issuer.URL, store)
	}
	examined(t, site("bolt "+filepath.Join(dir, "grants.db"))).wants(t, "ok store: grants.db can be written")
	examined(t, site("bolt "+filepath.Join(file, "grants.db"))).wants(t, "fail store: correct the path")
	examined(t, site("bolt {env.NOT_SET_ANYWHERE}")).wants(t, "fail config: NOT_SET_ANYWHERE")
	for _, one := range examined(t, site("memory")).Findings {
		if strings.HasPrefix(one.Check, "store") {
			t.Errorf("memory: %+v", one)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

// sharedStore is one that other nodes use as well.
type sharedStore struct{ stores.MemoryStore }

func init() { caddy.RegisterModule(new(sharedStore)) }

func (*sharedStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.oauth.stores.for_many", New: func() caddy.Module { return new(sharedStore) }}
}

func (*sharedStore) Identity() string { return "for_many" }
func (*sharedStore) Shared() bool     { return true }

func (*sharedStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nil }

func TestTheDoctorFindsKeysThatTheGatewayWouldNotStartWith(t *testing.T) {
	issuer := newGrantor(t, nil)
	site := func(words string) string {
		return fmt.Sprintf("oauth %s api {\ntoken_endpoint /token\nsession {\n%s\n}\n}", issuer.URL, words)
	}
	examined(t, site("store for_many")).wants(t, "fail config: a store that many nodes share needs keys")
	examined(t, site("store memory\nkeys short")).wants(t, "fail config: key 1 has 5 characters")
	examined(t, site("store memory\nkeys {env.NOT_SET_ANYWHERE}")).wants(t, "fail config: NOT_SET_ANYWHERE")
	for _, one := range examined(t, site("store for_many\nkeys "+firstKey)).Findings {
		if one.Check == "config" {
			t.Errorf("%+v", one)
		}
	}
}

// Before the first client comes, the log names what is missing; once for all
// sites of the store.
func TestTheStartLooksAtTheStoreOfGrants(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint+"\nsession {\nstore bolt "+filepath.Join(file, "grants.db")+"\n}")
	core, logs := logtest.New(zap.DebugLevel)
	g.keeper.Log = zap.New(core)
	g.Gateway.start()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if all := logs.FilterMessage("looked at the store of grants").All(); len(all) > 0 {
			if line := all[0]; line.Level != zap.ErrorLevel || line.ContextMap()["check"] != "store" || !strings.Contains(fmt.Sprint(line.ContextMap()["do"]), "store bolt") {
				t.Errorf("%v %v", line.Level, line.ContextMap())
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("nobody looks")
		}
	}
}
