package gatewaytest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Documents reads a file of YAML documents.
func Documents(tb testing.TB, file string) (all []any) {
	tb.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a test names it
	if err != nil {
		tb.Fatal(err)
	}
	for from := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc any
		err := from.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			tb.Fatalf("%s: %v", file, err)
		}
		all = append(all, doc)
	}
}
