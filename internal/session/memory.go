package session

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a store for tests: of one process, and gone with it.
type Memory struct {
	now func() time.Time

	mu    sync.Mutex
	rows  map[Key]Row
	index memoryIndex
}

var (
	_ Store  = (*Memory)(nil)
	_ Finder = (*Memory)(nil)
	_ Pager  = (*Memory)(nil)
)

// NewMemory is an empty store with the clock now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, rows: map[Key]Row{}, index: newMemoryIndex()}
}

func own(row Row) Row {
	row.Sealed, row.Note = slices.Clone(row.Sealed), slices.Clone(row.Note)
	return row
}

// Load reads a row.
func (m *Memory) Load(ctx context.Context, key Key) (Row, error) {
	if err := ctx.Err(); err != nil {
		return Row{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.live(key)
	if !ok {
		return Row{}, ErrNotFound
	}
	return own(row), nil
}

// live is called with the lock held.
func (m *Memory) live(key Key) (Row, bool) {
	row, ok := m.rows[key]
	if ok && m.now().After(row.Until) {
		m.put(&row, nil)
		return Row{}, false
	}
	return row, ok
}

// put replaces a row, none by nil or nil by none, with the lock held.
func (m *Memory) put(old, next *Row) {
	m.index.moved(old, next)
	if next == nil {
		delete(m.rows, old.Key)
		return
	}
	m.rows[next.Key] = own(*next)
}

// Create writes a new row.
func (m *Memory) Create(ctx context.Context, row Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.live(row.Key); ok {
		return ErrExists
	}
	m.put(nil, &row)
	return nil
}

// CompareAndSwap replaces a row.
func (m *Memory) CompareAndSwap(ctx context.Context, old Version, next Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.live(next.Key)
	if !ok {
		return ErrNotFound
	}
	if row.Version() != old {
		return ErrConflict
	}
	m.put(&row, &next)
	return nil
}

// Delete forgets a row.
func (m *Memory) Delete(ctx context.Context, key Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if row, ok := m.rows[key]; ok {
		m.put(&row, nil)
	}
	return nil
}

// Each shows the rows there were when it was called.
func (m *Memory) Each(ctx context.Context, visit func(Row) bool) error {
	m.mu.Lock()
	for _, row := range m.rows {
		if m.now().After(row.Until) {
			m.put(&row, nil)
		}
	}
	rows := slices.Collect(maps.Values(m.rows))
	m.mu.Unlock()
	for _, row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !m.now().After(row.Until) && !visit(own(row)) {
			return nil
		}
	}
	return nil
}

// Now is the clock it was made with.
func (m *Memory) Now(ctx context.Context) (time.Time, error) { return m.now(), ctx.Err() }
