package caddyoauth

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
)

// caller is a pod that wants to connect.
type caller struct {
	labels    map[string]any
	namespace map[string]any // labels of its namespace; nil for the policies' own
}

var (
	aNeighbour = caller{labels: map[string]any{"app": "anything"}}
	aStranger  = caller{namespace: map[string]any{"kubernetes.io/metadata.name": "elsewhere"}}
	aMonitor   = caller{namespace: map[string]any{"kubernetes.io/metadata.name": "monitoring"}}
	theGateway = caller{labels: map[string]any{"app": "orders-gateway"}}
)

// The policies in deploy/ as a cluster reads them (networking.k8s.io/v1).
func TestTheManifestsLetNoClientPastTheGateway(t *testing.T) {
	for _, row := range []struct {
		file, app string
		port      int
		from      caller
		in        bool
	}{
		{"sidecar", "orders", 8080, aNeighbour, true},
		{"sidecar", "orders", 8080, aStranger, true},
		{"sidecar", "orders", 9000, aNeighbour, false}, // the application itself
		{"sidecar", "orders", 9000, aStranger, false},
		{"sidecar", "orders", 9000, aMonitor, false},
		{"sidecar", "orders", 8081, aNeighbour, false}, // health names the issuers
		{"sidecar", "orders", 8081, aMonitor, true},
		{"gateway", "orders", 9000, theGateway, true},
		{"gateway", "orders", 9000, aNeighbour, false},
		{"gateway", "orders", 9000, aStranger, false},
		{"gateway", "orders", 9000, aMonitor, false},
		{"gateway", "orders", 22, theGateway, false},
		{"gateway", "orders-gateway", 8080, aStranger, true},
		{"gateway", "orders-gateway", 8081, aNeighbour, false},
		{"gateway", "orders-gateway", 8081, aMonitor, true},
	} {
		docs := gatewaytest.Documents(t, "deploy/kubernetes/"+row.file+".yaml")
		if in := admits(t, docs, map[string]any{"app": row.app}, row.port, row.from); in != row.in {
			t.Errorf("%s.yaml: %+v reaches port %d of %s: %v, want %v", row.file, row.from, row.port, row.app, in, row.in)
		}
	}
}

// A label that is on the policy and not on the pods would select nothing, and
// what no policy selects is open.
func TestTheManifestsPoliciesSelectThePodsThatThereAre(t *testing.T) {
	for file, app := range map[string]string{"sidecar": "orders", "gateway": "orders-gateway"} {
		docs := gatewaytest.Documents(t, "deploy/kubernetes/"+file+".yaml")
		for _, doc := range docs {
			if dig(doc, "kind") != "Deployment" {
				continue
			}
			labels, _ := dig(doc, "spec", "template", "metadata", "labels").(map[string]any)
			if labels["app"] != app || !reflect.DeepEqual(dig(doc, "spec", "selector", "matchLabels"), any(labels)) {
				t.Errorf("%s.yaml: its pods are labelled %v", file, labels)
			}
			if admits(t, docs, labels, 1, aStranger) {
				t.Errorf("%s.yaml: no policy is for pods labelled %v", file, labels)
			}
		}
	}
}

// dig follows names through mappings.
func dig(node any, names ...string) any {
	for _, name := range names {
		mapping, _ := node.(map[string]any)
		node = mapping[name]
	}
	return node
}

// admits reports whether the policies let a caller connect to a port of pods
// with these labels: by any rule of any policy that selects them, and always
// where none does.
func admits(t *testing.T, docs []any, pod map[string]any, port int, from caller) bool {
	t.Helper()
	isolated := false
	for _, doc := range docs {
		if dig(doc, "kind") != "NetworkPolicy" || !selects(t, dig(doc, "spec", "podSelector"), pod) {
			continue
		}
		isolated = true
		rules, _ := dig(doc, "spec", "ingress").([]any)
		for _, rule := range rules {
			if hasPort(rule, port) && hasPeer(t, rule, from) {
				return true
			}
		}
	}
	return !isolated
}

func hasPort(rule any, port int) bool {
	ports, _ := dig(rule, "ports").([]any)
	for _, one := range ports {
		if dig(one, "port") == port {
			return true
		}
	}
	return len(ports) == 0
}

func hasPeer(t *testing.T, rule any, from caller) bool {
	t.Helper()
	peers, _ := dig(rule, "from").([]any)
	for _, peer := range peers {
		pods, namespaces := dig(peer, "podSelector"), dig(peer, "namespaceSelector")
		if pods == nil && namespaces == nil {
			t.Fatalf("a peer of another kind: %v", peer)
		}
		here := namespaces == nil && from.namespace == nil || namespaces != nil && selects(t, namespaces, from.namespace)
		if here && (pods == nil || selects(t, pods, from.labels)) {
			return true
		}
	}
	return len(peers) == 0
}

func selects(t *testing.T, selector any, labels map[string]any) bool {
	t.Helper()
	mapping, _ := selector.(map[string]any)
	for name, value := range mapping {
		if name != "matchLabels" {
			t.Fatalf("a selector of another kind: %v", selector)
		}
		for label, want := range value.(map[string]any) {
			if fmt.Sprint(labels[label]) != fmt.Sprint(want) {
				return false
			}
		}
	}
	return true
}
