package sidecar

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
)

// What deploy/ gives to "caddy oauth sidecar" must be what it takes: a name
// that changes here and not there would keep a pod from starting.
func TestTheManifestsGiveTheSidecarWhatItTakes(t *testing.T) {
	files, _ := filepath.Glob("../../../deploy/*.yaml")
	more, _ := filepath.Glob("../../../deploy/*/*.yaml")
	checked := 0
	for _, file := range append(files, more...) {
		for _, doc := range gatewaytest.Documents(t, file) {
			for _, env := range environments(doc) {
				checked++
				config, err := configOf(env, func(string) ([]byte, error) { return []byte(goodKey), nil })
				if err != nil {
					t.Errorf("%s: %v", file, err)
				}
				if !bytes.Contains(config, []byte(`"oauth_health"`)) {
					t.Errorf("%s: nothing to probe: %s", file, config)
				}
			}
		}
	}
	if checked != 3 {
		t.Errorf("%d containers with the sidecar, want 3", checked)
	}
}

// environments finds those of every container that runs the sidecar: a list
// of names and values (Kubernetes), or a mapping (compose).
func environments(node any) (found [][]string) {
	switch node := node.(type) {
	case []any:
		for _, one := range node {
			found = append(found, environments(one)...)
		}
	case map[string]any:
		if run := fmt.Sprint(node["args"], node["command"]); strings.Contains(run, "[oauth sidecar]") {
			var entries []string
			vars, _ := node["env"].([]any)
			for _, one := range vars {
				entries = append(entries, fmt.Sprintf("%v=%v", one.(map[string]any)["name"], one.(map[string]any)["value"]))
			}
			mapping, _ := node["environment"].(map[string]any)
			for name, value := range mapping {
				entries = append(entries, fmt.Sprintf("%s=%v", name, value))
			}
			found = append(found, entries)
		}
		for _, one := range node {
			found = append(found, environments(one)...)
		}
	}
	return found
}

// Of the variables without OAUTH_ in front a slip is silent, so they are
// looked at here.
func TestTheManifestsNameKnownVariables(t *testing.T) {
	var known []string
	for _, v := range variables {
		known = append(known, v.Name, v.Name+"_FILE")
	}
	for _, file := range []string{"../../../deploy/docker-compose.yaml", "../../../deploy/kubernetes/sidecar.yaml", "../../../deploy/kubernetes/gateway.yaml"} {
		for _, doc := range gatewaytest.Documents(t, file) {
			for _, env := range environments(doc) {
				for _, entry := range env {
					if name, _, _ := strings.Cut(entry, "="); !slices.Contains(known, name) {
						t.Errorf("%s: %s is no variable of the sidecar", file, name)
					}
				}
			}
		}
	}
}
