package main

import (
	"bufio"
	"fmt"
	"net"
)

const upstreamAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

// serveUpstream answers every request with the same 200. It reads no more of
// HTTP than the blank line that ends a GET: the cheaper the upstream, the less
// it takes from the two cores that it shares with the candidate.
func serveUpstream(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening for the upstream: %w", err)
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accepting for the upstream: %w", err)
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 16<<10)
	reply := []byte(upstreamAnswer)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > 2 { // not yet the blank line
			continue
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}
