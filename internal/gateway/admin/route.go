// Package admin is /oauth/… on Caddy's admin endpoint: its routes, and what an
// operator sees and ends there.
package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

// module is a module of Caddy's admin endpoint: some routes below /oauth.
type module struct {
	id     caddy.ModuleID
	routes []Route
}

// Route is a path and what each method does there.
type Route struct {
	Path    string
	Takes   string // what other methods are told
	Methods map[string]caddy.AdminHandlerFunc
}

// Register puts routes on Caddy's admin endpoint. It is called by init
// functions.
func Register(id caddy.ModuleID, routes ...Route) {
	caddy.RegisterModule(module{id, routes})
}

// CaddyModule names the module.
func (m module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: m.id, New: func() caddy.Module { return m }}
}

// Routes are those of the admin endpoint.
func (m module) Routes() (routes []caddy.AdminRoute) {
	for _, r := range m.routes {
		routes = append(routes, caddy.AdminRoute{Pattern: r.Path, Handler: caddy.AdminHandlerFunc(r.serve)})
	}
	return routes
}

func (r Route) serve(w http.ResponseWriter, req *http.Request) error {
	handle := r.Methods[req.Method]
	if handle == nil {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New(r.Takes)}
	}
	return handle(w, req)
}

// reading is a path that tells how something stands.
func reading(path string, state func() any) Route {
	return Route{Path: path, Takes: "GET alone", Methods: map[string]caddy.AdminHandlerFunc{
		http.MethodGet: func(w http.ResponseWriter, _ *http.Request) error { return Answer(w, state()) },
	}}
}

// BadRequest is a mistake of who asks.
func BadRequest(text string) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New(text)}
}

// Answer writes an answer as JSON.
func Answer(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

var _ caddy.AdminRouter = module{}
