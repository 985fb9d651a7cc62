package as

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of the lists of statuses that are stored: larger ones are fetched anew
// after a restart. They stand in one document, so that those that no token names any
// more go with the next write.
const (
	mostStoredList  = 1 << 20 // bytes, as a JWT
	mostStoredLists = 8 << 20 // of all
	storeListsEach  = 10 * time.Second
)

// storedLists are the lists of an issuer in the storage. They are proved again when
// they are read: who writes to the storage takes nobody back, and lets nobody in.
type storedLists struct {
	Issuer string       `json:"issuer"`
	Lists  []storedList `json:"lists"`
}

type storedList struct {
	Address string    `json:"address"`
	Fetched time.Time `json:"fetched"`
	JWT     string    `json:"jwt"`
}

// statusStore is what is known of the storage.
type statusStore struct {
	asked atomic.Bool // the storage is being asked
	once  sync.Once   // reads what an earlier process has stored
	found map[string]storedList

	mu      sync.Mutex // held by who writes
	wrote   time.Time
	pending Storage // a write there is to come; nil: none is
}

func (s *Server) storesListsAs() string {
	if s.cfg.StoreAs == "" {
		return ""
	}
	return strings.TrimSuffix(s.cfg.StoreAs, ".json") + "-status-lists.json"
}

// restoreStatuses finds a list that an earlier process has stored, and proves it; nil:
// there is none of any use. It counts where the first fetch fails.
func (s *Server) restoreStatuses(address string) *heldStatuses {
	store := &s.statuses.stored
	store.once.Do(func() { store.found = s.readStoredLists() })
	one, has := store.found[address]
	now := s.cfg.Now()
	if age := now.Sub(one.Fetched); !has || age < 0 || age >= keepStored {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, statusAttempt)
	defer cancel()
	lists := s.listProfile()
	list, err := lists.Read(ctx, one.JWT, address, now)
	if err != nil {
		s.observe(Event{Op: OpRestore, Err: err, List: address})
		return nil
	}
	return holdStatuses(list, one.JWT, one.Fetched)
}

func (s *Server) readStoredLists() map[string]storedList {
	storage := s.env().Storage
	if storage == nil || s.storesListsAs() == "" {
		return nil
	}
	var data []byte
	if err := bounded(s.ctx, &s.statuses.stored.asked, func(ctx context.Context) (err error) {
		data, err = storage.Load(ctx, s.storesListsAs())
		return err
	}); err != nil {
		return nil // nothing stored yet, or a storage that is down: fetching decides
	}
	var kept storedLists
	if err := json.Unmarshal(data, &kept); err != nil || kept.Issuer != s.cfg.Issuer {
		return nil
	}
	found := map[string]storedList{}
	for _, one := range kept.Lists {
		found[one.Address] = one
	}
	return found
}

// storeStatuses writes the lists that are in force, soon.
func (s *Server) storeStatuses() {
	storage, store := s.env().Storage, &s.statuses.stored
	if storage == nil || s.storesListsAs() == "" {
		return
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	if store.pending != nil {
		store.pending = storage
		return
	}
	wait := storeListsEach - s.cfg.Now().Sub(store.wrote)
	if wait <= 0 || wait > storeListsEach {
		s.writeStatuses(storage)
		return
	}
	store.pending = storage
	time.AfterFunc(wait, s.flushStatuses)
}

// flushStatuses writes what is to be written.
func (s *Server) flushStatuses() {
	store := &s.statuses.stored
	store.mu.Lock()
	defer store.mu.Unlock()
	if storage := store.pending; storage != nil {
		store.pending = nil
		s.writeStatuses(storage)
	}
}

// writeStatuses is called with the store's lock held.
func (s *Server) writeStatuses(storage Storage) {
	store := &s.statuses.stored
	data, err := json.Marshal(storedLists{s.cfg.Issuer, s.listsToStore()})
	if err == nil {
		err = bounded(context.WithoutCancel(s.ctx), &store.asked, func(ctx context.Context) error { return storage.Store(ctx, s.storesListsAs(), data) })
	}
	if store.wrote = s.cfg.Now(); err != nil {
		s.observe(Event{Op: OpStore, Err: err})
	}
}

// listsToStore are those that were named last, as far as there is room.
func (s *Server) listsToStore() (all []storedList) {
	var used []*statusList
	if lists := s.statuses.all.Load(); lists != nil {
		for _, l := range *lists {
			used = append(used, l)
		}
	}
	slices.SortFunc(used, func(a, b *statusList) int { return int(b.used.Load() - a.used.Load()) })
	room := mostStoredLists
	for _, l := range used {
		if held := l.held.Load(); held != nil && held.raw != "" && len(held.raw) <= room {
			room -= len(held.raw)
			all = append(all, storedList{l.address, held.fetched, held.raw})
		}
	}
	return all
}

// StatusListState is how it stands with a list.
type StatusListState struct {
	Address string
	Tokens  int       // that it is about
	Fetched time.Time // zero: there is none
	Until   time.Time // when it says nothing any more
	Next    time.Time // when the next one is fetched
	Err     error     // why the last fetch failed; nil: it did not
}

// StatusLists are the lists that tokens have named not long ago, sorted.
func (s *Server) StatusLists() (all []StatusListState) {
	lists := s.statuses.all.Load()
	if lists == nil {
		return nil
	}
	for _, l := range *lists {
		state := StatusListState{Address: l.address}
		l.mu.Lock()
		state.Err, state.Next = l.err, l.next
		l.mu.Unlock()
		if held := l.held.Load(); held != nil {
			state.Tokens, state.Fetched, state.Until = held.Len(), held.fetched, held.until
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b StatusListState) int { return strings.Compare(a.Address, b.Address) })
	return all
}
