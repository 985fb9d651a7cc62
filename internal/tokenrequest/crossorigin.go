package tokenrequest

import "net/http"

// AllowOrigins lets scripts of any origin read the answer: a client may run in a
// browser. All that counts stands in the request (client id, secret, code,
// verifier, refresh token), and nothing that a browser adds unasked, such as a
// cookie: whatever a script gets here, a server could get. It answers a preflight,
// and reports so; methods are those that are taken.
func AllowOrigins(w http.ResponseWriter, r *http.Request, methods string) (answered bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodOptions {
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		return false
	}
	h.Set("Allow", methods+", OPTIONS")
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, *") // which * does not stand for
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
