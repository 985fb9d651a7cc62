package redisstore

import (
	"strconv"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// fileEntries is a function for scripts that write a row: it brings the row's
// entries into sorted sets, KEYS[2] to the last but one, or takes them away. Of ARGV
// from first on the first says how many of the sets are of a digest, and vanish
// with their last row's end; the others are the entries' scores, "" for none. Where
// that fails, for want of a right perhaps, the row is written all the same, and the
// last of KEYS is deleted, which says that the sets are whole.
const fileEntries = `
local function file(member, first)
	local ok = true
	local function call(...)
		local answer = redis.pcall(...)
		if type(answer) == 'table' and answer.err then ok = false end
		return answer
	end
	for i = 2, #KEYS - 1 do
		local score = ARGV[first + i - 1]
		if score == '' then
			call('ZREM', KEYS[i], member)
		else
			call('ZADD', KEYS[i], score, member)
			if i < 2 + tonumber(ARGV[first]) then
				local last = call('ZRANGE', KEYS[i], 0, 0, 'REV', 'WITHSCORES')
				if ok then call('PEXPIREAT', KEYS[i], last[2]) end
			end
		end
	end
	if not ok then redis.pcall('DEL', KEYS[#KEYS]) end
end
`

// letters of the indexes by digests.
var letters = map[session.Index]string{session.BySubject: "s", session.ByUser: "b", session.BySession: "i", session.ByHolder: "h"}

// Sets of all grants. Their members are keys.
const (
	setUsed  = "used"  // live ones, by their last use as it was when they were put there
	setEnded = "ended" // tombstones, by their end
	setOpen  = "open"  // unsettled ones, by the end of their lease, or 0
	wholeKey = "whole" // says that all rows are in the sets
)

func (s *Store) aside(name string) string { return s.names + name }

// under is the name of a set by a digest; its scores are the rows' ends.
func (s *Store) under(by session.Index, id session.ID) string {
	return s.names + letters[by] + ":" + nameEncoding.EncodeToString(id[:])
}

// filing is what a script does to the sets.
type filing struct {
	digests, others []string
	ends, scores    []any // of the digests, and of the others
	whole           string
}

const none = "" // the score of what is taken away

func (f *filing) digest(name, score string) {
	f.digests = append(f.digests, name)
	f.ends = append(f.ends, score)
}

func (f *filing) other(name, score string) {
	f.others = append(f.others, name)
	f.scores = append(f.scores, score)
}

func (f *filing) names(row string) []string {
	all := append(append(make([]string, 0, len(f.digests)+len(f.others)+2), row), f.digests...)
	return append(append(all, f.others...), f.whole)
}

func (f *filing) args(before ...any) []any {
	return append(append(append(before, len(f.digests)), f.ends...), f.scores...)
}

func millis(t time.Time) string { return strconv.FormatInt(max(0, t.UnixMilli()), 10) }

// created are the entries of a row that may be in no set.
func (s *Store) created(row *session.Row) *filing {
	f := &filing{whole: s.aside(wholeKey)}
	for _, by := range session.Indexes {
		if id := row.Under(by); id != (session.ID{}) {
			f.digest(s.under(by, id), strconv.FormatInt(end(row), 10))
		}
	}
	switch row.Standing() {
	case session.NoGrant:
	case session.Ended:
		f.other(s.aside(setEnded), strconv.FormatInt(end(row), 10))
	case session.Unsettled:
		f.other(s.aside(setOpen), openUntil(row))
		f.other(s.aside(setUsed), s.usedScore(row))
	case session.Settled:
		f.other(s.aside(setUsed), s.usedScore(row))
	}
	return f
}

// swapped are the entries that a change may have moved.
func (s *Store) swapped(row *session.Row) *filing {
	f := &filing{whole: s.aside(wholeKey)}
	switch row.Standing() {
	case session.NoGrant:
	case session.Ended:
		for by, id := range map[session.Index]session.ID{session.ByUser: row.User, session.BySession: row.Session, session.ByHolder: row.Holder} {
			if id != (session.ID{}) {
				f.digest(s.under(by, id), none)
			}
		}
		f.other(s.aside(setEnded), strconv.FormatInt(end(row), 10))
		f.other(s.aside(setOpen), none)
		f.other(s.aside(setUsed), none)
	case session.Unsettled:
		f.other(s.aside(setOpen), openUntil(row))
	case session.Settled:
		f.other(s.aside(setOpen), none)
	}
	return f
}

// deleted takes all entries away. nil: what is deleted cannot be read.
func (s *Store) deleted(row *session.Row) *filing {
	f := &filing{whole: s.aside(wholeKey)}
	if row == nil || row.Purpose != session.ForGrant {
		return f
	}
	for _, by := range session.Indexes {
		if id := row.Under(by); id != (session.ID{}) {
			f.digest(s.under(by, id), none)
		}
	}
	for _, name := range []string{setEnded, setOpen, setUsed} {
		f.other(s.aside(name), none)
	}
	return f
}

// openUntil is the end of an open intent's lease; 0 where there is none.
func openUntil(row *session.Row) string {
	if !row.Intent.Open {
		return "0"
	}
	return millis(row.Intent.Lease)
}

// usedScore is the row's last use, or an earlier time, so that its entry comes up
// by the row's end: once idle is known, from how far back is asked.
func (s *Store) usedScore(row *session.Row) string {
	at := row.LastUsed
	if idle := time.Duration(s.idle.Load()); idle > 0 {
		if latest := row.Until.Add(-idle); latest.Before(at) {
			at = latest
		}
	}
	return millis(at)
}
