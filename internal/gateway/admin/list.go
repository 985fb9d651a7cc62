package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

const (
	listAtMost = 1000   // grants in an answer, unless another number is asked for
	lookAtMost = 20_000 // that one answer looks at, though few of them fit
)

// LookedAt is the header that tells at how many grants an answer looked, and
// Unread the one that tells how many records it could not read.
const (
	LookedAt = "Grants-Looked-At"
	Unread   = "Grants-Unread"
)

// listing is what one asks for, and what is found.
type listing struct {
	page         session.Page
	state, store string
	begin        string // the store to begin with; "": the first

	limit        int
	found        []Grant
	looked, left int
	next         string // where the next page begins; "": there is none
}

// serveGrants lists grants. Where there are more, the header Link names the next
// page (RFC 8288).
func serveGrants(w http.ResponseWriter, r *http.Request) error {
	l, err := readListing(r.URL.Query())
	if err != nil {
		return BadRequest(err.Error())
	}
	var known []string
	wrong := false
	if err := eachOpenVault(r.Context(), func(store string, s *session.Vault) error {
		known = append(known, store)
		err := l.visit(r, store, s)
		if errors.Is(err, session.ErrNoPage) {
			wrong = true
			return nil
		}
		return err
	}); err != nil {
		return err
	}
	switch {
	case wrong:
		return BadRequest("after takes what the page before named as its end")
	case l.store != "" && !slices.Contains(known, l.store):
		return BadRequest(fmt.Sprintf("store takes one of %q", known))
	}
	w.Header().Set(LookedAt, strconv.Itoa(l.looked))
	if l.left > 0 {
		w.Header().Set(Unread, strconv.Itoa(l.left))
	}
	if l.next != "" {
		query := r.URL.Query()
		query.Set("after", l.next)
		w.Header().Set("Link", "<"+GrantsPath+"?"+query.Encode()+`>; rel="next"`)
	}
	return Answer(w, l.found)
}

func readListing(query url.Values) (l *listing, err error) {
	l = &listing{limit: listAtMost, found: []Grant{}, state: query.Get("state"), store: query.Get("store")}
	l.page.Issuer, l.page.Subject = query.Get("issuer"), query.Get("subject")
	if (l.page.Issuer == "") != (l.page.Subject == "") {
		return nil, errors.New("name issuer and subject, or none of them")
	}
	if text := query.Get("limit"); text != "" {
		if l.limit, err = strconv.Atoi(text); err != nil || l.limit < 1 {
			return nil, errors.New("limit takes a number above zero")
		}
	}
	if l.state != "" {
		if !slices.Contains(States, l.state) {
			return nil, fmt.Errorf("state takes one of %s", strings.Join(States, ", "))
		}
		l.page.Fits = func(one session.Summary) bool { return stateOf(&one) == l.state }
	}
	if after := query.Get("after"); after != "" {
		store, at, _ := strings.Cut(after, ".")
		name, err := base64.RawURLEncoding.DecodeString(store)
		if err != nil {
			return nil, errors.New("after takes what the page before named as its end")
		}
		l.begin, l.page.After = string(name), at
	}
	return l, nil
}

// visit takes what is wanted of one store, of which there may be more to come.
func (l *listing) visit(r *http.Request, store string, s *session.Vault) error {
	page := l.page
	switch {
	case l.store != "" && store != l.store, store < l.begin, l.next != "":
		return nil
	case store != l.begin:
		page.After = ""
	}
	page.Most, page.Look = l.limit-len(l.found), lookAtMost-l.looked
	name := base64.RawURLEncoding.EncodeToString([]byte(store))
	if page.Most <= 0 || page.Look <= 0 {
		l.next = name + "."
		return nil
	}
	end, looked, err := s.ListPage(r.Context(), page, func(one session.Summary) {
		l.found = append(l.found, Grant{
			Sref: one.Sref, State: stateOf(&one), Reason: one.Reason, Renewals: one.Renewals,
			Created: one.Created, LastUsed: one.LastUsed, Until: one.Until, Store: store,
		})
	})
	l.looked += looked
	if unread, ok := errors.AsType[*session.Unread](err); ok {
		l.left += unread.N
		err = nil
	}
	if end != "" {
		l.next = name + "." + end
	}
	return err
}
