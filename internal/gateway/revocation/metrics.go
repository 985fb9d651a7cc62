package revocation

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// Gauges read the state of the lists when they are asked.
type Gauges struct{}

var (
	entriesDesc = prometheus.NewDesc("caddy_oauth_revoked_entries",
		"Entries in the lists of what was taken back.", nil, nil)
	behindDesc = prometheus.NewDesc("caddy_oauth_revoked_behind_seconds",
		"How long ago the list of what was taken back was last as it is in its store; absent where it never was, or there is no store.", nil, nil)
)

// Describe is of prometheus.Collector.
func (Gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- entriesDesc
	ch <- behindDesc
}

// Collect reads the lists that are kept.
func (Gauges) Collect(ch chan<- prometheus.Metric) {
	entries, behind, stored := 0, time.Duration(0), false
	_ = Each(func(k *Kept) error {
		entries += k.ledger.List.Len()
		if good := k.good.Load(); good != 0 {
			stored, behind = true, max(behind, time.Since(time.Unix(0, good)))
		}
		return nil
	})
	ch <- prometheus.MustNewConstMetric(entriesDesc, prometheus.GaugeValue, float64(entries))
	if stored {
		ch <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, behind.Seconds())
	}
}

// Late is when a list is no more as it should be: it is looked at twice a second.
const Late = 5 * time.Second

// State is what an operator sees of a list.
type State struct {
	Store   string        `json:"store"` // "": this process alone
	Entries int           `json:"entries"`
	Most    int           `json:"most"`
	Read    bool          `json:"read"`             // it was read from its store, or has none
	Behind  time.Duration `json:"behind,omitempty"` // how long ago it was last as it is in its store
	Kinds   revoked.Kinds `json:"kinds"`
}

// States are those of every list.
func States() (all []State) {
	_ = Each(func(k *Kept) error {
		s := State{Store: k.identity, Entries: k.ledger.List.Len(), Most: k.ledger.List.Most(), Read: k.ledger.Read(), Kinds: k.ledger.List.Kinds()}
		if good := k.good.Load(); good != 0 {
			s.Behind = time.Since(time.Unix(0, good)).Round(time.Millisecond)
		}
		all = append(all, s)
		return nil
	})
	return all
}
