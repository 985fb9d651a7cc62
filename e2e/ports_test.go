package e2e

import (
	"fmt"
	"net"
	"testing"
)

// Ports are taken from blocks below the range that the kernel gives to outgoing
// connections, so that no client takes one before its server does.
const (
	firstPort  = 20000
	endOfPorts = 30000
	portBlock  = 1000
)

// ports is the block of this process. Gateways share their ports with other
// gateways: two suites that chose the same one would both have it, and get each
// other's requests. So a suite holds the first port of its block while it runs.
// Guarded by forking.
var ports struct {
	held net.Listener
	base int
	used int
}

// freePort finds a loopback port that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	forking.Lock()
	defer forking.Unlock()
	for base := firstPort; ports.held == nil && base < endOfPorts; base += portBlock {
		if held, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base)); err == nil {
			ports.held, ports.base = held, base
		}
	}
	if ports.held == nil {
		t.Fatal("no free block of loopback ports found")
	}
	for range portBlock {
		port := ports.base + 1 + ports.used%(portBlock-1)
		ports.used++
		address := fmt.Sprintf("127.0.0.1:%d", port)
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", address)
		closeAll(tcp)
		if err != nil {
			continue
		}
		closeAll(udp)
		return port
	}
	t.Fatal("no free loopback port found")
	return 0
}
