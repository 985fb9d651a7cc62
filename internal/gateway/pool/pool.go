// Package pool holds what several sites share and what outlives a reload: keys,
// caches, open stores. Caddy's UsagePool counts who uses a value; a pool here
// has values of one type, made by constructors that cannot fail.
package pool

import "github.com/caddyserver/caddy/v2"

// Of is a pool of values of one type, each under the text that says what it
// is. There is one such pool of a kind in a process.
type Of[T caddy.Destructor] struct{ values *caddy.UsagePool }

// New makes a pool.
func New[T caddy.Destructor]() Of[T] { return Of[T]{caddy.NewUsagePool()} }

// Acquire answers the value under a key, made if there is none, and holds it
// until release is called, once. The last release destructs it.
func (p Of[T]) Acquire(key string, construct func() T) (value T, release func()) {
	held, _, err := p.values.LoadOrNew(key, func() (caddy.Destructor, error) { return construct(), nil })
	if err != nil {
		panic("caddyoauth: a constructor that cannot fail failed: " + err.Error())
	}
	return held.(T), func() { _, _ = p.values.Delete(key) }
}

// All are the values that are held now, in no order.
func (p Of[T]) All() (all []T) {
	p.values.Range(func(_, value any) bool {
		if one, ok := value.(T); ok {
			all = append(all, one)
		}
		return true
	})
	return all
}
