package caddyoauth

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
)

var (
	descOf     = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	metricName = regexp.MustCompile(`caddy_oauth_\w+`)
	selector   = regexp.MustCompile(`(caddy_oauth_\w+)(?:\{([^}]*)\})?`)
	matching   = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	legend     = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
)

// registered are the names that a configuration's registry has, with their
// labels. A histogram has three names.
func registered(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	descs := make(chan *prometheus.Desc, 1000)
	for _, collector := range slices.Concat(telemetry.Metrics.All(), stateMetrics) {
		collector.Describe(descs)
		_, histogram := collector.(*prometheus.HistogramVec)
		for len(descs) > 0 {
			m := descOf.FindStringSubmatch((<-descs).String())
			if m == nil {
				t.Fatal("a description of another form")
			}
			labels := strings.FieldsFunc(m[2], func(c rune) bool { return c == ',' || c == ' ' })
			if !histogram {
				names[m[1]] = labels
				continue
			}
			names[m[1]+"_bucket"] = append(slices.Clone(labels), "le")
			names[m[1]+"_sum"], names[m[1]+"_count"] = labels, labels
		}
	}
	return names
}

// query is one expression, and the text that is printed with its labels.
type query struct{ where, expr, text string }

func dashboardQueries(t *testing.T) (all []query) {
	t.Helper()
	doc, err := os.ReadFile("deploy/grafana-dashboard.json")
	var board struct {
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err != nil || json.Unmarshal(doc, &board) != nil {
		t.Fatal("the dashboard cannot be read: ", err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{"panel " + panel.Title, target.Expr, target.LegendFormat})
		}
	}
	for _, v := range board.Templating.List {
		if name, label, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")"), ", "); ok {
			all = append(all, query{"variable " + v.Name, "sum by (" + label + ") (" + name + ")", ""})
		}
	}
	return all
}

// alertQueries reads the rules line by line: each expr stands on one.
func alertQueries(t *testing.T) (all []query) {
	t.Helper()
	doc, err := os.ReadFile("deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range strings.Split(string(doc), "- alert: ")[1:] {
		name, rest, _ := strings.Cut(rule, "\n")
		_, expr, found := strings.Cut(rest, "expr: ")
		expr, text, _ := strings.Cut(expr, "\n")
		if !found || !strings.Contains(text, "severity: ") || !strings.Contains(text, "summary: ") {
			t.Errorf("alert %s has no expression, severity or summary", name)
		}
		all = append(all, query{"alert " + name, expr, text})
	}
	return all
}

func TestTheDashboardAndTheAlertsAskForMetricsAndLabelsThatThereAre(t *testing.T) {
	names, used := registered(t), map[string]bool{}
	queries := append(dashboardQueries(t), alertQueries(t)...)
	if len(queries) < 25 {
		t.Fatalf("%d queries found", len(queries))
	}
	for _, q := range queries {
		labels := []string{"instance", "job"} // which Prometheus adds
		for _, m := range selector.FindAllStringSubmatch(q.expr, -1) {
			own, there := names[m[1]]
			if !there {
				t.Errorf("%s: there is no metric %s", q.where, m[1])
			}
			used[strings.TrimSuffix(m[1], "_bucket")] = true
			for _, pair := range matching.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(own, pair[1]) && pair[1] != "instance" {
					t.Errorf("%s: %s has no label %s", q.where, m[1], pair[1])
				}
			}
			labels = append(labels, own...)
		}
		for _, m := range grouping.FindAllStringSubmatch(q.expr, -1) {
			for label := range strings.SplitSeq(m[1], ",") {
				if !slices.Contains(labels, strings.TrimSpace(label)) {
					t.Errorf("%s: nothing in it has the label %s", q.where, label)
				}
			}
		}
		for _, m := range legend.FindAllStringSubmatch(q.text, -1) {
			grouped := false
			for _, by := range grouping.FindAllStringSubmatch(q.expr, -1) {
				grouped = grouped || slices.Contains(strings.Split(strings.ReplaceAll(by[1], " ", ""), ","), m[1])
			}
			if !grouped {
				t.Errorf("%s: the label %s is printed and not grouped by", q.where, m[1])
			}
		}
	}
	for name := range names {
		if base := strings.TrimSuffix(name, "_bucket"); !used[base] && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			t.Errorf("nobody looks at %s", base)
		}
	}
}

// Values of labels are checked against the reference, which says what each may be.
func TestTheDashboardAndTheAlertsCompareWithValuesThatTheDocumentationKnows(t *testing.T) {
	var pages strings.Builder
	for _, page := range []string{"docs/metrics.md", "docs/reasons.md", "docs/refresh.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages.Write(text)
	}
	for _, q := range append(dashboardQueries(t), alertQueries(t)...) {
		for _, m := range matching.FindAllStringSubmatch(q.expr, -1) {
			for value := range strings.SplitSeq(m[2], "|") {
				if value != "" && !strings.HasPrefix(value, "$") && !strings.Contains(pages.String(), "`"+value+"`") {
					t.Errorf("%s: %s is never %q, as far as the documentation knows", q.where, m[1], value)
				}
			}
		}
	}
}

func TestTheReferenceOfMetricsNamesEachMetricWithItsLabels(t *testing.T) {
	text, err := os.ReadFile("docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) > 4 && strings.Contains(cells[1], "`caddy_oauth_") {
			rows[metricName.FindString(cells[1])] = cells[3]
		}
	}
	names := registered(t)
	for name, labels := range names {
		if strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") {
			continue
		}
		base := strings.TrimSuffix(name, "_bucket")
		cell, there := rows[base]
		delete(rows, base)
		if !there {
			t.Errorf("docs/metrics.md does not name %s", base)
		}
		for _, label := range labels {
			if label != "le" && !strings.Contains(cell, "`"+label+"`") {
				t.Errorf("docs/metrics.md names no label %s of %s", label, base)
			}
		}
	}
	if len(rows) > 0 {
		t.Errorf("docs/metrics.md names what there is not: %v", slices.Sorted(maps.Keys(rows)))
	}
}
