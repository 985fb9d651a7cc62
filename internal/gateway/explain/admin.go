package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
)

// POST /oauth/explain takes a token as the body, as text or as {"token": "…"},
// and answers with an explanation of each gateway that runs. Nothing is fetched
// for it; ?host=… asks those of one host.
func init() {
	admin.Register("admin.api.oauth_explain", admin.Route{Path: "/oauth/explain", Takes: "POST, with the token as the body", Methods: map[string]caddy.AdminHandlerFunc{
		http.MethodPost: serve,
	}})
}

func serve(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longest))
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("no token is longer than %d bytes", longest)}
	}
	text, note, err := givenToken(body)
	if err != nil {
		return admin.BadRequest(err.Error())
	}
	all, err := runningGateways()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	answer := struct {
		Gateways []*Explanation `json:"gateways"`
	}{[]*Explanation{}}
	now, host, told := time.Now(), r.URL.Query().Get("host"), map[string]bool{}
	places := make([]config.Place, len(all))
	for i := range all {
		places[i] = all[i].at
	}
	for _, at := range all {
		if host != "" && !at.at.Serves(host) {
			continue
		}
		c, _, _ := at.gateway.JudgesBy()
		e := Explain(r.Context(), at.gateway, text, optionsOf(c, Options{At: now, Held: true, note: note}))
		e.Gateway = hidden(at.at.Name(places), text)
		doc, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if !told[string(doc)] { // one directive may stand in two routes of its site
			told[string(doc)] = true
			answer.Gateways = append(answer.Gateways, e)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return admin.Answer(w, answer)
}

// runningGateway is a gateway of the config in force.
type runningGateway struct {
	at      config.Place
	gateway Gateway
}

// runningGateways looks through the routes of the HTTP app, error routes and
// named ones included.
func runningGateways() (found []runningGateway, err error) {
	ctx := caddy.ActiveContext()
	if ctx.Context == nil {
		return nil, errors.New("no config is running")
	}
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil, nil //nolint:nilerr // without HTTP there is no gateway
	}
	servers := app.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		at := config.Place{Listen: server.Listen}
		found = gatewaysOf(found, server.Routes, at)
		if server.Errors != nil {
			found = gatewaysOf(found, server.Errors.Routes, at)
		}
		for _, route := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			found = gatewaysOf(found, caddyhttp.RouteList{*server.NamedRoutes[route]}, at)
		}
	}
	return found, nil
}

func gatewaysOf(found []runningGateway, routes caddyhttp.RouteList, at config.Place) []runningGateway {
	for _, route := range routes {
		around := at
		var own config.Hosts
		for _, set := range route.MatcherSets {
			for _, m := range set {
				if names, ok := m.(*caddyhttp.MatchHost); ok {
					own = append(own, *names...)
				}
			}
		}
		if len(own) > 0 {
			around.Hosts = own
		}
		for _, handler := range route.Handlers {
			switch handler := handler.(type) {
			case *caddyhttp.Subroute:
				found = gatewaysOf(found, handler.Routes, around)
			case Gateway:
				found = append(found, runningGateway{around, handler})
			}
		}
	}
	return found
}
