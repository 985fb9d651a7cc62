package admin

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// BackupPath is where "caddy oauth backup" reads a copy of a store.
const BackupPath = "/oauth/stores/backup"

const (
	copyAgain = 5 * time.Second  // when another copy is being read
	copyStall = 30 * time.Second // for who reads one to take the next part, so that nobody keeps it
	copyPart  = 1 << 20
)

// serveBackup answers a copy of a store of grants as it is at this moment.
func serveBackup(w http.ResponseWriter, r *http.Request) error {
	from, err := grants.Copy(r.Context(), r.URL.Query().Get("store"))
	switch {
	case errors.Is(err, session.ErrCopying):
		w.Header().Set("Retry-After", verdict.Seconds(copyAgain))
		return caddy.APIError{HTTPStatus: http.StatusTooManyRequests, Err: err}
	case errors.Is(err, grants.ErrWhichStore), errors.Is(err, grants.ErrNoCopy):
		return BadRequest(err.Error())
	case err != nil:
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	defer func() { _ = from.Close() }() // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(from.Size(), 10))
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	for left := from.Size(); left > 0; {
		_ = control.SetWriteDeadline(time.Now().Add(copyStall)) // what has none has no connection
		n, err := io.CopyN(w, from, min(left, copyPart))
		if left -= n; err != nil {
			// The status is said: who reads it sees that the length is not reached.
			panic(http.ErrAbortHandler)
		}
	}
	_ = control.SetWriteDeadline(time.Time{}) // the connection goes on
	return nil
}
