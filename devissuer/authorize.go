package devissuer

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// serveAuthorization is the authorization endpoint (RFC 6749 §3.1), with a form
// that believes any name a user gives: it is for development only. Code and
// PKCE with S256 are all that it knows.
func (s *Server) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "only GET and POST are answered here", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	q := r.Form
	client, known := s.clients[q.Get("client_id")]
	back := q.Get("redirect_uri")
	if !known || !client.returnsTo(back) {
		// Never sent back: the author of this address chose where to (§4.1.2.1).
		http.Error(w, "unknown client_id, or a redirect_uri that is not registered for it", http.StatusBadRequest)
		return
	}
	l := &login{
		clientID: q.Get("client_id"), redirectURI: back, challenge: q.Get("code_challenge"), nonce: q.Get("nonce"),
		subject: strings.TrimSpace(q.Get("user")), expires: s.opts.Now().Add(codeLife),
	}
	switch refused := l.asked(q.Get("scope"), client.scopes); {
	case q.Get("response_type") != "code":
		s.sendBack(w, r, q, "error", "unsupported_response_type")
	case l.challenge == "" || q.Get("code_challenge_method") != "S256":
		s.sendBack(w, r, q, "error", "invalid_request")
	case refused != nil:
		s.sendBack(w, r, q, "error", refused.Code)
	case r.Method == http.MethodPost && r.PostForm.Get("deny") != "":
		s.sendBack(w, r, q, "error", "access_denied")
	case r.Method == http.MethodPost && l.subject != "":
		s.sendBack(w, r, q, "code", s.codes.start(l))
	default:
		s.askWho(w, q)
	}
}

// sendBack answers the client, with iss (RFC 9207 §2).
func (s *Server) sendBack(w http.ResponseWriter, r *http.Request, q url.Values, name, value string) {
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "redirect_uri is no URL", http.StatusBadRequest)
		return
	}
	answer := back.Query()
	answer.Set(name, value)
	answer.Set("iss", s.opts.Issuer)
	if state := q.Get("state"); state != "" {
		answer.Set("state", state)
	}
	back.RawQuery = answer.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

var whoPage = template.Must(template.New("who").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Development issuer</title>
<main style="max-width:30rem;margin:3rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif">
<h1>Development issuer</h1>
<p>{{.Client}} wants to know who you are. Any name will do.</p>
<form method="post">
{{range $name, $value := .Hidden}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<p><label>Name <input name="user" value="alice" autofocus></label></p>
<p><button>Log in</button> <button name="deny" value="1">Deny</button></p>
</form>
</main>
</html>
`))

func (s *Server) askWho(w http.ResponseWriter, q url.Values) {
	hidden := map[string]string{}
	for _, name := range []string{
		"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	} {
		hidden[name] = q.Get(name)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Frame-Options", "DENY")
	_ = whoPage.Execute(w, map[string]any{"Client": q.Get("client_id"), "Hidden": hidden}) // the browser has gone, if anything
}

// serveEnd is the end of a session (OpenID Connect RP-Initiated Logout §2).
// No user stays logged in here, so there is none to end.
func (s *Server) serveEnd(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := q.Get("post_logout_redirect_uri")
	if back != "" && slices.Contains(s.clients[q.Get("client_id")].redirectURIs, back) {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("You are logged out at the development issuer.\n"))
}

// returnsTo reports whether an address is one of the client's own, to the letter.
func (c *registered) returnsTo(address string) bool {
	return slices.Contains(c.redirectURIs, address) ||
		c.public && slices.ContainsFunc(c.redirectURIs, func(own string) bool { return sameButForPort(own, address) })
}

// sameButForPort reports whether two addresses are one on this machine but for the
// port.
func sameButForPort(own, address string) bool {
	a, err := url.Parse(own)
	if err != nil || a.Scheme != "http" || a.Hostname() != "127.0.0.1" && a.Hostname() != "::1" && a.Hostname() != "localhost" {
		return false
	}
	b, err := url.Parse(address)
	if err != nil {
		return false
	}
	a.Host, b.Host = a.Hostname(), b.Hostname()
	return a.String() == b.String()
}

func checkRedirectURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.Fragment == "" && (u.Scheme == "http" || u.Scheme == "https")
}
