package as

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Storage keeps the last good keys over a restart. Caddy's own storage fits.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
}

// Env is what a configuration lends to a server that outlives it.
type Env struct {
	Storage Storage
	Observe func(Event)
}

// What an Event is about.
const (
	OpFetch    = "fetch"    // of metadata and keys
	OpMetadata = "metadata" // of those alone, where the keys are elsewhere
	OpRestore  = "restore"  // of keys from the storage
	OpStore    = "store"    // of keys in the storage

	OpContradiction = "contradiction" // of two documents of metadata

	OpStatusList = "status list" // of a list of statuses
)

// Event is something an operator may want to know.
type Event struct {
	Op      string
	Err     error
	Keys    int             // usable ones
	Skipped []token.Skipped // those that are not
	Changed bool            // the key document differs from the last one
	Added   []token.KeyInfo // keys that were not in force before, unless there were none
	Removed []token.KeyInfo // keys that are in force no more
	Held    bool            // of a fetch that failed: there are keys all the same
	List    string          // its address, of a list of statuses
	Differ  []string        // where two documents of metadata contradict each other
	Turned  bool            // of a fetch: the first failure, or the first success after failures
	Took    time.Duration
}

// Attach gives the server env to work in until detach is called. The one attached last
// counts, so that after a reload the new configuration's logger and storage
// are used, and after a failed one the old one's are again.
func (s *Server) Attach(env Env) (detach func()) {
	attached := &env
	s.mu.Lock()
	defer s.mu.Unlock()
	s.envs = append(s.envs, attached)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.envs = slices.DeleteFunc(s.envs, func(e *Env) bool { return e == attached })
	}
}

func (s *Server) env() Env {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.envs) == 0 {
		return Env{}
	}
	return *s.envs[len(s.envs)-1]
}

func (s *Server) observe(e Event) {
	if observe := s.env().Observe; observe != nil {
		observe(e)
	}
}

// storedKeys is the form in the storage.
type storedKeys struct {
	Issuer  string          `json:"issuer"`
	Fetched time.Time       `json:"fetched"`
	JWKS    json.RawMessage `json:"jwks"`
	Named   []string        `json:"algorithms,omitempty"` // by the metadata, for keys that name none
}

// restore puts stored keys in force until the first fetch answers, so that a
// restart during an outage of the issuer is none of the gateway.
func (s *Server) restore() bool {
	storage := s.env().Storage
	if storage == nil || s.cfg.StoreAs == "" {
		return false
	}
	var data []byte
	err := s.bounded(s.ctx, func(ctx context.Context) (err error) {
		data, err = storage.Load(ctx, s.cfg.StoreAs)
		return err
	})
	if err != nil {
		return false // nothing stored yet, or a storage that is down: fetching decides
	}
	kept, err := s.readStored(data)
	if err != nil {
		s.observe(Event{Op: OpRestore, Err: err})
		return false
	}
	set, skipped, err := token.ParseKeySet(kept.JWKS, kept.Named...)
	s.observe(Event{Op: OpRestore, Err: err, Keys: set.Len(), Skipped: skipped})
	if err != nil {
		return false
	}
	s.restored = true
	s.put(set, kept.Fetched)
	return true
}

func (s *Server) readStored(data []byte) (kept storedKeys, err error) {
	if err := json.Unmarshal(data, &kept); err != nil {
		return kept, fmt.Errorf("reading the stored keys: %w", err)
	}
	if kept.Issuer != s.cfg.Issuer {
		return kept, fmt.Errorf("the stored keys are those of %.200q", kept.Issuer)
	}
	if age := s.cfg.Now().Sub(kept.Fetched); age >= keepStored || age < 0 {
		return kept, errTooOld
	}
	return kept, nil
}

// store keeps a good document. An unchanged one is written again only now and
// then, for its time. A server that closes does not give up a write: see Close.
func (s *Server) store(storage Storage, doc []byte, changed bool, fetched time.Time) {
	if storage == nil || s.cfg.StoreAs == "" || (!changed && fetched.Sub(s.stored) < storeAgain) {
		return
	}
	data, err := json.Marshal(storedKeys{Issuer: s.cfg.Issuer, Fetched: fetched, JWKS: doc, Named: s.named})
	if err == nil {
		err = s.bounded(context.WithoutCancel(s.ctx), func(ctx context.Context) error { return storage.Store(ctx, s.cfg.StoreAs, data) })
	}
	if err == nil {
		s.stored = fetched
		return
	}
	s.observe(Event{Op: OpStore, Err: err})
}

// bounded gives the storage the time of one attempt. One that does not heed its
// context, as a file system that hangs, is left behind: it must not keep the
// loop from fetching. It is not asked again before it has come back.
func (s *Server) bounded(ctx context.Context, ask func(context.Context) error) error {
	return bounded(ctx, &s.storing, ask)
}

// bounded is that for one kind of document. busy: it is being asked.
func bounded(ctx context.Context, busy *atomic.Bool, ask func(context.Context) error) error {
	if !busy.CompareAndSwap(false, true) {
		return errStorage
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := ask(ctx)
		busy.Store(false)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
