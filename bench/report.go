package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// workload is what is sent.
type workload struct {
	alg    string
	tokens int
	over   string // see run

	browsers bool // of sessions, and not of tokens
}

func (w workload) what() string { return w.alg + w.over }

func (w workload) title() string {
	title := w.alg
	if w.over != "" {
		title += " over " + overTitles[w.over]
	}
	if w.browsers {
		return fmt.Sprintf("Browsers' sessions, %d", w.tokens)
	}
	if w.tokens == 1 {
		return title + ", one token"
	}
	return fmt.Sprintf("%s, %d distinct tokens", title, w.tokens)
}

// table holds the samples of one workload: a row for each candidate, with a
// sample for each round, the same round at the same place in every row.
type table struct {
	workload
	kinds []kind
	rows  map[string][]sample
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}

// column takes one figure out of every sample.
func column[T any](samples []T, figure func(T) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = figure(s)
	}
	return out
}

// ratios divides round by round: what disturbs a round disturbs both sides.
func ratios(of, by []float64) []float64 {
	out := make([]float64, 0, len(of))
	for i := range min(len(of), len(by)) {
		if by[i] > 0 {
			out = append(out, of[i]/by[i])
		}
	}
	return out
}

// spread writes the median with the smallest and the largest.
func spread(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f (%.3f–%.3f)", median(v), slices.Min(v), slices.Max(v))
}

// percent writes a share, or a dash for one below 0, which is none.
func percent(share float64) string {
	if share < 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func cpuOf(s sample) float64 { return micros(s.cpu) }
func p50Of(s sample) float64 { return micros(s.p50) / 1000 }
func p99Of(s sample) float64 { return micros(s.p99) / 1000 }

func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", t.title())
	fmt.Fprintln(w, "| candidate | CPU µs/request | CPU × bare | p50 ms | p50 × bare | p99 ms | p99 × bare | requests/s | cache hits |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|")
	bare := t.rows["bare"]
	for _, k := range t.kinds {
		row := t.rows[k.name]
		if len(row) == 0 {
			continue
		}
		cells := []string{k.title, fmt.Sprintf("%.1f", median(column(row, cpuOf)))}
		cells = append(cells, spread(ratios(column(row, cpuOf), column(bare, cpuOf))))
		for _, figure := range []func(sample) float64{p50Of, p99Of} {
			cells = append(cells, fmt.Sprintf("%.2f", median(column(row, figure))))
			cells = append(cells, spread(ratios(column(row, figure), column(bare, figure))))
		}
		perSecond := column(row, func(s sample) float64 { return s.perSecond })
		cells = append(cells, fmt.Sprintf("%.0f", median(perSecond)))
		cells = append(cells, percent(median(column(row, func(s sample) float64 { return s.hits }))))
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	upstream := column(bare, func(s sample) float64 { return micros(s.upstreamCPU) })
	fmt.Fprintf(w, "\nBehind bare Caddy the upstream took %.1f µs of CPU a request.\n", median(upstream))
}
