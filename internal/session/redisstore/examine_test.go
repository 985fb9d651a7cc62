package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// needed are the rights of a user of the store, with the prefix of these tests.
var needed = strings.Fields("~grants:* &grants:* +get +set +getrange +del +scan +publish +subscribe +evalsha +eval +wait +time +ping +info +zadd +zrem +zrange +zcount +zcard +zremrangebyscore +pexpireat")

// user makes an ACL user with these rights alone, and answers options for it.
func user(t *testing.T, server *redistest.Server, rights ...string) Options {
	t.Helper()
	if answer := server.Do(append([]string{"ACL", "SETUSER", "gateway", "reset", "on", ">word"}, rights...)...); answer != "+OK" {
		t.Fatalf("%v: %s", rights, answer)
	}
	o := at(server.Address())
	o.Username, o.Password = "gateway", session.NewSecret("word")
	return o
}

func without(rights []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(rights), func(right string) bool { return right == one })
}

// says finds "<result> <check>: <words>" among findings.
func says(t *testing.T, all []session.Finding, want string) {
	t.Helper()
	var text strings.Builder
	head, words, _ := strings.Cut(want, ": ")
	for _, one := range all {
		line := fmt.Sprintf("%s %s: %s -> %s", one.Result, one.Check, one.Text, one.Do)
		if strings.HasPrefix(line, head+": ") && strings.Contains(line, words) {
			return
		}
		fmt.Fprintln(&text, line)
	}
	t.Errorf("no %q in\n%s", want, &text)
}

func worst(all []session.Finding) string {
	result := session.FindingOK
	for _, one := range all {
		if one.Result == session.FindingFail || one.Result == session.FindingWarn && result == session.FindingOK {
			result = one.Result
		}
	}
	return result
}

// A word that cannot be published or heard costs speed alone: grants are kept,
// refreshed and ended.
func TestWithoutTheRightToAChannelGrantsAreRefreshedAllTheSame(t *testing.T) {
	for _, missing := range []string{"&grants:*", "+publish", "+subscribe"} {
		t.Run(missing, func(t *testing.T) {
			server := redistest.Start(t)
			o := user(t, server, without(needed, missing)...)
			as := newAS(2 * time.Second)
			v := as.vault(t, o)
			h := as.grant(t, v)
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				_, err := v.Token(t.Context(), h)
				if errors.Is(err, session.ErrNoGrant) {
					t.Fatal(err)
				}
				if calls, _ := as.calls(); calls >= 3 && err == nil {
					break
				} else if time.Now().After(end) {
					t.Fatalf("%d refreshes of tokens that live for two seconds: %v", calls, err)
				}
			}
			if _, twice := as.calls(); len(twice) > 0 {
				t.Errorf("presented twice: %v", twice)
			}
			if err := v.End(t.Context(), h, session.EndedLogout); err != nil {
				t.Error(err)
			}
			if _, err := v.Token(t.Context(), h); !errors.Is(err, session.ErrNoGrant) {
				t.Errorf("after its end: %v", err)
			}
		})
	}
}

func TestEachRightThatIsMissingIsNamed(t *testing.T) {
	server := redistest.Start(t)
	o := user(t, server, needed...)
	all := Examine(t.Context(), o, time.Now)
	if worst(all) != session.FindingOK {
		t.Fatalf("with all rights: %+v", all)
	}
	says(t, all, "ok store rights: the user gateway may do all")
	says(t, all, "ok store version: Redis ")
	says(t, all, "ok store memory: noeviction")
	says(t, all, "ok store part: a master")
	if keys := server.Do("DBSIZE"); keys != ":0" {
		t.Errorf("keys are left: %s", keys)
	}
	for _, right := range needed {
		user(t, server, without(needed, right)...)
		all := Examine(t.Context(), o, time.Now)
		switch right {
		case "+wait": // for replicas alone
			o.Replicas = 1
			says(t, Examine(t.Context(), o, time.Now), "fail store rights: lacks the right +wait")
			o.Replicas = 0
		case "+ping":
			says(t, all, "fail store: ACL SETUSER gateway +ping")
		case "+info":
			says(t, all, "warn store version: ACL SETUSER gateway +info")
		default:
			says(t, all, "fail store rights: the user gateway lacks the right "+right+":")
			says(t, all, "fail store rights: -> ACL SETUSER gateway "+right)
			if n := len(slices.DeleteFunc(all, func(one session.Finding) bool { return one.Result != session.FindingFail })); n != 1 {
				t.Errorf("without %s %d lines fail", right, n)
			}
		}
	}
}

func TestTheStoreIsLookedAtBeforeGrantsAreKept(t *testing.T) {
	server := redistest.Start(t)
	o := at(server.Address())
	server.Do("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
	says(t, Examine(t.Context(), o, time.Now), "ok store memory: there is no maxmemory")
	server.Do("CONFIG", "SET", "maxmemory", "100mb")
	says(t, Examine(t.Context(), o, time.Now), "fail store memory: CONFIG SET maxmemory-policy noeviction")
	o.Replicas = 1
	o.Timeout = 200 * time.Millisecond
	says(t, Examine(t.Context(), o, time.Now), "fail store part: waits for 1 replicas, and 0 have it")
	o = at("127.0.0.1:1")
	says(t, Examine(t.Context(), o, time.Now), "fail store: see that it runs")
	guarded := redistest.Start(t, "--requirepass", "word")
	o = at(guarded.Address())
	says(t, Examine(t.Context(), o, time.Now), "fail store: correct username and password")
	o.Password = session.NewSecret("another word")
	all := Examine(t.Context(), o, time.Now)
	says(t, all, "fail store: correct username and password")
	if text := fmt.Sprint(all); strings.Contains(text, "another word") {
		t.Errorf("the password is shown: %s", text)
	}
}

func TestAReplicaIsNoPlaceForGrants(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	says(t, Examine(t.Context(), at(c.Replica.Address()), time.Now), "fail store part: it is a replica")
	all := Examine(t.Context(), sentinelOf(c), time.Now)
	says(t, all, "ok store part: 1 replicas have what is written")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	says(t, Examine(ctx, sentinelOf(c), time.Now), "fail store: ")
}
