package grants

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

func TestTheGaugesTellWhatTheLastLookCounted(t *testing.T) {
	v, release := acquireVault("a store of " + t.Name())
	defer release()
	before := gathered(t)
	v.counts.Store(&session.Counts{Live: 4, Renewing: 3, Uncertain: 2, Dead: 1})
	now := gathered(t)
	for state, want := range map[string]float64{"live": 4, "renewing": 3, "uncertain": 2, "ended": 1} {
		if got := now["caddy_oauth_grants "+state] - before["caddy_oauth_grants "+state]; got != want {
			t.Errorf("%v grants are %s, want %v", got, state, want)
		}
	}
}

// gathered are the metrics with one label, as a registry has them.
func gathered(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := telemetry.Metrics.Register(registry, Gauges{}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if len(m.GetLabel()) == 1 {
				values[family.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// failing is a store that answers each call with an error.
type failing struct{ session.Store }

var errBroken = errors.New("broken")

func (failing) Load(context.Context, session.Key) (session.Row, error) {
	return session.Row{}, errBroken
}
func (failing) Create(context.Context, session.Row) error { return errBroken }
func (failing) Delete(context.Context, session.Key) error { return errBroken }
func (failing) CompareAndSwap(context.Context, session.Version, session.Row) error {
	return errBroken
}
func (failing) Each(context.Context, func(session.Row) bool) error { return errBroken }

func TestStoreErrorsAreCountedAndVerdictsOfTheStoreAreNot(t *testing.T) {
	before := gathered(t)
	bad, good := counted{failing{}}, counted{session.NewMemory(time.Now)}
	for _, s := range []counted{bad, good} {
		_, _ = s.Load(t.Context(), session.Key{1})
		_ = s.Create(t.Context(), session.Row{Key: session.Key{2}, Until: time.Now().Add(time.Hour)})
		_ = s.Create(t.Context(), session.Row{Key: session.Key{2}, Until: time.Now().Add(time.Hour)})
		_ = s.CompareAndSwap(t.Context(), session.Version{Generation: 7}, session.Row{Key: session.Key{2}})
		_ = s.CompareAndSwap(t.Context(), session.Version{Generation: 7}, session.Row{Key: session.Key{3}})
		_ = s.Delete(t.Context(), session.Key{1})
		_ = s.Each(t.Context(), func(session.Row) bool { return true })
	}
	now := gathered(t)
	for operation, want := range map[string]float64{"load": 1, "create": 2, "compare_and_swap": 2, "delete": 1, "each": 1} {
		name := "caddy_oauth_store_errors_total " + operation
		if got := now[name] - before[name]; got != want {
			t.Errorf("%s: %v, want %v", operation, got, want)
		}
	}
}
