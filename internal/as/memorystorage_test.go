package as

import (
	"context"
	"io/fs"
	"sync"
)

// memory is a storage; load and store, when set, decide in its place.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	load   func(context.Context) ([]byte, error)
	store  func(context.Context) error
}

func (m *memory) Load(ctx context.Context, key string) ([]byte, error) {
	if m.load != nil {
		return m.load(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return value, nil
}

func (m *memory) Store(ctx context.Context, key string, value []byte) error {
	if m.store != nil {
		if err := m.store(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	m.values[key] = value
	m.writes++
	return nil
}

func (m *memory) kept(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.values[key])
}
