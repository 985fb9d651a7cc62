package grantlist

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// bar shows on a terminal how far something has come that takes time. Elsewhere it
// shows nothing.
type bar struct {
	out   io.Writer // nil: no terminal
	verb  string
	total func() int
	all   int // -1: not asked yet
	done  int
	drawn bool
}

func newBar(out io.Writer, verb string, total func() int) *bar {
	b := &bar{verb: verb, total: total, all: -1}
	if file, ok := out.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			b.out = out
		}
	}
	return b
}

const barWidth = 30

// add draws it with some more.
func (b *bar) add(n int) {
	if b.done += n; b.out == nil {
		return
	}
	if b.all < 0 {
		b.all = b.total()
	}
	b.drawn = true
	if b.all == 0 {
		_, _ = fmt.Fprintf(b.out, "\r%s %d", b.verb, b.done)
		return
	}
	b.all = max(b.all, b.done) // some have come since
	full := barWidth * b.done / b.all
	_, _ = fmt.Fprintf(b.out, "\r[%s%s] %s %d of %d", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), b.verb, b.done, b.all)
}

// clear takes it away, so that something else can stand there.
func (b *bar) clear() {
	if b.drawn {
		_, _ = fmt.Fprint(b.out, "\r\033[K")
		b.drawn = false
	}
}
