package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A user of Redis that may do everything but tell of changes: the doctor and the
// start name the right, and clients do not notice.
func TestAUserOfRedisWithoutItsChannelIsNamedAndServedAllTheSame(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	rights := strings.Fields("~caddy-oauth:* +get +set +getrange +del +scan +publish +subscribe +evalsha +eval +wait +time +ping +info +zadd +zrem +zrange +zcount +zcard +zremrangebyscore +pexpireat")
	redis.cli(append([]string{"ACL", "SETUSER", "gateway", "on", ">word", "resetchannels"}, rights...)...)
	r := newRig(t, settings{store: fmt.Sprintf("redis %s {\nusername gateway\npassword word\n}", redis.address())})
	const missing = "ACL SETUSER gateway &caddy-oauth:*"
	await(t, 30*time.Second, "the start to look at the store", func() bool {
		return len(r.g.logLines(func(line map[string]any) bool {
			return line["level"] == "error" && line["msg"] == "looked at the store of grants" && line["do"] == missing
		})) > 0
	})
	out, _, code := r.g.with("oauth", "doctor")
	if code != 1 || !strings.Contains(out, missing) || !strings.Contains(out, "maxmemory-policy is noeviction") {
		t.Errorf("the doctor answers %d:\n%s", code, out)
	}
	for _, k := range []kind{withRT, rerun, browser} {
		r.life(6)
		s, first, before := r.beginExpired(k)
		wantAll(t, r.many(20, s), http.StatusOK)
		r.wantRenewals(k, before, 1)
		if r.get(s).tokenSeen(t) == first.token {
			t.Errorf("%s: the old token", k.name)
		}
		r.end(s)
		await(t, 5*time.Second, "the end to be seen", func() bool { return r.get(s).status == http.StatusUnauthorized })
	}
	redis.cli("ACL", "SETUSER", "gateway", "&caddy-oauth:*")
	if out, _, _ := r.g.with("oauth", "doctor"); strings.Contains(out, "lacks the right") {
		t.Errorf("with the right:\n%s", out)
	}
}
