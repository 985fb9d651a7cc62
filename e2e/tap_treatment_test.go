package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// treatment is what happens to one token request. Zero is to pass it on.
type treatment struct {
	delay   time.Duration   // before it is passed on
	reset   bool            // the connection breaks, and the real server is not asked
	hang    <-chan struct{} // nothing happens until this is closed, and the real server is not asked
	instead *fixed          // the real server is not asked
	hold    <-chan struct{} // the real server's answer is kept back until this is closed
	drop    bool            // the connection breaks after the real server has answered
	change  func(answer map[string]any)
	cutAt   string // the connection breaks behind this text of the answer
}

// fixed is an answer that the real server did not give.
type fixed struct {
	status int
	kind   string
	body   string
	after  int // Retry-After
}

var (
	unavailable   = &fixed{status: http.StatusServiceUnavailable, kind: "text/plain", body: "no"}
	tooMany       = &fixed{status: http.StatusTooManyRequests, kind: "application/json", body: `{"error":"slow_down"}`, after: 2}
	invalidClient = &fixed{status: http.StatusUnauthorized, kind: "application/json", body: `{"error":"invalid_client"}`}
	html          = &fixed{status: http.StatusOK, kind: "text/html", body: "<html><body>Please log in</body></html>"}
)

// without drops members of the answer.
func without(names ...string) func(map[string]any) {
	return func(answer map[string]any) {
		for _, name := range names {
			delete(answer, name)
		}
	}
}

// with sets a member of the answer.
func with(name string, value any) func(map[string]any) {
	return func(answer map[string]any) { answer[name] = value }
}

// serve gives a call its treatment.
func (tp *tap) serve(w http.ResponseWriter, r *http.Request, c *call, body string, how treatment) {
	if how.delay > 0 {
		pause(r.Context(), how.delay)
	}
	switch {
	case how.reset:
		tp.end(c, 0, fateUnknown, "")
		panic(http.ErrAbortHandler)
	case how.hang != nil:
		select {
		case <-how.hang:
		case <-r.Context().Done():
		}
		tp.end(c, 0, fateUnknown, "")
		panic(http.ErrAbortHandler)
	case how.instead != nil:
		tp.answer(w, c, *how.instead)
		return
	}
	// What has been sent is processed, even if the one who sent it dies.
	resp, err := tp.pass(context.WithoutCancel(r.Context()), r, body)
	if err != nil {
		tp.end(c, 0, fateUnknown, "")
		panic(http.ErrAbortHandler)
	}
	tp.learn(c, resp)
	if how.hold != nil {
		select {
		case <-how.hold:
		case <-r.Context().Done():
		}
	}
	if how.drop || r.Context().Err() != nil { // the client is gone
		tp.end(c, 0, fateUnknown, "")
		panic(http.ErrAbortHandler)
	}
	if how.change != nil {
		resp.body = changed(resp.body, how.change)
	}
	if how.cutAt != "" {
		tp.cut(w, c, resp, how.cutAt)
	}
	tp.answer(w, c, resp)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// pass asks the real server.
func (tp *tap) pass(ctx context.Context, r *http.Request, body string) (fixed, error) {
	out, err := http.NewRequestWithContext(ctx, r.Method, tp.realServer()+r.URL.RequestURI(), strings.NewReader(body))
	if err != nil {
		return fixed{}, err
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	resp, err := tp.client.Do(out)
	if err != nil {
		return fixed{}, err
	}
	defer closeAll(resp.Body)
	text, err := io.ReadAll(resp.Body)
	return fixed{status: resp.StatusCode, kind: resp.Header.Get("Content-Type"), body: string(text)}, err
}

// reply are the members of a token endpoint's answer that tests look at.
type reply struct {
	AccessToken  string          `json:"access_token"`
	RefreshToken string          `json:"refresh_token"`
	IDToken      string          `json:"id_token"`
	DeviceCode   string          `json:"device_code"`
	UserCode     string          `json:"user_code"`
	Interval     int             `json:"interval"`
	TokenType    string          `json:"token_type"`
	Scope        string          `json:"scope"`
	ExpiresIn    json.RawMessage `json:"expires_in"`
	Error        string          `json:"error"`
}

// learn notes what the real server has answered.
func (tp *tap) learn(c *call, resp fixed) {
	var said reply
	_ = json.Unmarshal([]byte(resp.body), &said) // an answer to a revocation is empty
	tp.secrets.add(kindAccessToken, said.AccessToken)
	tp.secrets.add(kindRefreshToken, said.RefreshToken)
	tp.secrets.add(kindIDToken, said.IDToken)
	tp.secrets.add(kindCode, said.DeviceCode)
	tp.change(func() {
		c.Answered, c.NewRT = true, digest(said.RefreshToken)
		if said.AccessToken != "" {
			tp.issued = append(tp.issued, issued{said.AccessToken, expiryOf(said.AccessToken), c.Grant})
		}
	})
}

// expiryOf reads the exp of a JWT.
func expiryOf(token string) time.Time {
	var claims struct{ Exp int64 }
	if parts := strings.Split(token, "."); len(parts) == 3 {
		text, _ := b64.DecodeString(parts[1])
		_ = json.Unmarshal(text, &claims)
	}
	return time.Unix(claims.Exp, 0)
}

func changed(body string, change func(map[string]any)) string {
	members := map[string]any{}
	if json.Unmarshal([]byte(body), &members) != nil {
		return body
	}
	change(members)
	text, _ := json.Marshal(members)
	return string(text)
}

// saysNo are the codes after which a refresh token is of no use.
var saysNo = []string{
	"invalid_grant", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type", "access_denied",
	"interaction_required", "login_required", "account_selection_required", "consent_required", "invalid_target",
}

// answer gives the gateway its answer, and notes what it may know from it.
func (tp *tap) answer(w http.ResponseWriter, c *call, resp fixed) {
	var said reply
	readable := json.Unmarshal([]byte(resp.body), &said) == nil
	f := fateUnknown
	switch {
	case resp.status >= 500, resp.status == http.StatusTooManyRequests:
		f = fateKept
	case resp.status >= 400 && slices.Contains(saysNo, said.Error):
		f = fateRefused
	case resp.status >= 400:
		f = fateKept // as good as an outage
	case readable && said.AccessToken != "" && (said.RefreshToken == "" || digest(said.RefreshToken) == c.RT):
		f = fateKept
	case readable && said.AccessToken != "":
		f = fateRotated
	}
	w.Header().Set("Content-Type", resp.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)))
	if resp.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(resp.after))
	}
	tp.end(c, resp.status, f, said.Error) // before it is sent: what follows from it comes later
	w.WriteHeader(resp.status)
	_, _ = io.WriteString(w, resp.body)
}

// cut sends the answer as far as the end of a text in it, and breaks off.
func (tp *tap) cut(w http.ResponseWriter, c *call, resp fixed, behind string) {
	head, _, found := strings.Cut(resp.body, behind)
	if !found {
		tp.end(c, 0, fateUnknown, "")
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", resp.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)))
	w.WriteHeader(resp.status)
	tp.end(c, 0, fateUnknown, "")
	_, _ = io.WriteString(w, head+behind)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
