package caddyoauth

import (
	"strings"
	"testing"
)

func TestAnExplanationHasColoursOnATerminalAlone(t *testing.T) {
	e := &explanation{Verdict: verdictAccepted, Checks: []explainedStep{{Check: "exp", Result: stepPassed}}}
	for _, colours := range []bool{true, false} {
		var out strings.Builder
		e.write(&out, colours)
		if strings.HasPrefix(out.String(), "\x1b[1m\x1b[32mACCEPTED\x1b[0m\n") != colours || strings.Contains(out.String(), "\x1b") != colours {
			t.Errorf("colours %t: %q", colours, &out)
		}
	}
}
