package caddyoauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a grant's own access token was refused for was once looked up with the request
// that had opened the connection, and there is none any more: the process ended.
func TestWhatIsOpenEndsWhenTheClientOfItsGrantIsTakenBack(t *testing.T) {
	s := newStreet(t, "streams {\nclose_code 4401\n}")
	all := s.everyKind(s.token().AccessToken)
	other := s.webSocket("Authorization: Bearer " + s.token2().AccessToken)
	revokes(t, http.MethodPost, fmt.Sprintf(`{"issuer": %q, "client": %q}`, s.issuer.URL, s.client), 200)
	all.end(4401, 1)
	other.echo(aFrame)
}

// listed has the issuer's status lists looked at, from the next start on.
func (s *street) listed() *statuses {
	lists := newStatuses(s.T, s.issuer.key)
	s.issuerWords = "status_lists " + lists.URL
	s.open()
	return lists
}

func TestWhatIsOpenEndsWhenItsStatusListTakesItsTokenBack(t *testing.T) {
	s := newStreet(t, "")
	lists := s.listed()
	all := s.everyKind(lists.token(s.issuer, 3))
	other, without := s.webSocket("Authorization: Bearer "+lists.token(s.issuer, 2)), s.webSocket("Authorization: Bearer "+s.issuer.access("bob"))
	lists.change(func() { lists.bits = 0b1000 })
	all.end(1008, 2)
	other.echo(aFrame)
	without.echo(aFrame)
	if log := s.log(); strings.Count(log, `"reason":"token_status"`) < 7 {
		t.Errorf("log: %s", grep(log, "exchange"))
	}
}

// A grant gets another token, which has a place of its own.
func TestAGrantWhoseTokenAStatusListTakesBackKeepsWhatIsOpen(t *testing.T) {
	s := newStreet(t, "")
	lists := s.listed()
	var granted atomic.Int32
	s.issuer.reply(func(w http.ResponseWriter, _ *asked) {
		n := int(granted.Add(1)) - 1
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, lists.token(s.issuer, n), int(time.Hour.Seconds()))
	})
	all := s.everyKind(s.token().AccessToken)
	lists.change(func() { lists.bits = 0b1 })
	await(t, "the next access token", func() bool { all.stay("after a status list"); return granted.Load() > 1 })
	all.stay("with another access token")
}

func TestWhatIsOpenEndsWhenARefreshTokenIsUsedAgain(t *testing.T) {
	s := newStreet(t, "streams {\nclose_code 4401\n}")
	form := func(form string) (tok tokenAnswer) {
		_, _, body := s.ask(http.MethodPost, "/auth", form)
		_ = json.Unmarshal([]byte(body), &tok)
		return tok
	}
	first := form(codeForm)
	all := s.everyKind(first.AccessToken)
	next := form("grant_type=refresh_token&client_id=app&refresh_token=" + first.RefreshToken)
	all.stay("after a refresh")
	if last := form("grant_type=refresh_token&client_id=app&refresh_token=" + next.RefreshToken); last.RefreshToken == "" {
		t.Fatalf("no refresh: %+v %+v %+v\n%s", first, next, last, s.log())
	}
	all.stay("after another one")
	if again := form("grant_type=refresh_token&client_id=app&refresh_token=" + first.RefreshToken); again.AccessToken != "" {
		t.Error("a refresh token counts twice")
	}
	all.end(4401, 0)
	if log := s.log(); strings.Count(log, `"reason":"reuse"`) < 7 {
		t.Errorf("log: %s", grep(log, "exchange"))
	}
}

func TestWhatIsOpenEndsWhenARefreshBringsAnothersToken(t *testing.T) {
	s := newStreet(t, "")
	var other atomic.Bool
	s.issuer.reply(func(w http.ResponseWriter, _ *asked) {
		whose := map[bool]string{false: "alice", true: "mallory"}[other.Load()]
		token := s.issuer.access(whose, map[string]any{"exp": time.Now().Add(2 * time.Second).Unix()})
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":2,"access_token":%q}`, token)
	})
	all := s.everyKind(s.token().AccessToken)
	all.stay("before")
	other.Store(true)
	all.end(1008, 0)
	// Whoever finds it says subject; who comes behind may find no grant any more.
	if log := s.log(); strings.Count(log, `"reason":"subject"`) == 0 || strings.Count(log, "ended an open exchange") != 7 {
		t.Errorf("log: %s", grep(log, "exchange"))
	}
}

func TestWhatIsOpenEndsWhenTheIssuerLogsOut(t *testing.T) {
	s := &street{deployment: newDeployment(t), up: newTalker(t), more: "login\nstreams {\nclose_code 4401\n}"}
	s.issuer.metadata["authorization_endpoint"] = s.issuer.URL + "/authorize?tenant=1"
	p := &portal{gate: &gate{TB: t, clock: &s.issuer.clock}, issuer: s.issuer}
	s.issuer.reply(p.token)
	s.open()
	mine := s.logIn(p)
	p.claims = map[string]any{"sid": "sid-2"}
	const here = "\r\nSec-Fetch-Site: same-origin"
	ws, other := s.webSocket("Cookie: "+mine+here), s.webSocket("Cookie: "+s.logIn(p)+here)
	events := soon(t, "events", s.begin(1, "GET", "/events", "", "Cookie", mine))
	call := s.begin(2, "POST", "/call", "", "Cookie", mine, "Content-Type", "application/grpc", "Sec-Fetch-Site", "same-origin")
	await(t, "all to be open", func() bool { return s.up.at("/ws") == 2 && s.up.at("/events") == 1 && s.up.at("/call") == 1 })
	ws.echo(aFrame)
	if status, _, body := s.ask(http.MethodPost, "/_oauth/backchannel_logout", "logout_token="+p.logoutToken("logout+jwt", map[string]any{"sid": "sid-1"})); status != http.StatusOK {
		t.Fatal(status, body, s.log())
	}
	if code, text := ws.closed(); code != 4401 || text != "the session has ended" {
		t.Errorf("closed with %d %q", code, text)
	}
	if err := soon(t, "the end of the events", events.rest); err == nil {
		t.Error("the events end as if all had been said")
	}
	c := soon(t, "the call", call)
	if err := soon(t, "its end", c.rest); err != nil || c.Trailer.Get("Grpc-Status") != "16" {
		t.Errorf("the call: %v %v", err, c.Trailer)
	}
	other.echo(aFrame)
	if log := s.log(); strings.Count(log, "ended an open exchange") != 3 {
		t.Errorf("log: %s", grep(log, "exchange"))
	}
}

// logIn logs a browser in, and answers its cookies.
func (s *street) logIn(p *portal) (cookies string) {
	s.Helper()
	_, h, _ := s.ask(http.MethodGet, "/page", "", navigation...)
	at, err := url.Parse(h.Get("Location"))
	if err != nil || at.Query().Get("state") == "" {
		s.Fatalf("no way to the issuer: %v\n%s", h, s.log())
	}
	p.asked = at.Query()
	back := url.Values{"state": {at.Query().Get("state")}, "code": {"the-code"}}
	_, h, body := s.ask(http.MethodGet, "/_oauth/callback?"+back.Encode(), "", append(navigation, "Cookie", cookiesOf(h))...)
	if cookies = cookiesOf(h); h.Get("Location") != "/page" || cookies == "" {
		s.Fatalf("not logged in: %v %s\n%s", h, body, s.log())
	}
	return cookies
}

// cookiesOf are those that an answer sets, as a browser sends them.
func cookiesOf(h http.Header) string {
	var all []string
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.MaxAge >= 0 {
			all = append(all, c.Name+"="+c.Value)
		}
	}
	return strings.Join(all, "; ")
}
