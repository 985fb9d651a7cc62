package caddyoauth

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// Ports are taken from blocks below the range that the system hands out, so
// that no other test's server takes one between here and the gateway.
const (
	firstPort   = 10000
	lastPort    = 19999
	portsABlock = 200
)

// ports is the block of this process. Caddy's listeners share their ports: two
// processes that chose the same one would both have it, and get each other's
// requests. So a process holds the first port of its block while it lives.
var ports struct {
	sync.Mutex
	held net.Listener
	base int
	used int
}

// freePort finds a loopback port that nothing listens at.
func freePort(t *testing.T) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for base := firstPort; ports.held == nil && base < lastPort; base += portsABlock {
		if l, err := listenAt(base); err == nil {
			ports.held, ports.base = l, base
		}
	}
	if ports.held == nil {
		t.Fatal("no free block of ports")
	}
	for range portsABlock {
		port := ports.base + 1 + ports.used%(portsABlock-1)
		ports.used++
		if l, err := listenAt(port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func listenAt(port int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
