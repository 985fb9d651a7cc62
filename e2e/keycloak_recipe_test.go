package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// keycloakPage is run here, as it stands but for its addresses.
const keycloakPage = "../docs/issuers/keycloak.md"

// What clients/keycloak.mjs proves.
var atKeycloak = []string{
	"a person logs in at Keycloak, and out here and there",
	"two tabs wait at the form of Keycloak, one logs in, and both come back",
}

func TestPeopleLogInAtKeycloakInChromium(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	g := newGateway(t)
	site := fmt.Sprintf("http://localhost:%d", g.port)
	r.client("site-chromium", site, nil)
	words := strings.Replace(keycloakLogin(r, "site-chromium", ""), "sub>X-User-Id preferred_username>X-User-Name", "preferred_username>X-User-Id", 1)
	g.serve(fmt.Sprintf("%s {\n\t%s\n\treverse_proxy %s\n}\n", site, words, strings.TrimPrefix(startApp(t).URL, "http://")))
	driveChromium(t, "keycloak.mjs", atKeycloak, "GATEWAY="+site, "ISSUER="+r.base)
}

// A newcomer's Keycloak has the realm that stands in the repository; the one of
// these tests has imported the same file. So of the recipe only the addresses
// are other ones here.
func TestTheRecipeForKeycloakRunsAsItStands(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	page, err := os.ReadFile(keycloakPage)
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, found := strings.Cut(string(page), "\n## From nothing to a 200\n")
	recipe, _, end := strings.Cut(recipe, "\n## ")
	config := regexp.MustCompile("(?s)\n```caddyfile\n(.*?)\n```\n").FindStringSubmatch(recipe)
	blocks := shellFence.FindAllStringSubmatch(recipe, -1)
	if !found || !end || config == nil || len(blocks) != 2 || blocks[0][1] != "bin/kc.sh start-dev --import-realm\n" {
		t.Fatalf("the recipe is not what this test knows: %q", blocks)
	}
	g := newGateway(t)
	const site, keycloak = "http://localhost:9080", "http://localhost:8080"
	here := strings.NewReplacer(site, g.url(""), keycloak, r.base, "127.0.0.1:9000", startUpstream(t).address(), " Caddyfile", " "+g.config)
	g.serve(here.Replace(config[1]))
	r.move("orders", site, g.url(""))

	d := &deployment{rig: &rig{t: t, g: g}, dir: g.home, path: g.home + "/bin", here: here}
	d.tools()
	d.paste(t, shellBlock{"docs/issuers/keycloak.md", blocks[1][1]})

	p := newKeycloakGuest(t)
	a, at := p.logIn(g.url("/orders"), "alice")
	if saw := wantBack(t, a, at, g.url("/orders"), "alice"); saw.Header.Get("X-User-Roles") == "" {
		t.Errorf("the upstream saw no roles: %v", saw.Header)
	}
	said, _, code := g.with("oauth", "doctor")
	if code != 0 || strings.Contains(said, "  warn ") {
		t.Errorf("the doctor ends with %d:\n%s", code, said)
	}
}

func TestTheDoctorNamesWhatToSetAtKeycloak(t *testing.T) {
	t.Parallel()
	r := keycloakRealm(t)
	for name, test := range map[string]struct{ words, want string }{
		"another name": {fmt.Sprintf("issuer %s {\naudience orders\nmetadata %s/.well-known/openid-configuration\n}",
			strings.Replace(r.url, "127.0.0.1", "localhost", 1), r.url), "set hostname (KC_HOSTNAME) at Keycloak"},
		"a client that learns nothing": {fmt.Sprintf("issuer %s {\naudience orders\nclient robot robot-secret\nintrospect\n}", r.url), "introspect as the client that is the audience"},
		"everybody's audience":         {fmt.Sprintf("issuer %s {\naudience account\n}", r.url), "add an Audience mapper"},
		"as it should be":              {fmt.Sprintf("issuer %s {\naudience orders\nclient orders orders-secret\nintrospect\n}", r.url), ""},
	} {
		g := newGateway(t)
		g.write(g.site(g.port, "oauth {\n"+test.words+"\n}", startUpstream(t)))
		said, stderr, _ := g.with("oauth", "doctor")
		if !strings.Contains(said, "keys") || !strings.Contains(said, test.want) || test.want == "" && strings.Contains(said, "warn introspection") {
			t.Errorf("%s: the doctor says\n%s%s\nwant %q in it", name, said, stderr, test.want)
		}
	}
}

// move changes where a client of the realm has its site.
func (r *realm) move(id, from, to string) {
	r.t.Helper()
	var found []map[string]any
	r.admin(http.MethodGet, "/"+r.name+"/clients?clientId="+id, nil, &found)
	if len(found) != 1 {
		r.t.Fatalf("%d clients %s", len(found), id)
	}
	client := found[0]
	var moved []string
	for _, address := range client["redirectUris"].([]any) {
		moved = append(moved, strings.Replace(fmt.Sprint(address), from, to, 1))
	}
	client["redirectUris"] = moved
	for name, value := range client["attributes"].(map[string]any) {
		client["attributes"].(map[string]any)[name] = strings.Replace(fmt.Sprint(value), from, to, 1)
	}
	r.admin(http.MethodPut, fmt.Sprintf("/%s/clients/%v", r.name, client["id"]), client, nil)
}
