package credential

import (
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
)

// hostOnly begins the names of our cookies: browsers keep one of such a name
// only for the host that set it, over https.
const hostOnly = "__Host-"

// UnreadCookie reports whether a cookie is a gateway's, and none that this one reads.
// A browser sends it to all of its host, so it stands for no mistake of the sender:
// it is taken off, and the request goes on. It is known by its form: one
// gateway does not know the names of another's.
func (p *Places) UnreadCookie(name, value string) bool {
	if p.session != "" && IsLoginCookie(p.session, name) {
		return false
	}
	switch {
	case holdsSession(name), holdsSession(value), isBegun(name, value):
		return true
	case !p.ours: // then these are some application's own affair
		return false
	}
	return HoldsOurs(name) || HoldsOurs(value) && !p.isPlace(place{cookie: name})
}

// What the cookies of a log-in are known by, wherever they turn up.
const (
	SessionPrefix = "ogs_"    // begins the handle in a session's cookie
	PendingMark   = "-login-" // stands between that cookie's name and the name of a log-in that has begun
	NameLength    = 8         // of a log-in's state, in the name of its cookie
)

// IsLoginCookie reports whether name is that of the session's cookie, or of a
// log-in that has begun beside it.
func IsLoginCookie(session, name string) bool {
	return name == session || IsBegunBeside(session, name)
}

// IsBegunBeside reports whether name is that of a log-in that has begun where
// session is the name of the session's cookie.
func IsBegunBeside(session, name string) bool {
	rest, ok := strings.CutPrefix(name, session)
	return ok && isBegunEnd(rest)
}

// leastBegun is less than any log-in that has begun takes, in characters: three
// times 32 random bytes and two addresses are in it.
const leastBegun = 200

// isBegun knows a log-in that has begun by its form.
func isBegun(name, value string) bool {
	return IsBegunName(name) && len(value) >= leastBegun && allBase64URL(value)
}

// IsBegunName reports whether name is that of a log-in that has begun, at any
// gateway.
func IsBegunName(name string) bool {
	at := len(name) - len(PendingMark) - NameLength
	return at > len(hostOnly) && strings.HasPrefix(name, hostOnly) && isBegunEnd(name[at:])
}

// isBegunEnd knows what stands behind the session cookie's name.
func isBegunEnd(rest string) bool {
	letters, marked := strings.CutPrefix(rest, PendingMark)
	return marked && len(letters) == NameLength && allBase64URL(letters)
}

func allBase64URL(text string) bool {
	for i := range len(text) {
		if !isBase64URL(text[i]) {
			return false
		}
	}
	return true
}

// SetsOurs reports whether a Set-Cookie field is about a cookie of ours. Without a
// name, the value is what a browser sends back, and would be read as a name.
func (p *Places) SetsOurs(field string) bool {
	pair, _, _ := strings.Cut(field, ";")
	name, value := lenient.CookieOf(pair)
	if name == "" {
		name, value = lenient.CookieOf(value)
	}
	if p.session != "" && IsLoginCookie(p.session, name) {
		return true
	}
	return holdsSession(pair) || isBegun(name, value)
}
