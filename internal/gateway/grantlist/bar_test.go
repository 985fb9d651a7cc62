package grantlist

import (
	"bytes"
	"strings"
	"testing"
)

func TestABarIsDrawnOnATerminalAloneAndTakenAwayAgain(t *testing.T) {
	var out bytes.Buffer
	plain := newBar(&out, "looked at", func() int { t.Error("the total is asked for"); return 0 })
	plain.add(5)
	plain.clear()
	if out.Len() > 0 {
		t.Errorf("what is no terminal gets %q", out.String())
	}
	asked := 0
	b := &bar{out: &out, verb: "looked at", total: func() int { asked++; return 200 }, all: -1}
	b.clear()
	b.add(50)
	b.add(50)
	if want := "\r[" + strings.Repeat("#", 15) + strings.Repeat(".", 15) + "] looked at 100 of 200"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q", out.String())
	}
	b.add(200) // more than there were
	if !strings.HasSuffix(out.String(), strings.Repeat("#", 30)+"] looked at 300 of 300") || asked != 1 {
		t.Errorf("%q, asked %d times", out.String(), asked)
	}
	b.clear()
	if !strings.HasSuffix(out.String(), "\r\033[K") {
		t.Errorf("%q", out.String())
	}
}
