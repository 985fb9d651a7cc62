package as

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// wellKnown lists where an issuer's metadata may be: RFC 8414 §3.1 and its form
// for OpenID Connect with the path inserted, then OpenID Connect Discovery §4.1
// with the path in front, which most servers know.
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the issuer %q is not a URL", issuer)
	}
	root, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	forms := []string{
		root + "/.well-known/oauth-authorization-server" + path,
		root + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		forms = append(forms, root+path+"/.well-known/openid-configuration")
	}
	return forms, nil
}

// The time that places of metadata get.
const (
	placeWithin  = 3 * time.Second // one of several places
	othersWithin = time.Second     // the others, once one has answered well
)

// visit is what came of asking one place for metadata.
type visit struct {
	address string
	doc     *document
	err     error // why there is no document
}

var errSilent = errors.New("no answer in time")

// places are where the issuer's metadata may be.
func (s *Server) places() ([]string, error) {
	if s.cfg.Metadata != "" {
		return []string{s.cfg.Metadata}, nil
	}
	if s.cfg.Signals {
		return wellKnownSignals(s.cfg.Issuer)
	}
	return wellKnown(s.cfg.Issuer)
}

// discover finds the addresses in the issuer's metadata.
func (s *Server) discover(ctx context.Context) error {
	places, err := s.places()
	if err != nil {
		return err
	}
	if err := s.adopt(s.ask(ctx, places)); err != nil {
		return fmt.Errorf("reading the metadata: %w", err)
	}
	return nil
}

// ask asks all places at once: one that hangs, resets or is guarded must not keep
// the others from being asked.
func (s *Server) ask(ctx context.Context, places []string) []visit {
	within := placeWithin
	if len(places) == 1 && s.cfg.JWKS == "" {
		within = attempt // else the keys, which are elsewhere, need some of it
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type answer struct {
		place int
		doc   *document
		err   error
	}
	came := make(chan answer, len(places))
	found := make([]visit, len(places))
	for i, address := range places {
		found[i] = visit{address: address, err: fmt.Errorf("%s: %w", address, errSilent)}
		go func() {
			doc, err := s.readDocument(ctx, address)
			came <- answer{i, doc, err}
		}()
	}
	var enough <-chan time.Time
	for range places {
		select {
		case one := <-came:
			found[one.place].doc, found[one.place].err = one.doc, one.err
			if one.doc != nil && enough == nil {
				timer := time.NewTimer(othersWithin)
				defer timer.Stop()
				enough = timer.C
			}
		case <-enough:
			return found
		}
	}
	return found
}

// distinct are the visits without those that failed for the same reason as one
// before: no server there, however often asked.
func distinct(found []visit) (told []visit) {
	seen := map[string]bool{}
	for _, v := range found {
		if v.err == nil || !seen[reasonOf(v.err)] {
			told = append(told, v)
		}
		if v.err != nil {
			seen[reasonOf(v.err)] = true
		}
	}
	return told
}

// reasonOf is an error's text without the address that was asked, where no answer
// came from there.
func reasonOf(err error) string {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err.Error()
	}
	return err.Error()
}

// otherIssuerError is what metadata are that another issuer speaks in.
type otherIssuerError struct {
	found, configured string
	tokens            bool // configured is what their access tokens name
}

func (e *otherIssuerError) Error() string {
	if e.tokens {
		return fmt.Sprintf("its issuer is %.200q, and %q is what it calls itself in access tokens: write issuer %[1]s { access_token_issuer %[2]s }", e.found, e.configured)
	}
	return fmt.Sprintf("its issuer is %.200q, configured is %q", e.found, e.configured)
}

func (s *Server) readDocument(ctx context.Context, address string) (*document, error) {
	ctx, route := allowAnyAddress(ctx, s.cfg.dialing().zone)
	doc, fresh, err := s.get(ctx, address)
	if err != nil {
		return nil, err
	}
	members, err := token.ParseObject(string(doc))
	if err != nil {
		return nil, &answerError{address: address, err: err}
	}
	// Exact text, or one issuer could speak for another (RFC 8414 §3.3).
	if issuer, _ := members["issuer"].(string); issuer != s.cfg.Issuer {
		return nil, &answerError{address: address, err: &otherIssuerError{issuer, s.cfg.Issuer, members["access_token_issuer"] == s.cfg.Issuer}}
	}
	return &document{address: address, members: members, from: route.to, fresh: fresh}, nil
}

// adopt uses what the places answered. What a place said last time counts while
// it does not answer and another one does, but behind what that one says now.
func (s *Server) adopt(found []visit) error {
	var said, kept documents
	var failures []error
	fresh := Ceiling
	known := map[string]*document{}
	for _, v := range found {
		switch doc := v.doc; {
		case doc != nil:
			known[v.address], fresh = doc, min(fresh, doc.fresh)
			said = append(said, doc)
		case unanswered(v.err) && s.documents[v.address] != nil:
			known[v.address] = s.documents[v.address]
			kept = append(kept, known[v.address])
		}
	}
	for _, v := range distinct(found) {
		failures = append(failures, v.err)
	}
	if len(said) == 0 {
		return errors.Join(failures...)
	}
	s.documents = known
	said = append(said, kept...)
	// Before the keys: an issuer of opaque tokens alone may publish none.
	s.endpoints.Store(s.readEndpoints(said))
	if len(kept) == 0 { // else it may have said something else by now
		s.tellDiffering(said.differ())
	}
	keys, err := s.usable(said, "jwks_uri")
	if err != nil && s.cfg.JWKS == "" {
		return &answerError{address: said[0].address, err: err}
	}
	s.keysURL, s.keysFrom, s.metaAt, s.metaUntil = keys, said.from(), said[0].address, s.cfg.Now().Add(fresh)
	return nil
}

// tellDiffering tells of documents that contradict each other, once.
func (s *Server) tellDiffering(differ []string) {
	if !slices.Equal(differ, s.differ) && len(differ) > 0 {
		s.observe(Event{Op: OpContradiction, Differ: differ})
	}
	s.differ = differ
}

// unanswered reports whether a place may have metadata all the same.
func unanswered(err error) bool {
	bad, answered := errors.AsType[*answerError](err)
	return !answered || bad.status >= http.StatusInternalServerError || bad.status == http.StatusTooManyRequests
}
