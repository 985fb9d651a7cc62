package caddyoauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// page asks for grants, and answers their names and where the next page is.
func page(t *testing.T, query string) (srefs []string, next string) {
	t.Helper()
	res := httptest.NewRecorder()
	adminMux(t).ServeHTTP(res, httptest.NewRequest(http.MethodGet, "/oauth/grants?"+query, nil))
	if res.Code != 200 {
		t.Fatal(query, res.Code, res.Body)
	}
	for _, one := range strings.Split(res.Body.String(), `"sref":"`)[1:] {
		srefs = append(srefs, one[:16])
	}
	target, _, _ := strings.Cut(strings.TrimPrefix(res.Header().Get("Link"), "</oauth/grants?"), ">")
	return srefs, target
}

// adminMux is Caddy's admin endpoint as far as it is ours.
func adminMux(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	for _, id := range []string{"admin.api.oauth", "admin.api.oauth_issuers"} {
		api, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range api.New().(caddy.AdminRouter).Routes() {
			mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
				if failed, ok := errors.AsType[caddy.APIError](route.Handler.ServeHTTP(w, r)); ok {
					w.WriteHeader(failed.HTTPStatus)
					_, _ = fmt.Fprintf(w, `{"error":%q}`, failed.Err)
				}
			})
		}
	}
	return mux
}

func TestAnOperatorTurnsPagesOfGrants(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	var clients []tokenAnswer
	for n := range 5 {
		clients = append(clients, g.token(fmt.Sprint("client-", n)))
	}
	for range 3 {
		g.answer(g.post("/auth", codeForm)) // alice
	}
	turn := func(query string) (all []string, pages int) {
		t.Helper()
		for next := query; next != ""; pages++ {
			var some []string
			some, next = page(t, next)
			all = append(all, some...)
		}
		slices.Sort(all)
		return slices.Compact(all), pages
	}
	ofAlice := "issuer=" + url.QueryEscape(issuer.URL) + "&subject=alice"
	if status, _ := adminGrants(t, http.MethodDelete, "/oauth/grants?issuer="+url.QueryEscape(issuer.URL)+"&subject=client-0"); status != 200 {
		t.Fatal(status)
	}
	for query, want := range map[string]struct{ grants, pages int }{
		"limit=3": {8, 3}, "limit=8": {8, 1}, "limit=100": {8, 1}, "limit=1": {8, 8},
		ofAlice: {3, 1}, ofAlice + "&limit=1": {3, 3}, ofAlice + "&state=ended": {0, 1},
		"state=ended": {1, 1}, "state=live&limit=2": {7, 4}, "state=uncertain": {0, 1}, "store=memory": {8, 1},
	} {
		if all, pages := turn(query); len(all) != want.grants || pages > want.pages+1 || pages < want.pages {
			t.Errorf("%s: %d grants on %d pages, want %+v", query, len(all), pages, want)
		}
	}
	for query, words := range map[string]string{
		"subject=alice": "issuer and subject", "issuer=x": "issuer and subject", "state=dead": "state takes one of live",
		"store=other": "memory", "after=%21": "after takes", "after=bWVtb3J5.x": "after takes",
	} {
		if status, body := adminGrants(t, http.MethodGet, "/oauth/grants?"+query); status != 400 || !strings.Contains(body, words) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	g.wants(map[string]int{clients[0].AccessToken: 401, clients[1].AccessToken: 200})
}

func TestTheCommandListsGrantsAndEndsThem(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	server := httptest.NewServer(adminMux(t))
	t.Cleanup(server.Close)
	if _, err := g.keeper.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(server.URL, "http://")
	run := func(status int, args ...string) (out, said string) {
		t.Helper()
		got, out, said := oauthCommand(t, "", append(args, "--address", address)...)
		if got != status {
			t.Errorf("%v: status %d, want %d: %s%s", args, got, status, out, said)
		}
		return out, said
	}
	if out, said := run(0, "grants"); out != "No grant.\n" || said != "" {
		t.Errorf("of none it says %q, %q", out, said)
	}
	orders, billing := g.token("orders"), g.token("billing")
	app := g.answer(g.post("/auth", codeForm))
	out, said := run(0, "grants")
	if lines := strings.Split(out, "\n"); len(lines) != 5 || !strings.HasPrefix(lines[0], "SREF") || !strings.Contains(lines[1], "  live  ") || said != "" {
		t.Errorf("%s%s", out, said)
	}
	for _, secret := range []string{"alice", "orders", "billing", issuer.URL, app.RefreshToken[4:24]} {
		if strings.Contains(out, secret) {
			t.Errorf("the list tells %s", secret)
		}
	}
	out, said = run(0, "grants", "--limit", "2")
	if strings.Count(out, "live") != 2 || !strings.Contains(said, "--after ") {
		t.Errorf("two of three: %s%s", out, said)
	}
	_, after, _ := strings.Cut(said, "--after ")
	after, _, _ = strings.Cut(after, ",")
	if out, said = run(0, "grants", "--after", after); strings.Count(out, "live") != 1 || said != "" {
		t.Errorf("the rest: %s%s", out, said)
	}
	if out, _ = run(0, "grants", "--all", "--json", "--issuer", issuer.URL, "--subject", "alice"); strings.Count(out, `"state":"live"`) != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("of one subject: %s", out)
	}

	sref := srefOf(t, g, orders)
	if out, said = run(1, "grants", "end", "0000000000000000", sref); out != "1 ended\n" || !strings.Contains(said, "no live grant") {
		t.Errorf("one of two: %s%s", out, said)
	}
	if out, _ = run(0, "grants", "end", "--issuer", issuer.URL, "--subject", "alice"); out != "1 ended\n" {
		t.Errorf("of a subject: %s", out)
	}
	g.wants(map[string]int{orders.AccessToken: 401, billing.AccessToken: 200, app.AccessToken: 401})
	if out, _ = run(0, "grants", "--state", "ended"); strings.Count(out, "  admin  ") != 2 {
		t.Errorf("ended: %s", out)
	}
	for args, words := range map[string]string{
		"grants --subject alice": "go together", "grants --state dead": "--state takes one of", "grants more": "unknown argument",
		"grants end": "name grants by their sref", "grants end a/b": "name grants by their sref", "grants end x --issuer a --subject b": "name grants by their sref",
	} {
		if _, said := run(2, strings.Fields(args)...); !strings.Contains(said, words) {
			t.Errorf("%s: %s", args, said)
		}
	}
	server.Close()
	if _, said := run(1, "grants"); !strings.Contains(said, "asking the admin endpoint") {
		t.Error(said)
	}
}
