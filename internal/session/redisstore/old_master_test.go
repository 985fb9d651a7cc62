package redisstore

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// After a failover that the old master has survived, that goes on answering for
// some seconds, and hears of nothing: who listens there was not told of all. Not
// every client notices the failover at the same moment, so that only a change
// counts that the one who listens could read.
func TestWhoListensToAnOldMasterWasNotToldOfAll(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	o := sentinelOf(c)
	o.Replicas = 0
	listens, writes := open(t, o), open(t, o)
	var mu sync.Mutex
	told := map[session.Key]bool{}
	defer listens.Wake(func(key session.Key) { mu.Lock(); defer mu.Unlock(); told[key] = true })()
	catchUp := func() (line uint64, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return listens.CatchUp(ctx)
	}
	last, err := catchUp()
	for end := time.Now().Add(60 * time.Second); err != nil; last, err = catchUp() {
		if time.Now().After(end) {
			t.Fatal("nothing is heard")
		}
	}
	for end := time.Now().Add(60 * time.Second); c.Sentinel.Do("SENTINEL", "FAILOVER", redistest.MasterName) != "+OK"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) { // it has to know the replica well
			t.Fatal("the sentinel does not begin")
		}
	}
	c.AwaitFailover()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		row := someRow(time.Now().Add(time.Hour))
		if writes.Create(t.Context(), row) != nil || writes.CompareAndSwap(t.Context(), row.Version(), row) != nil {
			continue
		}
		_, unread := listens.Load(t.Context(), row.Key)
		line, err := catchUp()
		mu.Lock()
		heard := told[row.Key]
		mu.Unlock()
		if err == nil && unread == nil && line == last && !heard {
			t.Fatal("it was not told of a change, and takes it that it was")
		}
		if err == nil {
			last = line
		}
		if err == nil && strings.Contains(c.Master.Do("INFO", "replication"), "role:slave") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it never catches up")
		}
	}
}
