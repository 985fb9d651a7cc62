package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	logtest "go.uber.org/zap/zaptest/observer"
)

func TestWhatIsWrongWithAnAnswerIsInTheLogOnce(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAsker(t, issuer, "", "")
	warned := func() int {
		return g.logs.FilterMessage("refused").Filter(func(e logtest.LoggedEntry) bool { return e.Level == zapcore.WarnLevel }).Len()
	}
	for n, doc := range []string{`{"active":true,"sub":{}}`, `{"active":true,"exp":"never"}`} {
		issuer.reply(func(w http.ResponseWriter, _ *asked) { _, _ = io.WriteString(w, doc) })
		for i := range 5 {
			g.expects(fmt.Sprintf("good-%d-%d", n, i), http.StatusServiceUnavailable)
		}
		if warned() != n+1 {
			t.Errorf("%s: warned of %d times in all, want %d", doc, warned(), n+1)
		}
	}
	issuer.clock.ahead.Add(int64(time.Minute))
	g.expects("good-later", http.StatusServiceUnavailable)
	if warned() != 3 {
		t.Errorf("a minute later: warned of %d times in all, want 3", warned())
	}
}
