package streams

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// IsGRPC knows a call of gRPC over HTTP/2. gRPC-Web, which has its status in the
// body, is none.
func IsGRPC(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	rest, ok := strings.CutPrefix(contentType[0], "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// grpcWriter knows whether an answer has begun.
type grpcWriter struct {
	caddyhttp.ResponseWriterWrapper
	x     *exchange
	begun bool
}

// WriteHeader begins the answer. What the proxy says of one that was ended, 499, is none.
func (w *grpcWriter) WriteHeader(status int) {
	if !w.begun && w.x.over.Load() {
		return
	}
	w.begun = w.begun || status >= http.StatusOK
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *grpcWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom is for what copies.
func (w *grpcWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begun = true
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// Flush is for handlers that look for an http.Flusher.
func (w *grpcWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController looks for.
func (w *grpcWriter) FlushError() error {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// serveGRPC has a call end with its status, UNAUTHENTICATED. The proxy gives up what
// has ended with a panic, for the server to reset the stream.
func (x *exchange) serveGRPC(w *grpcWriter, r *http.Request, forward func(http.ResponseWriter, *http.Request) error) (err error) {
	defer func() {
		if ended := x.leave(); !ended {
			return // a panic goes on
		}
		if lost := recover(); lost != nil && lost != http.ErrAbortHandler { //nolint:errorlint // a value of a panic
			panic(lost)
		}
		err = nil
		x.sayGRPC(w)
	}()
	return forward(w, r)
}

// sayGRPC ends the call: in trailers behind an answer that has begun, else in an
// answer of nothing but them.
func (x *exchange) sayGRPC(w *grpcWriter) {
	const status, text = "16", "what let this call in counts no more"
	h := w.Header()
	if w.begun {
		h.Set(http.TrailerPrefix+"Grpc-Status", status)
		h.Set(http.TrailerPrefix+"Grpc-Message", text)
		return
	}
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", status)
	h.Set("Grpc-Message", text)
	w.ResponseWriterWrapper.WriteHeader(http.StatusOK)
}

var _ http.Flusher = (*grpcWriter)(nil)
