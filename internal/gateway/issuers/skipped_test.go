package issuers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

const leftOut = "left a key of the issuer out"

func TestTheLogNamesEachKeyThatIsLeftOutAlsoWhenNoneIsLeft(t *testing.T) {
	core, logs := logtest.New(zap.WarnLevel)
	tell := observer(zap.New(core), "https://issuer.example")
	_, skipped, err := token.ParseKeySet([]byte(`{"keys":[{"kty":"oct","kid":"a"},{"kty":"RSA","kid":"b","use":"other"},{"kty":"RSA","kid":"for-others","use":"enc"}]}`))
	for range 3 { // the fetch is tried each second
		tell(as.Event{Op: as.OpFetch, Err: err, Skipped: skipped})
	}
	told := logs.FilterMessage(leftOut).All()
	// One for encryption is none that should be here: many sets have one.
	if len(told) != 2 || told[0].ContextMap()["kid"] != "a" || told[1].ContextMap()["kid"] != "b" {
		t.Errorf("told %+v", told)
	}
	tell(as.Event{Op: as.OpFetch, Err: errors.New("connection refused")})
	tell(as.Event{Op: as.OpFetch, Changed: true, Keys: 1, Skipped: skipped[:1]})
	if told := logs.FilterMessage(leftOut).All(); len(told) != 3 {
		t.Errorf("told %d times, want once more, of what is left out of the set in force", len(told))
	}
}

func TestTheLogNamesEachKeyThatIsLeftOutOfAFile(t *testing.T) {
	good, err := os.ReadFile("../../../testdata/keys/issuer.jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	doc := strings.Replace("\ufeff"+string(good), `"keys": [`, `"keys": [{"kty":"oct","kid":"shared"},`, 1)
	if doc == "\ufeff"+string(good) {
		t.Fatal("the file is another one now")
	}
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	core, logs := logtest.New(zap.WarnLevel)
	ctx, err := caddy.ProvisionContext(&caddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	issuer := &Issuer{URL: []string{"https://issuer.example"}, Audience: []string{"api"}, JWKS: file}
	_, release, err := Open(ctx, caddy.NewReplacer(), []*Issuer{issuer}, Options{Log: zap.New(core)})
	for _, done := range release {
		defer done()
	}
	told := logs.FilterMessage(leftOut).All()
	if err != nil || len(told) != 1 || told[0].ContextMap()["kid"] != "shared" || told[0].ContextMap()["file"] != file {
		t.Errorf("%v, told %+v", err, told)
	}
}

func TestTheLogTellsWhereDocumentsContradictEachOther(t *testing.T) {
	core, logs := logtest.New(zap.WarnLevel)
	observer(zap.New(core), "https://issuer.example")(as.Event{Op: as.OpContradiction, Differ: []string{"token_endpoint is …"}})
	if told := logs.All(); len(told) != 1 || !strings.Contains(told[0].Message, "contradict") || told[0].ContextMap()["issuer"] != "https://issuer.example" {
		t.Errorf("%+v", told)
	}
}
