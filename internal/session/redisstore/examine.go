package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// examination looks at a server as the store would use it.
type examination struct {
	o        *Options
	s        *Store // for its names; it is not open
	client   *redis.Client
	conn     *redis.Conn
	key      string // of the probe, under the prefix, and no row's name
	user     string
	lacks    map[string]bool // rights that are missing
	findings []session.Finding
}

// What is looked at.
const (
	checkReach    = "store"
	checkRights   = "store rights"
	checkPart     = "store part"
	checkEviction = "store memory"
	checkVersion  = "store version"
	checkDisk     = "store disk"
	checkClock    = "store clock"
)

func (x *examination) say(check, result, do, text string, args ...any) {
	x.findings = append(x.findings, session.Finding{Check: check, Result: result, Do: do, Text: fmt.Sprintf(text, args...)})
}

// Examine looks at the servers of some options as the store would use them: each
// right that it needs, and whether what it writes will stay. It writes one key
// for a moment, which is no row, and tells a word to the channel that no node
// listens for.
func Examine(ctx context.Context, o Options, now func() time.Time) []session.Finding {
	l := o.link()
	defer func() { _ = l.client.Close() }()
	x := &examination{o: &o, s: named(&o), client: l.client, user: o.Username, lacks: map[string]bool{}}
	if x.user == "" {
		x.user = "default"
	}
	x.key = x.s.prefix + "probe-" + rand.Text() + "}"
	x.conn = l.client.Conn()
	defer func() { _ = x.conn.Close() }()
	if err := x.conn.Ping(ctx).Err(); err != nil {
		x.unreachable(err)
		return x.findings
	}
	x.say(checkReach, session.FindingOK, "", "%s answers", o.where())
	writes := x.rights(ctx)
	x.listening(ctx)
	if len(x.lacks) == 0 {
		x.say(checkRights, session.FindingOK, "", "the user %s may do all that is needed, on %s:*", x.user, o.Prefix)
	}
	facts := x.info(ctx)
	x.version(facts)
	x.part(ctx, facts, writes)
	x.memory(facts)
	x.disk(facts)
	x.clock(ctx, now)
	return x.findings
}

func (x *examination) unreachable(err error) {
	do := "see that it runs and that this machine may reach it"
	switch {
	case redis.HasErrorPrefix(err, "WRONGPASS"), redis.HasErrorPrefix(err, "NOAUTH"):
		do = "correct username and password, or the file or variable that they come from"
	case redis.HasErrorPrefix(err, "NOPERM"):
		do = "ACL SETUSER " + x.user + " +ping" + map[bool]string{true: " +select"}[x.o.Database != 0]
	case strings.Contains(err.Error(), "certificate"):
		do = "name the certificate authority with trust_pool, or correct the server's certificate"
	}
	x.say(checkReach, session.FindingFail, do, "%s cannot be used: %v", x.o.where(), err)
}

// listening tries the subscription, on a connection of its own.
func (x *examination) listening(ctx context.Context) {
	sub := x.client.Subscribe(ctx, x.s.channel, x.s.own)
	defer func() { _ = sub.Close() }()
	switch _, err := sub.Receive(ctx); {
	case redis.HasErrorPrefix(err, "NOPERM"):
		x.lack("subscribe", err)
	case err != nil:
		x.lacks["subscribe"] = true
		x.say(checkRights, session.FindingFail, "see the server's log", "subscribing to changes: %v", err)
	}
}

// info is what the server says of itself; nil: it may not be asked.
func (x *examination) info(ctx context.Context) map[string]string {
	text, err := x.conn.Info(ctx).Result()
	if err != nil {
		x.say(checkVersion, session.FindingWarn, "ACL SETUSER "+x.user+" +info, or look at version, role, maxmemory-policy and persistence by hand",
			"the server may not be asked about itself: %v", err)
		return nil
	}
	facts := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}

func (x *examination) version(facts map[string]string) {
	if facts == nil {
		return
	}
	text := facts["redis_version"]
	var major, minor int
	if n, _ := fmt.Sscanf(text, "%d.%d", &major, &minor); n < 2 {
		x.say(checkVersion, session.FindingWarn, "see that it knows what Redis 6.2 knows", "it says no version of Redis")
		return
	}
	name := "Redis " + text
	if valkey := facts["valkey_version"]; valkey != "" {
		name = "Valkey " + valkey
	}
	if major < 6 || major == 6 && minor < 2 {
		x.say(checkVersion, session.FindingFail, "use 6.2 or newer", "it is %s, and lacks what the store needs (PXAT)", name)
		return
	}
	x.say(checkVersion, session.FindingOK, "", "%s", name)
}

// part reports whether it is the master, with as many replicas as a write waits
// for.
func (x *examination) part(ctx context.Context, facts map[string]string, writes error) {
	if redis.HasErrorPrefix(writes, "READONLY") || facts["role"] == "slave" {
		x.say(checkPart, session.FindingFail, "write the master's address, or the sentinels with \"sentinel <master>\"",
			"it is a replica, which takes no writes: nothing can be kept there")
		return
	}
	if x.o.Replicas == 0 {
		if facts["role"] == "master" {
			x.say(checkPart, session.FindingOK, "", "it is a master; writes wait for no replica")
		}
		return
	}
	if writes != nil {
		return
	}
	pipe := x.conn.Pipeline()
	pipe.Do(ctx, "set", x.key, "probe", "px", 10_000)
	wait := pipe.Do(ctx, "wait", x.o.Replicas, (x.o.Timeout / 2).Milliseconds())
	pipe.Do(ctx, "del", x.key)
	_, _ = pipe.Exec(ctx) // each has its own error
	have, err := wait.Int()
	switch {
	case err != nil: // the right was looked at
	case have < x.o.Replicas:
		x.say(checkPart, session.FindingFail, "start the replicas, or lower \"replicas\": while too few answer, nothing is refreshed",
			"a write waits for %d replicas, and %d have it within %s", x.o.Replicas, have, x.o.Timeout/2)
	default:
		x.say(checkPart, session.FindingOK, "", "it is a master, and %d replicas have what is written", have)
	}
}

// memory reports whether grants may be thrown out: each has an end, so that every
// policy but noeviction takes them.
func (x *examination) memory(facts map[string]string) {
	policy, known := facts["maxmemory_policy"]
	if !known {
		return
	}
	switch {
	case policy == "noeviction":
		x.say(checkEviction, session.FindingOK, "", "maxmemory-policy is noeviction")
	case facts["maxmemory"] == "0":
		x.say(checkEviction, session.FindingOK, "", "maxmemory-policy is %s, and there is no maxmemory: nothing is thrown out", policy)
	default:
		x.say(checkEviction, session.FindingFail, "CONFIG SET maxmemory-policy noeviction",
			"maxmemory-policy is %s, with maxmemory %s: grants are thrown out when memory is short, and their clients get 401", policy, facts["maxmemory"])
	}
	most, _ := strconv.ParseFloat(facts["maxmemory"], 64)
	if used, _ := strconv.ParseFloat(facts["used_memory"], 64); most > 0 && used > 0.9*most {
		x.say(checkEviction, session.FindingWarn, "raise maxmemory", "%.0f %% of maxmemory are in use", 100*used/most)
	}
}

// disk reports whether what is written outlives the server.
func (x *examination) disk(facts map[string]string) {
	if facts == nil {
		return
	}
	switch {
	case facts["rdb_last_bgsave_status"] == "err", facts["aof_last_write_status"] == "err", facts["aof_last_bgrewrite_status"] == "err":
		x.say(checkDisk, session.FindingFail, "look at the server's disk and its log", "the server could not write to its disk the last time: it may refuse writes, and a restart loses grants")
	case facts["aof_enabled"] == "1":
		x.say(checkDisk, session.FindingOK, "", "it writes an append-only file")
	}
}

// clockNear is how much the clocks of servers and nodes may differ: leases are
// counted by them.
const clockNear = 2 * time.Second

func (x *examination) clock(ctx context.Context, now func() time.Time) {
	began := now()
	theirs, err := x.conn.Time(ctx).Result()
	if err != nil {
		return // the right was looked at
	}
	ended := now()
	off := theirs.Sub(began.Add(ended.Sub(began) / 2)).Round(100 * time.Millisecond)
	if off.Abs() > clockNear+ended.Sub(began) {
		x.say(checkClock, session.FindingWarn, "set the clocks by NTP", "its clock and ours differ by %s", off.Abs())
	}
}
