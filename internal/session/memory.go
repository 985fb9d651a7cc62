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

	mu   sync.Mutex
	rows map[Key]Row
}

var _ Store = (*Memory)(nil)

// NewMemory is an empty store with the clock now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, rows: map[Key]Row{}}
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
		delete(m.rows, key)
		return Row{}, false
	}
	return row, ok
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
	m.rows[row.Key] = own(row)
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
	m.rows[next.Key] = own(next)
	return nil
}

// Delete forgets a row.
func (m *Memory) Delete(ctx context.Context, key Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, key)
	return nil
}

// Each shows the rows there were when it was called.
func (m *Memory) Each(ctx context.Context, visit func(Row) bool) error {
	m.mu.Lock()
	maps.DeleteFunc(m.rows, func(_ Key, row Row) bool { return m.now().After(row.Until) })
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
