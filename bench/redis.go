package main

import (
	"context"
	"net"
	"slices"
)

// redis reports whether a kind keeps its state there.
func (k kind) redis() bool { return k.name == "redis" || k.browser && k.judges }

// startRedis runs a Redis without persistence, if a candidate keeps grants there.
// Without a redis-server that candidate is left out.
func (b *bench) startRedis(ctx context.Context) (addr string, stop func(), err error) {
	if !slices.ContainsFunc(b.kinds, kind.redis) {
		return "", func() {}, nil
	}
	return b.runRedis(ctx)
}

func (b *bench) runRedis(ctx context.Context) (addr string, stop func(), err error) {
	if addr, err = freeAddr(); err != nil {
		return "", func() {}, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", func() {}, err
	}
	p, err := start(b.dir, "redis-server", nil, lookTool("redis-server"),
		"--port", port, "--bind", host, "--save", "", "--appendonly", "no", "--dir", b.dir)
	if err != nil {
		return "", func() {}, err
	}
	return addr, p.stop, p.ready(ctx, addr)
}
