package caddyoauth

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/session/boltstore"
)

// tally is a bolt file that counts what is written.
type tally struct {
	path   string
	writes atomic.Int64
}

// tallies are those of this process, by their paths: a configuration names them.
var tallies sync.Map

func init() { caddy.RegisterModule(new(tallyStore)) }

type tallyStore struct {
	Path string `json:"path"`
	*tally
}

func (*tallyStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.oauth.stores.tally", New: func() caddy.Module { return new(tallyStore) }}
}

func (s *tallyStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.Args(&s.Path)
	return nil
}

func (s *tallyStore) Provision(caddy.Context) error {
	one, _ := tallies.LoadOrStore(s.Path, &tally{path: s.Path})
	s.tally = one.(*tally)
	return nil
}

func (s *tally) Identity() string { return "tally " + s.path }
func (*tally) Shared() bool       { return false }

func (s *tally) Open(context.Context) (session.Store, func() error, error) {
	db, err := boltstore.Open(s.path, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return &tallied{db, s}, db.Close, nil
}

type tallied struct {
	*boltstore.Store
	to *tally
}

func (s *tallied) Create(ctx context.Context, row session.Row) error {
	s.to.writes.Add(1)
	return s.Store.Create(ctx, row)
}

func (s *tallied) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	s.to.writes.Add(1)
	return s.Store.CompareAndSwap(ctx, old, next)
}

func (s *tallied) Delete(ctx context.Context, key session.Key) error {
	s.to.writes.Add(1)
	return s.Store.Delete(ctx, key)
}

// newCountingGate has a store that counts.
func newCountingGate(tb testing.TB, issuer *grantor) (*gate, *tally) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "grants.db")
	g := newGate(tb, issuer, publicEndpoint+"\nsession {\nstore tally "+path+"\n}")
	one, _ := tallies.Load(path)
	return g, one.(*tally)
}

// The intent is written before the issuer is asked and the pair before anything
// uses it: two writes and one call, for any number of requests.
func TestARenewalIsOneCallAndTwoDurableWrites(t *testing.T) {
	for name, ask := range map[string]func(g *gate) tokenAnswer{
		"refresh_token":      func(g *gate) tokenAnswer { return g.answer(g.post("/auth", codeForm)) },
		"client_credentials": func(g *gate) tokenAnswer { return g.token("orders") },
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, nil)
			g, store := newCountingGate(t, issuer)
			tok := ask(g)
			counts := func(what string, calls int, writes int64) {
				t.Helper()
				if c, w := len(issuer.take()), store.writes.Swap(0); c != calls || w != writes {
					t.Errorf("%s: %d calls and %d writes, want %d and %d", what, c, w, calls, writes)
				}
			}
			counts("getting a token", 1, 2) // the grant, and its refresh tokens
			g.get(tok.AccessToken)
			counts("a request with a live token", 0, 0)
			g.skip(accessLife)
			g.together(issuer, tok, 50)
			counts("50 requests with a token that ran out", 1, 2)
			g.get(tok.AccessToken)
			counts("one more afterwards", 0, 0)
		})
	}
}

// together sends requests at once; the issuer keeps them waiting until all have
// set out.
func (g *gate) together(issuer *grantor, tok tokenAnswer, requests int) {
	g.Helper()
	goOn := make(chan struct{})
	issuer.reply(func(w http.ResponseWriter, q *asked) {
		<-goOn
		issuer.grant(w, q)
	})
	defer issuer.reply(nil)
	codes := make(chan int, requests)
	var begun sync.WaitGroup
	begun.Add(requests)
	for range requests {
		go func() {
			begun.Done()
			codes <- g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok.AccessToken).Code
		}()
	}
	begun.Wait()
	close(goOn)
	for range requests {
		if status := <-codes; status != http.StatusOK {
			g.Errorf("%d while it is renewed", status)
		}
	}
}
