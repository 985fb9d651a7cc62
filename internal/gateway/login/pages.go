package login

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// page is what people see of the gateway. It has no script, loads nothing, and
// shows nothing that came with the request.
type page struct {
	text
	Again    string    // where to try again
	LogIn    string    // where a log-in begins
	Home     bool      // a link to the site's first page
	Sessions string    // where the page of one's sessions is
	Confirm  bool      // a button to log out
	Browsers []browser // the own sessions

	HomeAt   string // set by writePage
	toIssuer bool   // its form leads to the issuer, and on from there, to places not known here
}

//go:embed pages.html
var pageText string

//go:embed pages.css
var styleText string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(styleText) }, //nolint:gosec // our own file
}).Parse(pageText))

// The policy lets the one style stand there by its digest, and nothing else.
var styleDigest = func() string {
	sum := sha256.Sum256([]byte(styleText))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

// writePage answers with a page, whatever handle_errors says: that is for paths of
// the upstream.
func writePage(w http.ResponseWriter, r *http.Request, status int, p *page) error {
	p.HomeAt = siteURLOf(r).mount + "/"
	var text bytes.Buffer
	if err := pages.Execute(&text, p); err != nil {
		return err
	}
	h := w.Header()
	policy := "default-src 'none'; style-src 'sha256-" + styleDigest + "'; base-uri 'none'; frame-ancestors 'none'"
	if !p.toIssuer {
		policy += "; form-action 'self'"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if p.Confirm || len(p.Browsers) > 0 {
		// With no-referrer browsers write "Origin: null" on the page's own form.
		h.Set("Referrer-Policy", "same-origin")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text.Bytes()) // the browser has gone, if anything
	}
	return nil
}

// pageLater is the answer to a failure of the gateway, its store or the issuer.
func pageLater(w http.ResponseWriter, r *http.Request, wait time.Duration, again string) error {
	w.Header().Set("Retry-After", verdict.Seconds(wait))
	return writePage(w, r, http.StatusServiceUnavailable, &page{
		text:  textTryLater,
		Again: again, Home: again == "",
	})
}

// Shows reports whether a person waits for what comes back, and no client that
// brought a token.
func (s *Site) Shows(r *http.Request) bool {
	return s != nil && looked(r) && len(r.Header["Authorization"]) == 0
}

// Later is the page for a failure, of which the log-in knows the way back.
func (s *Site) Later(w http.ResponseWriter, r *http.Request, wait time.Duration) error {
	return pageLater(w, r, wait, s.wayBack(r))
}

// Refused is the page for a request that was refused, whose headers are set.
func (s *Site) Refused(w http.ResponseWriter, r *http.Request, rejection *verdict.Rejection) error {
	p := pageOf(rejection)
	if rejection.Status == http.StatusUnauthorized {
		p.LogIn = siteURLOf(r).mount + s.Block.PathPrefix() + pathLogin + "?return=" + url.QueryEscape(s.wayBack(r))
	}
	return writePage(w, r, rejection.Status, p)
}

// wayBack is where a person goes on: to what was asked for or, since a form cannot
// be sent again from here, to the page that it stood on.
func (s *Site) wayBack(r *http.Request) string {
	o := siteURLOf(r)
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return s.Block.returnTo(o, targetOf(r))
	}
	from, _ := strings.CutPrefix(r.Referer(), o.origin()) // of another origin: no path of this site
	return s.Block.returnTo(o, from)
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow string) error {
	w.Header().Set("Allow", allow)
	return writePage(w, r, http.StatusMethodNotAllowed, &page{text: textMethodNotAllowed, Home: true})
}
