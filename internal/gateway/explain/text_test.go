package explain

import (
	"strings"
	"testing"
)

func TestAnExplanationHasColoursOnATerminalAlone(t *testing.T) {
	e := &Explanation{Verdict: accepted, Checks: []Step{{Check: "exp", Result: passed}}}
	for _, colours := range []bool{true, false} {
		var out strings.Builder
		e.Write(&out, colours)
		if strings.HasPrefix(out.String(), "\x1b[1m\x1b[32mACCEPTED\x1b[0m\n") != colours || strings.Contains(out.String(), "\x1b") != colours {
			t.Errorf("colours %t: %q", colours, &out)
		}
	}
}
