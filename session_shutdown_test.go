package caddyoauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// slyStore is a memory whose opening and writing a test can get between. Its
// rows outlive a vault.
type slyStore struct{}

var sly struct {
	sync.Mutex
	rows   *session.Memory
	write  func() // before each compare-and-swap
	open   func() error
	opened atomic.Int32
}

type slyRows struct{ *session.Memory }

func (s slyRows) CompareAndSwap(ctx context.Context, old session.Version, next session.Row) error {
	sly.Lock()
	write := sly.write
	sly.Unlock()
	if write != nil {
		write()
	}
	return s.Memory.CompareAndSwap(ctx, old, next)
}

func init() { caddy.RegisterModule(new(slyStore)) }

func (*slyStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.oauth.stores.sly", New: func() caddy.Module { return new(slyStore) }}
}
func (*slyStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }
func (*slyStore) Identity() string                                { return "sly" }
func (*slyStore) Shared() bool                                    { return false }
func (*slyStore) Open(context.Context) (session.Store, func() error, error) {
	sly.opened.Add(1)
	sly.Lock()
	open := sly.open
	sly.Unlock()
	if open != nil {
		if err := open(); err != nil {
			return nil, nil, err
		}
	}
	return slyRows{sly.rows}, func() error { return nil }, nil
}

const slyEndpoint = `token_endpoint /auth {
	grant_types authorization_code client_credentials refresh_token
	public_clients phone
}
session {
	store sly
}`

func newSly(t *testing.T, write func(), open func() error) {
	sly.Lock()
	defer sly.Unlock()
	sly.rows, sly.write, sly.open = session.NewMemory(time.Now), write, open
	sly.opened.Store(0)
	t.Cleanup(func() {
		sly.Lock()
		defer sly.Unlock()
		sly.write, sly.open = nil, nil
	})
}

func ofPhone(g *gate) string {
	return g.answer(g.post("/auth", "grant_type=authorization_code&code=c&code_verifier=v&client_id=phone")).AccessToken
}

func rowOf(t *testing.T, text string) session.Row {
	handle, _ := session.ParseHandle(credential.AccessPrefix, text)
	row, err := sly.rows.Load(t.Context(), handle.Key())
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestAShutdownLetsARefreshUnderWayLand(t *testing.T) {
	reached, hold := make(chan struct{}), make(chan struct{})
	var first sync.Once
	newSly(t, nil, nil)
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, slyEndpoint)
	tok := ofPhone(g)
	g.skip(280 * time.Second) // due: it is refreshed in the background
	issuer.take()
	sly.Lock()
	sly.write = func() { first.Do(func() { close(reached); <-hold }) }
	sly.Unlock()
	g.get(tok)
	<-reached // the intent is about to be written
	gone := make(chan struct{})
	go func() { _ = g.Gateway.Cleanup(); close(gone) }()
	await(t, "the vault to be closed", func() bool {
		return !slices.ContainsFunc(grants.States(), func(s grants.State) bool { return s.Store == "sly" })
	})
	close(hold)
	<-gone
	if row := rowOf(t, tok); row.Dead || row.Generation != 2 || row.Intent.Open {
		t.Errorf("the grant after the shutdown: %+v", row)
	}
	if n := len(issuer.take()); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// To another client the issuer refuses what it granted to the first.
func TestOnlyTheClientThatBeganAGrantRefreshesIt(t *testing.T) {
	newSly(t, nil, nil)
	issuer := newGrantor(t, nil)
	one := newGate(t, issuer, slyEndpoint)
	tok := ofPhone(one)
	other := rawGate(t, fmt.Sprintf(`oauth {
		issuer %s {
			audience api
			client other other-secret
		}
		session {
			store sly
			refresh_wait 1s
		}
	}`, issuer.URL), &issuer.clock)
	other.clock = &issuer.clock
	issuer.take()
	one.skip(301 * time.Second)
	if status, _ := one.get(tok); status != http.StatusOK {
		t.Errorf("with both there: %d", status)
	}
	for _, q := range issuer.take() {
		if q.client() != "gateway" {
			t.Errorf("refreshed as %s", q.client())
		}
	}
	_ = one.Gateway.Cleanup()
	issuer.take()
	other.skip(301 * time.Second)
	if status, _ := other.get(tok); status != http.StatusServiceUnavailable {
		t.Errorf("with the other alone: %d", status)
	}
	if asked := issuer.take(); len(asked) > 0 || rowOf(t, tok).Dead {
		t.Errorf("the other client presented it: %v", asked)
	}
}

func TestAClientWhoseRequestsTheIssuerRefusesOpensNoBreakerForOthers(t *testing.T) {
	for _, answer := range []string{"400 invalid_scope", "429 slow_down"} {
		newSly(t, nil, nil)
		issuer := newGrantor(t, nil)
		g := newGate(t, issuer, slyEndpoint)
		var bad []string
		for range 8 {
			bad = append(bad, g.token("mallory").AccessToken)
		}
		good := g.token("good").AccessToken
		issuer.reply(func(w http.ResponseWriter, q *asked) {
			if q.client() != "mallory" {
				issuer.grant(w, q)
				return
			}
			status, code, _ := strings.Cut(answer, " ")
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(map[string]int{"400": 400, "429": 429}[status])
			_, _ = io.WriteString(w, `{"error":"`+code+`"}`)
		})
		g.skip(280 * time.Second) // due
		for _, tok := range bad {
			g.get(tok)
		}
		issuer.take()
		await(t, "the refusals to have come", func() bool {
			for _, tok := range bad {
				if row := rowOf(t, tok); row.Fails == 0 && !row.Dead { // some are a definite no
					return false
				}
			}
			return true
		})
		s, err := g.keeper.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if open := s.Breakers(); len(open) > 0 {
			t.Errorf("%s: breakers are open: %v", answer, open)
		}
		g.skip(21 * time.Second)
		if status, _ := g.get(good); status != http.StatusOK {
			t.Errorf("%s: the other client gets %d", answer, status)
		}
		_ = g.Gateway.Cleanup()
	}
}

// Those who waited while opening failed do not try one after the other.
func TestAStoreThatFailsSlowlyIsTriedOnceForAllWhoWait(t *testing.T) {
	hold := make(chan struct{})
	newSly(t, nil, func() error { <-hold; return errors.New("no disk") })
	g := newGate(t, newGrantor(t, nil), slyEndpoint)
	failures := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := g.keeper.Open(t.Context())
			failures <- err
		}()
	}
	await(t, "it to be tried", func() bool { return sly.opened.Load() == 1 })
	close(hold)
	for range 8 {
		if _, down := errors.AsType[*session.Unavailable](<-failures); !down {
			t.Error("a store that does not open is no verdict")
		}
	}
	if n := sly.opened.Load(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}
