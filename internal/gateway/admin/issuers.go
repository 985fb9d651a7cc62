package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// fetchWithin bounds a fetch that an operator waits for.
const fetchWithin = 15 * time.Second

// fetchIssuer fetches the keys of an issuer now and answers how it stands then.
func fetchIssuer(w http.ResponseWriter, r *http.Request) error {
	issuer := r.URL.Query().Get("issuer")
	if issuer == "" {
		return BadRequest("name the issuer: POST /oauth/issuers/fetch?issuer=<url>")
	}
	ctx, cancel := context.WithTimeout(r.Context(), fetchWithin)
	defer cancel()
	fetched, known, err := issuers.Fetch(ctx, issuer)
	switch {
	case err != nil:
		return fetchFailed(w, issuer, err)
	case !known:
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no issuer %.200q is configured; the text must be the same to the letter", issuer)}
	case !fetched:
		return BadRequest("its keys come from a file, which is read when the configuration is loaded: reload it")
	}
	return Answer(w, slices.DeleteFunc(issuers.States(time.Now(), grants.OpenBreakers()), func(s issuers.State) bool { return s.Issuer != issuer }))
}

func fetchFailed(w http.ResponseWriter, issuer string, err error) error {
	failed := caddy.APIError{HTTPStatus: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", issuer, err)}
	if soon, ok := errors.AsType[*as.TooSoon](err); ok {
		failed.HTTPStatus = http.StatusTooManyRequests
		w.Header().Set("Retry-After", verdict.Seconds(soon.Wait))
	}
	return failed
}
