package login

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

const (
	pendingLife  = 10 * time.Minute
	mostPending  = 16   // log-ins that one browser may have begun
	mostLooked   = 24   // of their cookies in one request, whatever it brings
	pendingBytes = 4096 // of their cookies together: proxies in front refuse long headers
	stateLetters = 43   // 32 bytes in base64url
	sealLogin    = "login"
)

// pending is a log-in that has begun. It travels with the browser, sealed, in a
// cookie of its own: so any node can finish it, each tab has its own, and a
// dump of the store opens nothing. pendingcodec.go says how it is written.
type pending struct {
	State, Nonce string `json:"-"`
	Verifier     string `json:"-"` // RFC 7636 §4.1

	Return   string `json:"r"`           // a path of this site
	Redirect string `json:"u"`           // redirect_uri, as it was sent
	Began    int64  `json:"-"`           // nanoseconds since 1970
	Again    bool   `json:"a,omitempty"` // it began by itself, after one that the issuer had no time for
	StepUp   stepUp `json:"b,omitzero"`

	seed [32]byte // what the first three are made of
}

func (l *Login) newPending(o siteURL, target string, want stepUp) *pending {
	p := &pending{Return: l.returnTo(o, target), Redirect: o.origin() + o.mount + l.CallbackPath(), Began: time.Now().UnixNano(), StepUp: want}
	_, _ = rand.Read(p.seed[:]) // never fails: crypto/rand ends the process first
	p.derive()
	if len(p.text()) > mostText { // browsers would not keep it
		p.Return, _, _ = strings.Cut(p.Return, "?")
	}
	if len(p.text()) > mostText {
		p.Return = l.returnTo(o, "")
	}
	return p
}

func (p *pending) began() time.Time { return time.Unix(0, p.Began) }

// challenge is the verifier's S256 (RFC 7636 §4.2).
func (p *pending) challenge() string {
	sum := sha256.Sum256([]byte(p.Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (l *Login) pendingName(state string) string {
	return l.CookieName() + credential.PendingMark + state[:credential.NameLength]
}

// keep gives the browser its log-in, and takes the oldest ones away that are
// too many. How old one is stands in its sealed text alone.
func (l *Login) keep(w http.ResponseWriter, r *http.Request, vault *session.Vault, p *pending) error {
	name := l.pendingName(p.State)
	sealed, err := vault.Seal(sealLogin, name, p.text())
	if err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(sealed)
	for _, old := range l.surplus(r, vault, len(name)+len(value)) {
		setCookie(w, old, "", -1)
	}
	setCookie(w, name, value, int(pendingLife/time.Second))
	return nil
}

// begun is a cookie of a log-in that this browser has begun.
type begun struct {
	name string
	size int
	at   int64 // 0: it does not open
}

// begun are the log-ins that this browser has begun, the first mostLooked: a
// stranger may send as many as fit into a header, and each has to be opened.
// Browsers send the oldest first, so what is left for the next time is younger.
func (l *Login) begun(h http.Header, vault *session.Vault) (all []begun) {
	for _, field := range h["Cookie"] {
		for name, value := range lenient.Cookies(field) {
			if !credential.IsBegunBeside(l.CookieName(), name) {
				continue
			}
			one := begun{name: name, size: len(name) + len(value)}
			one.at = beganAt(openPending(vault, name, value))
			if all = append(all, one); len(all) == mostLooked {
				return all
			}
		}
	}
	return all
}

// surplus are the names of pending log-ins that have to go for another one.
func (l *Login) surplus(r *http.Request, vault *session.Vault, size int) (gone []string) {
	all := l.begun(r.Header, vault)
	slices.SortFunc(all, func(a, b begun) int { return cmp.Compare(b.at, a.at) }) // the youngest first
	for n, one := range all {
		if size += one.size; n+1 < mostPending && size <= pendingBytes && one.at != 0 {
			continue
		}
		if !slices.Contains(gone, one.name) {
			gone = append(gone, one.name)
		}
	}
	return gone
}

// openPending opens what is sealed in a cookie; nil: it does not open.
func openPending(vault *session.Vault, name, value string) []byte {
	if len(value) > pendingBytes {
		return nil
	}
	sealed, err := strictBase64.DecodeString(value)
	if err != nil {
		return nil
	}
	text, err := vault.Open(sealLogin, name, sealed)
	if err != nil {
		return nil
	}
	return text
}

var strictBase64 = base64.RawURLEncoding.Strict()

// pendingOf finds the log-in that a callback's state belongs to, in the browser
// that began it. None: it is another browser's, used up or too old.
func (l *Login) pendingOf(r *http.Request, vault *session.Vault, state string) *pending {
	if len(state) != stateLetters {
		return nil
	}
	name := l.pendingName(state)
	values := credential.CookieValues(r, name)
	if len(values) != 1 {
		return nil
	}
	p := readPending(openPending(vault, name, values[0]))
	if p == nil || subtle.ConstantTimeCompare([]byte(p.State), []byte(state)) != 1 {
		return nil
	}
	// Nodes' clocks may differ a little.
	if age := time.Since(p.began()); age > pendingLife || age < -time.Minute {
		return nil
	}
	return p
}
