package redisstore

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// right is one command as the store sends it.
type right struct {
	name string
	ask  func(ctx context.Context) error
}

// rights tries each command, and answers what writing said.
func (x *examination) rights(ctx context.Context) (writes error) {
	do := func(words ...any) func(context.Context) error {
		return func(ctx context.Context) error { return x.conn.Do(ctx, words...).Err() }
	}
	all := []right{
		{"set", do("set", x.key, "probe", "nx", "px", 10_000)},
		{"get", do("get", x.key)},
		{"getrange", do("getrange", x.key, 0, versionSize)},
		{"scan", do("scan", 0, "match", x.s.prefix+"*}", "count", 1)},
		{"eval", do("eval", "return 1", 1, x.key)},
		{"evalsha", do("evalsha", strings.Repeat("0", 40), 0)},
		{"time", do("time")},
		{"zadd", do("zadd", x.key+"s", 1, "probe")},
		{"zrange", do("zrange", x.key+"s", 0, 0, "rev", "withscores")},
		{"zcount", do("zcount", x.key+"s", "-inf", "+inf")},
		{"zcard", do("zcard", x.key+"s")},
		{"pexpireat", do("pexpireat", x.key+"s", 1)},
		{"zrem", do("zrem", x.key+"s", "probe")},
		{"zremrangebyscore", do("zremrangebyscore", x.key+"s", "-inf", "+inf")},
		{"publish", do("publish", x.s.channel, "probe")},
	}
	if x.o.Replicas > 0 {
		all = append(all, right{"wait", do("wait", 0, 1)})
	}
	all = append(all, right{"del", do("del", x.key)})
	for _, one := range all {
		err := one.ask(ctx)
		if one.name == "set" {
			writes = err
		}
		switch {
		case err == nil || errors.Is(err, redis.Nil) || isState(err):
		case redis.HasErrorPrefix(err, "NOPERM"):
			x.lack(one.name, err)
		default:
			x.lacks[one.name] = true
			x.say(checkRights, session.FindingFail, "the store needs this command: use Redis or Valkey 6.2 or newer, and see its log", "%s: %v", one.name, err)
		}
	}
	return writes
}

// isState tells errors that mean that the user may, and that something else
// stands against it, which is told elsewhere.
func isState(err error) bool {
	for _, prefix := range []string{"NOSCRIPT", "READONLY", "MISCONF", "OOM", "NOREPLICAS"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// lack names a right, once.
func (x *examination) lack(command string, err error) {
	name, costs := "+"+command, "grants cannot be kept or refreshed without it: clients get 503"
	slow := command == "publish" || command == "subscribe"
	indexes := strings.HasPrefix(command, "z") || command == "pexpireat"
	switch {
	case strings.Contains(err.Error(), "channel"):
		name = "&" + x.o.Prefix + ":*"
	case strings.Contains(err.Error(), "key"):
		name = "~" + x.o.Prefix + ":*"
	}
	if indexes {
		costs = "grants are walked through instead of found: each end of a user's, and each minute, costs as much as there are"
	}
	if slow {
		costs = "nodes are not told of changes: what ends at one is served for a second at others, and rows are read more often"
	}
	if !x.lacks[name] {
		x.lacks[name] = true
		x.say(checkRights, session.FindingFail, "ACL SETUSER "+x.user+" "+name, "the user %s lacks the right %s: %s", x.user, name, costs)
	}
}
