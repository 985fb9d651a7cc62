package redisstore

import (
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// The machine of one sentinel is gone: it refuses nothing, and says nothing. A
// store opens all the same, and when the one that was asked so far falls silent
// too, or instead, another one is asked.
func TestASilentSentinelKeepsNoNodeFromTheMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	second := c.AnotherSentinel()
	o := sentinelOf(c)
	o.Address, o.Timeout = append(o.Address, second.Address()), time.Second
	second.Pause()
	s := open(t, o)
	second.Resume()
	row := someRow(time.Now().Add(time.Hour))
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	c.Sentinel.Pause()
	defer c.Sentinel.Resume()
	c.Master.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, err := s.Load(t.Context(), row.Key)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the other sentinel is not asked: ", err)
		}
	}
}
