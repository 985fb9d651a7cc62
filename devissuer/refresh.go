package devissuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// maxFamilies bounds the memory; the oldest family makes room.
const maxFamilies = 10_000

// family is a refresh token with all its successors. Of them only the last is
// good; any other that comes back has been stolen or copied (RFC 9700 §4.14.2).
type family struct {
	clientID string
	subject  string
	scopes   []string // as first granted; a refresh may ask for fewer
	current  [sha256.Size]byte
	expires  time.Time
}

// families are the refresh tokens of a server. A token is "<family>.<secret>";
// the family's name is random and stands in its tokens alone. So a client that
// presents the name has held a token of the family, and reuse is seen without
// a list of used tokens.
type families struct {
	lifetime time.Duration

	mu    sync.Mutex
	byID  map[string]*family
	order []string // by expiry; may still name families that are gone
}

// start makes a family and returns its first token.
func (f *families) start(now time.Time, clientID, subject string, scopes []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.order) > 0 {
		oldest, alive := f.byID[f.order[0]]
		if alive && len(f.order) < maxFamilies && now.Before(oldest.expires) {
			break
		}
		delete(f.byID, f.order[0])
		f.order = f.order[1:]
	}
	id := random(16)
	member := &family{clientID: clientID, subject: subject, scopes: scopes, expires: now.Add(f.lifetime)}
	f.byID[id] = member
	f.order = append(f.order, id)
	return id + "." + member.next()
}

// rotate exchanges a token for its successor and the subject and scopes of the
// new access token. A refusal for the scope alone leaves the token good.
func (f *families) rotate(now time.Time, clientID, presented, scope string) (next, subject string, scopes []string, refused *tokenrequest.Error) {
	invalid := tokenrequest.Refuse(tokenrequest.InvalidGrant, "the refresh token is unknown, expired, used already or another client's")
	id, secret, _ := strings.Cut(presented, ".")
	digest := sha256.Sum256([]byte(secret))

	f.mu.Lock()
	defer f.mu.Unlock()
	member, ok := f.byID[id]
	if !ok || member.clientID != clientID {
		return "", "", nil, invalid
	}
	if !now.Before(member.expires) || subtle.ConstantTimeCompare(digest[:], member.current[:]) != 1 {
		delete(f.byID, id)
		return "", "", nil, invalid
	}
	scopes, refused = narrow(scope, member.scopes)
	if refused != nil {
		return "", "", nil, refused
	}
	return id + "." + member.next(), member.subject, scopes, nil
}

// next makes the family's next secret; the one before is good no more.
func (m *family) next() string {
	secret := random(32)
	m.current = sha256.Sum256([]byte(secret))
	return secret
}
