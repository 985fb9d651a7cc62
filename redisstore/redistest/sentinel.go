//go:build unix

package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// MasterName is what a Cluster's sentinel calls the master.
const MasterName = "grants"

// Cluster is a master with a replica, and a sentinel that watches over both.
type Cluster struct {
	Master, Replica *Server
	Sentinel        *Server

	t testing.TB
}

// StartCluster runs all three, and answers once the sentinel knows of both
// servers.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Master: Start(t)}
	c.Replica = Start(t, "--replicaof", "127.0.0.1", strconv.Itoa(c.Master.Port), "--repl-diskless-sync-delay", "0")
	c.await("the replica to be in step", func() bool {
		return c.Replica.tells("master_link_status:up", "INFO", "replication")
	})
	c.Sentinel = c.AnotherSentinel()
	return c
}

// AnotherSentinel watches over both servers too, and answers once it knows them.
func (c *Cluster) AnotherSentinel() *Server {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "sentinel.conf") // it writes into it
	if err := os.WriteFile(file, fmt.Appendf(nil, "sentinel monitor %s 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 6000\n", MasterName, c.Master.Port), 0o600); err != nil {
		c.t.Fatal(err)
	}
	sentinel := start(c.t, []string{file, "--sentinel"}, nil)
	c.await("the sentinel to know the replica", func() bool {
		return sentinel.tells(strconv.Itoa(c.Replica.Port), "SENTINEL", "REPLICAS", MasterName)
	})
	return sentinel
}

// AwaitFailover waits until the replica is the master.
func (c *Cluster) AwaitFailover() {
	c.t.Helper()
	c.await("the failover", func() bool {
		return c.Replica.tells("role:master", "INFO", "replication") &&
			c.Sentinel.tells(strconv.Itoa(c.Replica.Port), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName)
	})
}

// ReplaceReplica starts the master that was killed once more, as the replica of
// the other one.
func (c *Cluster) ReplaceReplica() {
	c.t.Helper()
	c.Master.Again()
	c.await("the old master to follow", func() bool {
		return c.Master.tells("OK", "REPLICAOF", "127.0.0.1", strconv.Itoa(c.Replica.Port)) &&
			c.Master.tells("master_link_status:up", "INFO", "replication")
	})
}

func (c *Cluster) await(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("waited in vain for %s", what)
		}
	}
}
