package login

import (
	"io"
	"net/http"
	"net/url"
)

// What "response_mode" takes (OAuth 2.0 Form Post Response Mode).
const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// mostPosted bounds the form of a callback, in bytes.
const mostPosted = 64 << 10

// servePosted takes the form that the issuer has the browser post, and sends the
// browser on with the same in the query. Such a form comes from another site, so that
// browsers leave the cookie of the log-in out (SameSite=Lax); with the request after it
// they send it. What the form says beside, as Apple's does of the user's name the
// first time, is signed by no one, and is left.
func (s *Site) servePosted(w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, mostPosted+1))
	var q callback
	if err == nil && len(text) <= mostPosted && r.URL.RawQuery == "" {
		q, err = readCallback(string(text))
	} else if err == nil {
		err = &failure{outcome: outcomeBadRequest, status: http.StatusBadRequest, detail: "the form is too long, or there is a query too"}
	}
	if err != nil {
		return s.fail(w, r, nil, err)
	}
	query := url.Values{}
	for name, value := range map[string]string{"state": q.state, "code": q.code, "iss": q.issuer, "error": q.failure} {
		if len(value) > mostCode {
			return s.fail(w, r, nil, &failure{outcome: outcomeBadRequest, status: http.StatusBadRequest, detail: name + " is too long"})
		}
		if value != "" {
			query.Set(name, value)
		}
	}
	return redirect(w, http.StatusSeeOther, "?"+query.Encode())
}
