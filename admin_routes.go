package caddyoauth

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

// adminModule is a module of Caddy's admin endpoint: some routes below /oauth.
type adminModule struct {
	id     caddy.ModuleID
	routes []adminRoute
}

// adminRoute is a path and what each method does there.
type adminRoute struct {
	path    string
	takes   string // what other methods are told
	methods map[string]caddy.AdminHandlerFunc
}

// registerAdmin puts routes on Caddy's admin endpoint. It is called by init
// functions.
func registerAdmin(id caddy.ModuleID, routes ...adminRoute) {
	caddy.RegisterModule(adminModule{id, routes})
}

// CaddyModule names the module.
func (m adminModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: m.id, New: func() caddy.Module { return m }}
}

// Routes are those of the admin endpoint.
func (m adminModule) Routes() (routes []caddy.AdminRoute) {
	for _, r := range m.routes {
		routes = append(routes, caddy.AdminRoute{Pattern: r.path, Handler: caddy.AdminHandlerFunc(r.serve)})
	}
	return routes
}

func (r adminRoute) serve(w http.ResponseWriter, req *http.Request) error {
	handle := r.methods[req.Method]
	if handle == nil {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New(r.takes)}
	}
	return handle(w, req)
}

// reading is a path that tells how something stands.
func reading(path string, state func() any) adminRoute {
	return adminRoute{path: path, takes: "GET alone", methods: map[string]caddy.AdminHandlerFunc{
		http.MethodGet: func(w http.ResponseWriter, _ *http.Request) error { return writeAdmin(w, state()) },
	}}
}

// badAdmin is a mistake of who asks.
func badAdmin(text string) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New(text)}
}

func writeAdmin(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

var _ caddy.AdminRouter = adminModule{}
