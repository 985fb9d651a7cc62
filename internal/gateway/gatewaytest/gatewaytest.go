// Package gatewaytest is what the tests of several rooms need, and what needs
// no gateway. It does not import the root, so that the tests inside a room can
// use it.
package gatewaytest

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage" // the storage of Context
)

// Context is a Caddy context with a storage of its own and no logs. It is
// cancelled when the test ends.
func Context(tb testing.TB) caddy.Context {
	tb.Helper()
	dir, err := os.MkdirTemp("", "caddy-oauth-test")
	if err != nil {
		tb.Fatal(err)
	}
	// Not tb.TempDir: keys may still be written while the test ends.
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	root, _ := json.Marshal(map[string]string{"module": "file_system", "root": dir})
	off := false
	parent, err := caddy.ProvisionContext(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		StorageRaw: root,
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
		}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(parent)
	tb.Cleanup(cancel)
	return ctx
}

// Await waits until ok, for a minute at most: a loaded machine takes its time.
func Await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between looks, so that others get the processor
	}
}
