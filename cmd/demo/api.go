package main

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
)

// caller is who the API thinks is calling. It knows nothing of OAuth: it
// believes the headers that the gateway sets.
type caller struct {
	User   string `json:"user"`
	Groups string `json:"groups"`
	Issuer string `json:"issuer"`
}

// appPage is what people see who have logged in.
var appPage = template.Must(template.New("app").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The demo's application</title>
<main style="max-width:36rem;margin:3rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif">
<h1>Hello, {{.User}}</h1>
<p>This application knows nothing of OAuth. It believes the headers that the gateway sets:
you are {{.User}}, in {{.Groups}}, says {{.Issuer}}.</p>
<p>The access token behind this page lives 15 seconds. Reload it as long as you like: it is refreshed.</p>
<p><a href="/_oauth/sessions">Where I am logged in</a></p>
<form method="post" action="/_oauth/logout"><button>Log out</button></form>
</main>
</html>
`))

// serveAPI is what the demo protects: an application for people below /app, and
// an API that says who is calling, and for what.
func serveAPI(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/app" || strings.HasPrefix(r.URL.Path, "/app/") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = appPage.Execute(w, callerOf(r)) // the browser's hanging up is its own affair
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := struct {
		Resource string `json:"resource"`
		Caller   caller `json:"caller"`
	}{
		Resource: r.URL.Path,
		Caller:   callerOf(r),
	}
	_ = json.NewEncoder(w).Encode(answer) // the caller's hanging up is its own affair
}

func callerOf(r *http.Request) caller {
	return caller{
		User:   r.Header.Get("X-User-Id"),
		Groups: r.Header.Get("X-User-Groups"),
		Issuer: r.Header.Get("X-Issuer"),
	}
}
