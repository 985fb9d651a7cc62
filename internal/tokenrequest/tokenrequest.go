// Package tokenrequest reads what clients post to a token endpoint, and writes
// its errors (RFC 6749 §2.3.1, §3.2, §5.2).
package tokenrequest

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// MaxBody bounds a request's body, in bytes.
const MaxBody = 16 << 10

// The error codes of RFC 6749 §5.2, RFC 7009 §2.2.1 and RFC 8707 §2.
const (
	InvalidRequest       = "invalid_request"
	InvalidClient        = "invalid_client"
	InvalidGrant         = "invalid_grant"
	InvalidScope         = "invalid_scope"
	InvalidTarget        = "invalid_target"
	UnauthorizedClient   = "unauthorized_client"
	UnsupportedGrantType = "unsupported_grant_type"
	ServerError          = "server_error"
	Unavailable          = "temporarily_unavailable"
)

// The grant types (RFC 6749), and the name by which requests call that of
// devices (RFC 8628 §3.4).
const (
	ClientCredentials = "client_credentials"
	RefreshToken      = "refresh_token"
	AuthorizationCode = "authorization_code"
	DeviceCode        = "device_code"
	DeviceCodeURN     = "urn:ietf:params:oauth:grant-type:device_code"
)

// Error is an answer of RFC 6749 §5.2. Nothing of the request is in it.
type Error struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	URI         string `json:"error_uri,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Refuse is an error of status 400.
func Refuse(code, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Description: description}
}

// RefuseClient is what a client gets that did not authenticate.
func RefuseClient(description string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: InvalidClient, Description: description}
}

// Write answers the error. The realm is that of the Basic challenge, which a
// client that did not authenticate gets (RFC 6749 §5.2).
func (e *Error) Write(w http.ResponseWriter, realm string) {
	switch e.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", "POST, OPTIONS")
	}
	WriteJSON(w, e.Status, e)
}

// WriteJSON answers what no cache may store (RFC 6749 §5.1).
func WriteJSON(w http.ResponseWriter, status int, answer any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client's hanging up is its own affair
}

// Method is how a client authenticated (RFC 7591 §2).
type Method string

// The methods that are read here.
const (
	Basic Method = "client_secret_basic"
	Post  Method = "client_secret_post"
	None  Method = "none"
)

// Request is a request to a token, revocation or device authorization endpoint.
type Request struct {
	ClientID     string
	ClientSecret secret.Text
	Method       Method
	Form         url.Values // of the body, without the client's credentials

	// Unencoded reports that Basic had an id and a secret that nothing has
	// form-encoded, as RFC 6749 §2.3.1 wants it: so sends curl -u.
	Unencoded bool

	// Literal is the secret as it stood in Basic where it has a plus sign, which
	// means a space if it was form-encoded, and itself if it was not. Else it is
	// empty.
	Literal secret.Text
}

// Secrets are what the client may have meant, the likeliest first.
func (q *Request) Secrets() []secret.Text {
	if q.Literal.Empty() {
		return []secret.Text{q.ClientSecret}
	}
	return []secret.Text{q.ClientSecret, q.Literal}
}

// Read takes the body, and the body alone: RFC 6749 §2.3.1 forbids secrets in
// the URL. Of the parameters only those of repeatable may stand there twice.
func Read(w http.ResponseWriter, r *http.Request, repeatable ...string) (*Request, *Error) {
	if r.Method != http.MethodPost {
		return nil, &Error{Status: http.StatusMethodNotAllowed, Code: InvalidRequest, Description: "only POST is taken here"}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, Refuse(InvalidRequest, "the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	if err := r.ParseForm(); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: InvalidRequest, Description: "the body is too large"}
		}
		return nil, Refuse(InvalidRequest, "the request cannot be read as a form")
	}
	allowed := map[string]bool{}
	for _, name := range repeatable {
		allowed[name] = true
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && !allowed[name] { // RFC 6749 §3.2
			return nil, Refuse(InvalidRequest, "a parameter occurs more than once")
		}
	}
	return authenticate(r)
}

// authenticate is RFC 6749 §2.3.1: either the header or the body, not both.
func authenticate(r *http.Request) (*Request, *Error) {
	form := r.PostForm
	id, password := form.Get("client_id"), form.Get("client_secret")
	form.Del("client_id")
	form.Del("client_secret")
	q := &Request{ClientID: id, Method: None, Form: form}
	fields := r.Header.Values("Authorization")
	switch {
	case form.Has("client_assertion"):
		return nil, RefuseClient("client assertions are not taken here")
	case len(fields) == 0:
		if password != "" {
			q.Method, q.ClientSecret = Post, secret.New(password)
		}
		return q, nil
	case password != "" || len(fields) > 1:
		return nil, Refuse(InvalidRequest, "the client authenticates in two ways at once")
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return nil, RefuseClient("only Basic authentication is taken here")
	}
	q.readBasic(user, password)
	if id != "" && id != q.ClientID {
		return nil, Refuse(InvalidRequest, "the client's id differs from the body's")
	}
	return q, nil
}

// readBasic takes what stood in Basic. RFC 6749 §2.3.1 has both form-encoded
// before they are joined, and many clients do not know.
func (q *Request) readBasic(id, password string) {
	q.Method = Basic
	if password == "" {
		q.Method = None
	}
	if !isEncoded(id) || !isEncoded(password) {
		q.ClientID, q.ClientSecret, q.Unencoded = id, secret.New(password), true
		return
	}
	plainID, _ := url.QueryUnescape(id)
	plain, _ := url.QueryUnescape(password)
	q.ClientID, q.ClientSecret = plainID, secret.New(plain)
	if strings.Contains(password, "+") && !strings.Contains(password, "%") { // what encodes one sign encodes the other
		q.Literal = secret.New(password)
	}
}

// isEncoded reports whether a text may be what some form-encoder made: letters
// that one leaves as they are, whole escapes, and plus signs.
func isEncoded(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("*-._~!'()+", c) >= 0:
		case c == '%' && len(text)-i > 2 && isHex(text[i+1]) && isHex(text[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
