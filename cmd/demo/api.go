package main

import (
	"encoding/json"
	"net/http"
)

// caller is who the API thinks is calling. It knows nothing of OAuth: it
// believes the headers that the gateway sets.
type caller struct {
	User   string `json:"user"`
	Groups string `json:"groups"`
	Issuer string `json:"issuer"`
}

// serveAPI is the API of the demo: it says who is calling, and for what.
func serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := struct {
		Resource string `json:"resource"`
		Caller   caller `json:"caller"`
	}{
		Resource: r.URL.Path,
		Caller: caller{
			User:   r.Header.Get("X-User-Id"),
			Groups: r.Header.Get("X-User-Groups"),
			Issuer: r.Header.Get("X-Issuer"),
		},
	}
	_ = json.NewEncoder(w).Encode(answer) // the caller's hanging up is its own affair
}
