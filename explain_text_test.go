package caddyoauth

import (
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/explain"
)

func TestAnExplanationHasColoursOnATerminalAlone(t *testing.T) {
	e := &explain.Explanation{Verdict: explain.VerdictAccepted, Checks: []explain.ExplainedStep{{Check: "exp", Result: explain.StepPassed}}}
	for _, colours := range []bool{true, false} {
		var out strings.Builder
		e.Write(&out, colours)
		if strings.HasPrefix(out.String(), "\x1b[1m\x1b[32mACCEPTED\x1b[0m\n") != colours || strings.Contains(out.String(), "\x1b") != colours {
			t.Errorf("colours %t: %q", colours, &out)
		}
	}
}
