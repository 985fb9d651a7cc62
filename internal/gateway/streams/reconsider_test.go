package streams

import (
	"testing"
	"time"

	"go.uber.org/zap"
)

// What is looked at changes its place among those that are open: none may be passed
// over for that.
func TestAllThatIsOpenIsJudgedWhenSomethingMayHaveBeenTakenBack(t *testing.T) {
	const many = 1000
	m := New(Options{Now: time.Now, Log: zap.NewNop()})
	m.quick.most, m.slow.most = 0, 0 // what is to be judged waits
	now := time.Now()
	for i := range many {
		x := &exchange{room: m, issuer: "https://login.example.com", subject: "alice", due: now.Add(time.Duration(i*7919%many) * time.Minute)}
		m.open.Push(x)
	}
	for _, subject := range []string{"", "alice"} {
		m.quick.todo, m.slow.todo = nil, nil
		for _, x := range m.open {
			x.busy, x.again = false, false
		}
		m.Reconsider("https://login.example.com", subject)
		if got := len(m.quick.todo) + len(m.slow.todo); got != many {
			t.Errorf("of %d open exchanges %d are judged, for the subject %q", many, got, subject)
		}
	}
}
