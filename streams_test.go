package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

const aFrame = "\x82\x05hello"

// everyKind opens an exchange of each kind that stays open.
type everyKind struct {
	*street
	ws           *webSocket
	torn         *webSocket // in the middle of a frame
	events, body *answered
	events2      *answered // over HTTP/2
	poll         chan *answered
	call         chan *answered
}

func (s *street) everyKind(token string) *everyKind {
	s.Helper()
	all := &everyKind{street: s, ws: s.webSocket("Authorization: Bearer " + token), torn: s.webSocket("Authorization: Bearer " + token)}
	all.ws.echo(aFrame)
	all.torn.echo(aFrame + aFrame[:3])
	all.poll = s.begin(1, "GET", "/poll", token)
	all.call = s.begin(2, "POST", "/call", token, "Content-Type", "application/grpc+proto", "Te", "trailers")
	all.events = soon(s.T, "events", s.begin(1, "GET", "/events", token))
	all.body = soon(s.T, "a body", s.begin(1, "GET", "/body", token))
	all.events2 = soon(s.T, "events over HTTP/2", s.begin(2, "GET", "/events", token))
	for _, a := range []*answered{all.events, all.body, all.events2} {
		if a.err != nil || a.StatusCode != http.StatusOK {
			s.Fatalf("%+v %v\n%s", a, a.err, s.log())
		}
	}
	await(s.T, "all to be open at the upstream", func() bool {
		return s.up.at("/ws") == 2 && s.up.at("/poll") == 1 && s.up.at("/call") == 1 && s.up.at("/events") == 2 && s.up.at("/body") == 1
	})
	return all
}

// stay fails unless all is open.
func (all *everyKind) stay(what string) {
	all.Helper()
	all.ws.echo(aFrame)
	select {
	case a := <-all.poll:
		all.Fatalf("%s: the long poll was answered: %+v", what, a)
	case err := <-all.events.rest:
		all.Fatalf("%s: the events end: %v", what, err)
	case err := <-all.body.rest:
		all.Fatalf("%s: the body ends: %v", what, err)
	case err := <-all.events2.rest:
		all.Fatalf("%s: the events over HTTP/2 end: %v", what, err)
	default:
	}
}

// end fails unless all ends, each in its way, and so many other WebSockets stay.
func (all *everyKind) end(code, others int) {
	all.Helper()
	if got, text := all.ws.closed(); got != code {
		all.Errorf("the WebSocket is closed with %d %q, want %d", got, text, code)
	}
	if got, _ := all.torn.closedMidway(); got != "" {
		all.Errorf("behind half a frame came %q", got)
	}
	poll := soon(all.T, "the end of the long poll", all.poll)
	if poll.err == nil && poll.StatusCode != http.StatusUnauthorized { // the client asks again by itself
		all.Errorf("the long poll: %+v", poll.Response)
	}
	for name, a := range map[string]*answered{"events": all.events, "a body": all.body, "events over HTTP/2": all.events2} {
		if err := soon(all.T, "the end of "+name, a.rest); err == nil {
			all.Errorf("%s end as if all had been said", name)
		}
	}
	call := soon(all.T, "the call", all.call)
	if err := soon(all.T, "the end of the call", call.rest); err != nil || call.Trailer.Get("Grpc-Status") != "16" {
		all.Errorf("the call: %v %v", err, call.Trailer)
	}
	await(all.T, "the upstream to know", func() bool {
		all.up.mu.Lock()
		defer all.up.mu.Unlock()
		open := 0
		for _, n := range all.up.open {
			open += n
		}
		return open == others && all.up.open["/ws"] == others
	})
}

// closedMidway waits for the end in the middle of a frame.
func (ws *webSocket) closedMidway() (rest string, err error) {
	all, err := io.ReadAll(ws.from)
	return string(all), err
}

func TestWhatIsOpenEndsWithItsGrant(t *testing.T) {
	for name, end := range map[string]func(*street, tokenAnswer){
		"revoked by its client": func(s *street, tok tokenAnswer) {
			if status, _, body := s.ask(http.MethodPost, "/revoke", "token="+tok.AccessToken, basic(s.client, "s")...); status != http.StatusOK {
				s.Fatal(status, body)
			}
		},
		"ended by an operator": func(s *street, _ tokenAnswer) {
			if err := grants.Each(s.Context(), func(_ string, v *session.Vault) error {
				n, err := v.EndSubject(s.Context(), s.issuer.URL, s.client, session.EndedAdmin)
				if n != 1 {
					t.Errorf("ended %d", n)
				}
				return err
			}); err != nil {
				s.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, "streams {\nclose_code 4401\n}")
			tok, other := s.token(), s.token2()
			all := s.everyKind(tok.AccessToken)
			another := s.webSocket("Authorization: Bearer " + other.AccessToken)
			end(s, tok)
			all.end(4401, 1)
			another.echo(aFrame)
			if log := s.log(); strings.Count(log, "ended an open exchange") != 7 || strings.Contains(log, tok.AccessToken[:20]) {
				t.Errorf("log: %s", grep(log, "exchange"))
			}
		})
	}
}

// token2 is a token of another client.
func (s *street) token2() tokenAnswer {
	s.Helper()
	client := s.client
	s.client = nextAddress()
	defer func() { s.client = client }()
	return s.token()
}

func TestWhatIsOpenEndsWithAnAccessTokenThatNothingRenews(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("on_expiry keep: ", keep), func(t *testing.T) {
			s := newStreet(t, map[bool]string{true: "streams {\non_expiry keep\n}"}[keep])
			token := s.issuer.access("alice", map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()})
			ws := s.webSocket("Authorization: Bearer " + token)
			call := s.begin(2, "POST", "/call", token, "Content-Type", "application/grpc")
			events := soon(t, "events", s.begin(1, "GET", "/events", token))
			await(t, "the token to run out", func() bool { return s.status(tokenAnswer{AccessToken: token}) == http.StatusUnauthorized })
			if !keep {
				if code, text := ws.closed(); code != 1008 || text != "the access token has expired" {
					t.Errorf("closed with %d %q", code, text)
				}
				c := soon(t, "the call", call)
				if err := soon(t, "its end", c.rest); err != nil || c.Trailer.Get("Grpc-Status") != "16" {
					t.Errorf("the call: %v %v", err, c.Trailer)
				}
			} else {
				await(t, "a token that runs out later to be judged", func() bool { ws.echo(aFrame); return strings.Count(s.log(), `"reason":"token_expired"`) > 0 })
			}
			select {
			case err := <-events.rest:
				t.Error("a plain answer is cut off while it is young: ", err)
			default:
			}
		})
	}
}

func TestARefreshClosesNothing(t *testing.T) {
	s := newStreet(t, "")
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		token := s.issuer.access(q.client(), map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()})
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":2,"access_token":%q}`, token)
	})
	all := s.everyKind(s.token().AccessToken)
	before := s.issuer.count()
	await(t, "refreshes with no request", func() bool { all.stay("after a refresh"); return s.issuer.count() >= before+3 })
	// An outage of the issuer is no log-out.
	s.issuer.says(http.StatusServiceUnavailable, "")
	failed := s.issuer.count()
	await(t, "refreshes that fail", func() bool { all.stay("while the issuer is away"); return s.issuer.count() >= failed+2 })
	all.stay("in the end")
}

func TestARefreshThatIsRefusedEndsWhatIsOpen(t *testing.T) {
	s := newStreet(t, "")
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		token := s.issuer.access("alice", map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()})
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":2,"access_token":%q}`, token)
	})
	tok := s.token()
	ws := s.webSocket("Authorization: Bearer " + tok.AccessToken)
	s.issuer.says(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	if code, _ := ws.closed(); code != 1008 {
		t.Errorf("closed with %d", code)
	}
}

func grep(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func TestWhatIsOpenEndsWhenItsTokenIsTakenBack(t *testing.T) {
	for name, what := range map[string]string{"by subject": `"subject": "alice"`, "by jti": `"jti": "the-one"`} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, "")
			all := s.everyKind(s.issuer.access("alice", map[string]any{"jti": "the-one"}))
			other := s.webSocket("Authorization: Bearer " + s.issuer.access("bob"))
			revokes(t, http.MethodPost, fmt.Sprintf(`{"issuer": %q, %s}`, s.issuer.URL, what), 200)
			all.end(1008, 1)
			other.echo(aFrame)
		})
	}
}

// A token may be taken back whose grant nothing ends at once: where its id is named, or
// what is open is judged before the grant is ended.
func TestWhatIsOpenOfAGrantEndsWhenItsTokenIsTakenBack(t *testing.T) {
	s := newStreet(t, "")
	s.issuer.reply(func(w http.ResponseWriter, q *asked) {
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":600,"access_token":%q}`, s.issuer.access(q.client(), map[string]any{"jti": "of " + q.client()}))
	})
	tok, another := s.token(), s.token2()
	all := s.everyKind(tok.AccessToken)
	other := s.webSocket("Authorization: Bearer " + another.AccessToken)
	revokes(t, http.MethodPost, fmt.Sprintf(`{"issuer": %q, "jti": "of %s"}`, s.issuer.URL, s.client), 200)
	all.end(1008, 1)
	other.echo(aFrame)
	s.want("its grant", tok, http.StatusUnauthorized)
}

// A connection that lives through a reload is judged as before.
func TestWhatIsOpenLivesThroughAReloadAndStillEndsWithItsGrant(t *testing.T) {
	s := newStreet(t, "streams {\nclose_code 4401\n}")
	s.cut = "stream_close_delay 1h"
	s.open()
	tok := s.token()
	bearer := "Authorization: Bearer " + tok.AccessToken
	jwt := s.issuer.access("alice")
	ws, direct := s.webSocket(bearer), s.webSocket("Authorization: Bearer "+jwt)
	events := soon(t, "events", s.begin(1, "GET", "/events", tok.AccessToken))
	s.more = ""
	s.open()
	ws.echo(aFrame)
	s.want("after the reload", tok, http.StatusOK)
	ws.echo(aFrame)
	direct.echo(aFrame)
	select {
	case err := <-events.rest:
		t.Fatal("the events end: ", err)
	default:
	}
	if status, _, body := s.ask(http.MethodPost, "/revoke", "token="+tok.AccessToken, basic(s.client, "s")...); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if code, _ := ws.closed(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	if err := soon(t, "the end of the events", events.rest); err == nil {
		t.Error("the events end as if all had been said")
	}
	direct.echo(aFrame)
	revokes(t, http.MethodPost, fmt.Sprintf(`{"issuer": %q, "subject": "alice"}`, s.issuer.URL), 200)
	if code, _ := direct.closed(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
}
