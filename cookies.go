package caddyoauth

import "strings"

// hostOnly begins the names of our cookies: browsers keep one of such a name
// only for the host that set it, over https.
const hostOnly = "__Host-"

// strayCookie tells whether a cookie is a gateway's, and none that this one reads.
// A browser sends it to all of its host, so it stands for no mistake of anybody:
// it is taken off, and nobody is refused for it. It is known by its form: one
// gateway does not know the names of another's.
func (g *Gateway) strayCookie(name, value string) bool {
	if g.Login != nil && isLoginCookie(g.Login.cookieName(), name) {
		return false
	}
	switch {
	case holdsSession(name), holdsSession(value), isBegun(name, value):
		return true
	case g.keeper == nil: // then these are some application's own affair
		return false
	}
	return holdsOurs(name) || holdsOurs(value) && !g.isPlace(place{cookie: name})
}

// What the cookies of a log-in are known by, wherever they turn up.
const (
	sessionPrefix = "ogs_"    // begins the handle in a session's cookie
	pendingMark   = "-login-" // stands between that cookie's name and the name of a log-in that has begun
	nameLetters   = 8         // of a log-in's state, in the name of its cookie
)

// isLoginCookie reports whether name is that of the session's cookie, or of a
// log-in that has begun beside it.
func isLoginCookie(session, name string) bool {
	return name == session || isBegunBeside(session, name)
}

// isBegunBeside reports whether name is that of a log-in that has begun where
// session is the name of the session's cookie.
func isBegunBeside(session, name string) bool {
	rest, ok := strings.CutPrefix(name, session)
	return ok && isBegunEnd(rest)
}

// leastBegun is less than any log-in that has begun takes, in letters: three
// times 32 random bytes and two addresses are in it.
const leastBegun = 200

// isBegun knows a log-in that has begun by its form.
func isBegun(name, value string) bool {
	return isBegunName(name) && len(value) >= leastBegun && allBase64URL(value)
}

func isBegunName(name string) bool {
	at := len(name) - len(pendingMark) - nameLetters
	return at > len(hostOnly) && strings.HasPrefix(name, hostOnly) && isBegunEnd(name[at:])
}

// isBegunEnd knows what stands behind the session cookie's name.
func isBegunEnd(rest string) bool {
	letters, marked := strings.CutPrefix(rest, pendingMark)
	return marked && len(letters) == nameLetters && allBase64URL(letters)
}

func allBase64URL(text string) bool {
	for i := range len(text) {
		if !isBase64URL(text[i]) {
			return false
		}
	}
	return true
}
