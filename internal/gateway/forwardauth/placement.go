package forwardauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// To a question that reaches no handler Caddy answers 200 with nothing in it,
// and the proxy that asks takes that for a yes. So nothing may keep a question
// from the gateway that a client can choose, the Host above all. A matcher that
// lists the hosts of all sites behind the proxy would do, but only for as long
// as the proxy asks about no other, which cannot be seen from here: it is refused
// like the rest.
var (
	errMatched        = errors.New("forward_auth stands behind a matcher, such as a site's host name or address; questions come with the Host that a client chose, and to those that the matcher skips Caddy answers 200, which the proxy takes for a yes")
	errUnreachedRoute = errors.New("forward_auth stands in a named route or in handle_errors, where not every question gets")
)

func errWithin(handler string) error {
	return errors.New("forward_auth stands inside the handler " + handler + ", which decides what gets there")
}

// placeError says what to write instead.
func placeError(err error, listen []string) error {
	port := "9091"
	for _, address := range listen {
		if _, of, err := net.SplitHostPort(address); err == nil {
			port = of
			break
		}
	}
	return fmt.Errorf("%w. Give it a site of its own, without a host and without a matcher: :%s or http://:%[2]s (bind says where it listens)", err, port)
}

// checkPlace sees to it that every question gets to a handler, as far as the
// routes around it tell. They are being loaded while a handler is provisioned:
// those before it are there, with their matchers, and the one around it is the
// first whose handlers are not.
func checkPlace(ctx caddy.Context, handler caddy.Module) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil // without a server there are no questions, as for explain
	}
	lists, err := routesAround(ctx, server, handler)
	if err != nil {
		return placeError(err, server.Listen)
	}
	for _, routes := range lists {
		n := slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 })
		switch {
		case n < 0:
			return placeError(errUnreachedRoute, server.Listen)
		case isSkipped(routes, n):
			return placeError(errMatched, server.Listen)
		}
	}
	return nil
}

// routesAround are the server's routes and those of each subroute on the way to
// what is being provisioned.
func routesAround(ctx caddy.Context, server *caddyhttp.Server, handler caddy.Module) ([]caddyhttp.RouteList, error) {
	lists := []caddyhttp.RouteList{server.Routes}
	lineage := ctx.Modules()
	app := slices.IndexFunc(lineage, func(m caddy.Module) bool { _, is := m.(*caddyhttp.App); return is })
	for _, module := range lineage[app+1:] {
		subroute, is := module.(*caddyhttp.Subroute)
		switch {
		case is:
			lists = append(lists, subroute.Routes)
		case module != handler:
			return nil, errWithin(string(module.CaddyModule().ID))
		}
	}
	return lists, nil
}

// CheckServer says of a server that is only read what checkPlace says of a
// handler that is being loaded: why not every question gets to a gateway that
// answers them.
func CheckServer(server *caddyhttp.Server) error {
	if err := misplaced(server); err != nil {
		return placeError(err, server.Listen)
	}
	return nil
}

func misplaced(server *caddyhttp.Server) error {
	if err := misplacedIn(server.Routes, nil); err != nil {
		return err
	}
	for _, named := range server.NamedRoutes {
		if err := misplacedIn(caddyhttp.RouteList{*named}, errUnreachedRoute); err != nil {
			return err
		}
	}
	if server.Errors != nil {
		return misplacedIn(server.Errors.Routes, errUnreachedRoute)
	}
	return nil
}

// misplacedIn looks through routes; around is what is amiss with all of them.
func misplacedIn(routes caddyhttp.RouteList, around error) error {
	for n, route := range routes {
		amiss := around
		if amiss == nil && isSkipped(routes, n) {
			amiss = errMatched
		}
		for _, s := range stepsOf(route) {
			if s.Handler == "oauth" && len(s.ForwardAuth) > 0 && amiss != nil {
				return amiss
			}
			if err := misplacedIn(s.Routes, amiss); err != nil {
				return err
			}
			for _, response := range s.Responses {
				if err := misplacedIn(response.Routes, errWithin("http.handlers."+s.Handler)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// isSkipped reports whether there are requests that do not get to routes[n].
func isSkipped(routes caddyhttp.RouteList, n int) bool {
	route := routes[n]
	return len(route.MatcherSets)+len(route.MatcherSetsRaw) > 0 ||
		slices.ContainsFunc(routes[:n], func(before caddyhttp.Route) bool {
			return answersQuestions(before, before.Group != "" && before.Group == route.Group)
		})
}

// answersQuestions reports whether a route keeps questions from a later one, and
// says yes to them: another site on the same listener, another block of one
// group, a respond. A path is no matter, since the proxy chooses that of its
// question.
func answersQuestions(r caddyhttp.Route, ends bool) bool {
	if matchesPaths(r) {
		return false
	}
	return ends || r.Terminal || slices.ContainsFunc(stepsOf(r), func(s step) bool {
		return s.saysYes() || slices.ContainsFunc(s.Routes, func(inner caddyhttp.Route) bool { return answersQuestions(inner, false) })
	})
}

// matchesPaths reports whether a route is for some paths, whatever else there is
// in a request.
func matchesPaths(r caddyhttp.Route) bool {
	for _, set := range r.MatcherSets {
		if slices.ContainsFunc(set, func(matcher any) bool { return !isPath(matcher) }) {
			return false
		}
	}
	for _, set := range r.MatcherSetsRaw {
		if names := slices.Collect(maps.Keys(set)); !slices.Equal(names, []string{"path"}) {
			return false
		}
	}
	return len(r.MatcherSets)+len(r.MatcherSetsRaw) > 0
}

func isPath(matcher any) bool {
	switch matcher.(type) {
	case caddyhttp.MatchPath, *caddyhttp.MatchPath:
		return true
	}
	return false
}

// step is what is looked at of a handler, loaded or not.
type step struct {
	Handler     string               `json:"handler"`
	Status      caddyhttp.WeakString `json:"status_code"`
	Abort       bool                 `json:"abort"`
	Routes      caddyhttp.RouteList  `json:"routes"`
	ForwardAuth json.RawMessage      `json:"forward_auth"`
	Responses   []struct {
		Routes caddyhttp.RouteList `json:"routes"`
	} `json:"handle_response"`
}

func stepsOf(r caddyhttp.Route) (all []step) {
	for _, raw := range r.HandlersRaw {
		var s step
		_ = json.Unmarshal(raw, &s) // what is no such object says nothing
		all = append(all, s)
	}
	for _, handler := range r.Handlers {
		switch h := handler.(type) {
		case *caddyhttp.Subroute:
			all = append(all, step{Routes: h.Routes})
		case *caddyhttp.StaticResponse:
			all = append(all, step{Handler: "static_response", Status: h.StatusCode, Abort: h.Abort})
		}
	}
	return all
}

// saysYes reports whether the answer is one that a proxy takes for a yes.
func (s step) saysYes() bool {
	refuses := strings.HasPrefix(string(s.Status), "3") || strings.HasPrefix(string(s.Status), "4") || strings.HasPrefix(string(s.Status), "5")
	return s.Handler == "static_response" && !s.Abort && !refuses
}
