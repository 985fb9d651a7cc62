package explain

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
)

// The colours of a terminal.
const (
	red, green, yellow, faint, bold, plainText = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
)

// Write tells it to people: the verdict first, then what to change, then every
// check.
func (e *Explanation) Write(w io.Writer, colours bool) {
	paint := func(colour, text string) string {
		if !colours {
			return text
		}
		return colour + text + plainText
	}
	out := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	switch e.Verdict {
	case accepted:
		out("%s\n", paint(bold+green, "ACCEPTED"))
	case refused:
		out("%s %s: %s (%s)\n", paint(bold+red, "REFUSED"), e.Reason, command.Printable(e.Check), e.Clause)
	default:
		out("%s %s: %s\n", paint(bold+yellow, "NOT JUDGED"), e.Reason, command.Printable(e.Check))
	}
	for _, line := range [][2]string{{"gateway", e.Gateway}, {"issuer", e.Issuer}, {"time", e.At.Format(time.RFC3339)}, {"answer", e.answer()}, {"because", e.Detail}, {"change", e.Change}} {
		if line[1] != "" {
			out("  %-8s %s\n", line[0], command.Printable(line[1]))
		}
	}
	for _, note := range e.Notes {
		out("  %-8s %s\n", "note", command.Printable(note))
	}
	out("\n")
	marks := map[string]string{passed: paint(green, "ok  "), failed: paint(red, "FAIL"), notReached: paint(faint, "-   "), depends: paint(yellow, "if  ")}
	for _, step := range e.Checks {
		expected := ""
		if step.Expected != "" {
			expected = paint(faint, "expected: ") + command.Printable(step.Expected) + " "
		}
		out("%s %-16s %s; %s%s\n", marks[step.Result], command.Printable(step.Check), command.Printable(step.Found), expected, paint(faint, "["+step.Clause+"]"))
		if step.Change != "" && step.Change != e.Change {
			out("     %-16s %s\n", "", command.Printable(step.Change))
		}
	}
	for i, line := range e.Upstream {
		if i == 0 {
			out("\n%s\n", "the upstream would see")
		}
		out("  %s\n", command.Printable(line))
	}
}

// answer is what the client gets.
func (e *Explanation) answer() string {
	if e.Status == 0 {
		return ""
	}
	return strings.TrimSpace(strconv.Itoa(e.Status) + " " + e.Error)
}
