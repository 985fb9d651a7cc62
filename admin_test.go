package caddyoauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// adminGrants serves one request as Caddy's admin endpoint would.
func adminGrants(t *testing.T, method, target string) (status int, body string) {
	t.Helper()
	return adminOf(t, "admin.api.oauth", method, target, "")
}

func adminOf(t *testing.T, id, method, target, body string) (status int, answer string) {
	t.Helper()
	api, err := caddy.GetModule(id)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, route := range api.New().(caddy.AdminRouter).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			err := route.Handler.ServeHTTP(w, r)
			if failed, ok := errors.AsType[caddy.APIError](err); ok {
				w.WriteHeader(failed.HTTPStatus)
				_, _ = w.Write([]byte(failed.Err.Error()))
			} else if err != nil {
				t.Errorf("%s %s: an error without a status: %v", method, target, err)
			}
		})
	}
	res := httptest.NewRecorder()
	mux.ServeHTTP(res, httptest.NewRequest(method, target, strings.NewReader(body)))
	return res.Code, res.Body.String()
}

// listedGrant is what an operator sees of a grant.
type listedGrant struct {
	Sref, State, Reason, Store string
	Renewals                   uint64
	Created, Until             time.Time
	LastUsed                   time.Time `json:"last_used"`
}

// grantsListed is what the operator gets.
func grantsListed(t *testing.T, target string) (list []listedGrant) {
	t.Helper()
	status, body := adminGrants(t, http.MethodGet, target)
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
		t.Fatal(target, status, body, err)
	}
	return list
}

func TestAnOperatorListsGrantsAndEndsThem(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, publicEndpoint)
	if _, err := g.keeper.Open(t.Context()); err != nil { // as Caddy's "started" does
		t.Fatal(err)
	}
	if list := grantsListed(t, "/oauth/grants"); len(list) != 0 {
		t.Fatalf("there are grants already: %v", list)
	}
	orders, billing := g.token("orders"), g.token("billing")
	app := g.answer(g.post("/auth", codeForm))
	tv := g.answer(g.post("/auth", deviceForm))

	list := grantsListed(t, "/oauth/grants")
	if len(list) != 4 {
		t.Fatalf("%d grants, want 4: %v", len(list), list)
	}
	for _, one := range list {
		if one.State != "live" || one.Reason != "" || one.Renewals != 0 || one.Store != "memory" || len(one.Sref) < 8 ||
			time.Since(one.Created) > time.Minute || one.LastUsed.Before(one.Created) || time.Until(one.Until) < 11*time.Hour {
			t.Errorf("%+v", one)
		}
	}
	for limit, want := range map[string]int{"1": 1, "3": 3, "100": 4} {
		if n := len(grantsListed(t, "/oauth/grants?limit="+limit)); n != want {
			t.Errorf("limit %s: %d grants", limit, n)
		}
	}

	sref := srefOf(t, g, orders)
	if status, body := adminGrants(t, http.MethodDelete, "/oauth/grants/"+sref); status != 204 || body != "" {
		t.Errorf("ending one: %d %s", status, body)
	}
	g.wants(map[string]int{orders.AccessToken: 401, billing.AccessToken: 200, app.AccessToken: 200, tv.AccessToken: 200})
	for _, one := range grantsListed(t, "/oauth/grants") {
		if ended := one.Sref == sref; ended != (one.State == "ended") || ended && one.Reason != "admin" {
			t.Errorf("%+v", one)
		}
	}
	if status, _ := adminGrants(t, http.MethodDelete, "/oauth/grants/"+sref); status != 404 {
		t.Errorf("ending it again: %d", status)
	}

	// The subject of both public clients' tokens is alice.
	target := "/oauth/grants?subject=alice&issuer=" + issuer.URL
	if status, body := adminGrants(t, http.MethodDelete, target); status != 200 || strings.TrimSpace(body) != `{"ended":2}` {
		t.Errorf("ending a subject's: %d %s", status, body)
	}
	g.wants(map[string]int{billing.AccessToken: 200, app.AccessToken: 401, tv.AccessToken: 401})
	for _, target := range []string{target, "/oauth/grants?subject=bob&issuer=" + issuer.URL, "/oauth/grants?subject=billing&issuer=https://other.example"} {
		if status, body := adminGrants(t, http.MethodDelete, target); status != 200 || strings.TrimSpace(body) != `{"ended":0}` {
			t.Errorf("%s: %d %s", target, status, body)
		}
	}
	g.wants(map[string]int{billing.AccessToken: 200})
	g.refused("the refresh token of an ended grant", g.post("/auth", "grant_type=refresh_token&client_id=app&refresh_token="+app.RefreshToken), "400 invalid_grant")
	_, all := adminGrants(t, http.MethodGet, "/oauth/grants")
	g.hides([]string{orders.AccessToken[4:24], app.RefreshToken[4:24], "refresh-token-of-the-issuer", "the-gateways-own-secret"}, all)
	for _, name := range []string{"alice", "orders", "billing", issuer.URL} {
		if strings.Contains(all, name) {
			t.Errorf("the list tells whose grants they are: %s", all)
		}
	}
}

// wants compares what tokens get.
func (g *gate) wants(tokens map[string]int) {
	g.Helper()
	for tok, want := range tokens {
		if status, _ := g.get(tok); status != want {
			g.Errorf("a token gets %d, want %d", status, want)
		}
	}
}

// srefOf finds the name that the log has for a token's grant.
func srefOf(t *testing.T, g *gate, tok tokenAnswer) string {
	t.Helper()
	for _, line := range g.logs.FilterMessage("granted").All() {
		if client := line.ContextMap()["client_id"]; client == "orders" {
			return line.ContextMap()["sref"].(string)
		}
	}
	t.Fatal("no log line names the grant of ", tok)
	return ""
}

func TestAWrongRequestOfAnOperatorSaysWhatIsWrong(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	tok := g.token("orders")
	for _, row := range []struct {
		method, target string
		status         int
		words          string
	}{
		{"POST", "/oauth/grants", 405, "GET or DELETE"},
		{"PUT", "/oauth/grants/x", 405, "DELETE"},
		{"GET", "/oauth/grants/x", 405, "DELETE"},
		{"GET", "/oauth/grants?limit=0", 400, "limit"},
		{"GET", "/oauth/grants?limit=-1", 400, "limit"},
		{"GET", "/oauth/grants?limit=many", 400, "limit"},
		{"DELETE", "/oauth/grants", 400, "issuer and subject"},
		{"DELETE", "/oauth/grants?subject=orders", 400, "issuer and subject"},
		{"DELETE", "/oauth/grants?issuer=" + issuer.URL, 400, "issuer and subject"},
		{"DELETE", "/oauth/grants?issuer=" + issuer.URL + "&subject=", 400, "issuer and subject"},
		{"DELETE", "/oauth/grants/", 404, "no live grant"},
		{"DELETE", "/oauth/grants/nothing", 404, "no live grant"},
	} {
		if status, body := adminGrants(t, row.method, row.target); status != row.status || !strings.Contains(body, row.words) {
			t.Errorf("%s %s: %d %s", row.method, row.target, status, body)
		}
	}
	g.wants(map[string]int{tok.AccessToken: 200})
}

func TestAStoreThatCannotBeAskedIsToldToTheOperator(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := rawGate(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\n}\nsession {\nstore bolt %s/no/file\n}\n%s\n}", issuer.URL, "/dev/null", endpoint), &issuer.clock)
	g.refused("", g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...), "503 temporarily_unavailable")
	for _, method := range []string{"GET", "DELETE"} {
		status, body := adminGrants(t, method, "/oauth/grants?issuer=a&subject=b")
		if status != 503 || !strings.Contains(body, "bolt /dev/null/no/file") {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
}

func TestABackupSaysWhyThereIsNone(t *testing.T) {
	const id, path = "admin.api.oauth_issuers", "/oauth/stores/backup"
	g := newGate(t, newGrantor(t, nil), publicEndpoint)
	if _, err := g.keeper.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		path: "only by its own means", path + "?store=memory": "only by its own means", path + "?store=other": `of ["memory"]`,
	} {
		if status, body := adminOf(t, id, http.MethodGet, target, ""); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", target, status, body)
		}
	}
	if status, _ := adminOf(t, id, http.MethodPost, path, ""); status != 405 {
		t.Errorf("POST: %d", status)
	}
	for args, want := range map[string]string{
		"backup": "name one file", "backup a b": "name one file", "backup admin_test.go": "is there already",
	} {
		if status, _, said := oauthCommand(t, "", strings.Fields(args)...); status != 2 || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", args, status, said)
		}
	}
}
