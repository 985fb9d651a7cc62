package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// spring is a Spring Authorization Server, one for all tests. It knows its clients
// when it starts, so each has the port of a gateway that a test may begin.
type spring struct {
	shared
	desk  *desk
	ports []int
	taken atomic.Int32
}

// springPlaces are how many gateways there may be.
const springPlaces = 8

var theSpring = newSpring()

func newSpring() *spring {
	s := &spring{}
	s.shared = shared{name: "spring.jar", start: s.begin}
	return s
}

func runSpring(t *testing.T) *spring {
	t.Helper()
	theSpring.run(t)
	return theSpring
}

func (s *spring) begin(t *testing.T, home, built string) (*process, error) {
	t.Helper()
	port := freePort(t)
	s.desk, s.ready = openDesk(at(port)), at(port)+"/oauth2/jwks"
	said := change(t, recipeOf(t, "issuers/spring.md", "yaml", "reuse-refresh-tokens"), "https://login.example.com", s.desk.url)
	// The client of the page once for each place, and one for itself.
	head, client, _ := strings.Cut(said, "          orders-app:\n")
	all := head
	for n := range springPlaces {
		gateway := freePort(t)
		s.ports = append(s.ports, gateway)
		here := "          orders-app:\n" + client
		if n == springPlaces-1 { // as it is by default
			here = change(t, here, "              reuse-refresh-tokens: false\n", "")
		}
		all += change(t, here, "orders-app", fmt.Sprintf("orders-app-%d", n), "change-me", springSecret(fmt.Sprintf("orders-app-%d", n)),
			"https://app.example.com", at(gateway), "access-token-time-to-live: 5m", "access-token-time-to-live: 4s")
	}
	all += change(t, "          orders-app:\n"+client, "orders-app", "robot", "change-me", springSecret("robot"), "authorization_code, refresh_token",
		"client_credentials, urn:ietf:params:oauth:grant-type:device_code, refresh_token")
	all += change(t, "          orders-app:\n"+client, "orders-app", "opaque", "change-me", springSecret("opaque"), "authorization_code, refresh_token", "client_credentials") +
		"              access-token-format: reference\n"
	writeFile(t, home, "application.yml", all)
	writeFile(t, home, "here.yml", fmt.Sprintf(`
server: {address: 127.0.0.1, port: %d, forward-headers-strategy: none}
spring:
  main: {banner-mode: "off"}
logging: {level: {root: warn}}
`, port))
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	return launch(home, nil, java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-jar", built,
		"--spring.config.location=file:"+filepath.Join(home, "application.yml")+",file:"+filepath.Join(home, "here.yml"))
}

// springSecret is a client's: Spring's own list of clients refuses two that have
// the same.
func springSecret(client string) string { return "secret-of-" + client }

// springSite is a gateway in one of the places.
type springSite struct {
	id string
	g  *gateway
}

// site serves the recipe as the page has it, with one of the clients.
func (s *spring) site(t *testing.T, pairs ...string) *springSite {
	t.Helper()
	place := int(s.taken.Add(1)) - 1
	if place >= springPlaces-1 {
		t.Fatal("more gateways than springPlaces")
	}
	return s.siteAt(t, place, pairs...)
}

// siteAt is the same in a place of one's choice.
func (s *spring) siteAt(t *testing.T, place int, pairs ...string) *springSite {
	t.Helper()
	g := newGateway(t)
	g.port = s.ports[place]
	id := fmt.Sprintf("orders-app-%d", place)
	text := change(t, recipeOf(t, "issuers/spring.md", "caddyfile", "login {"), append([]string{
		"app.example.com", g.url(""), "https://login.example.com", s.desk.url, "orders:8080", startUpstream(t).address(),
		"orders-app {$SPRING_SECRET:change-me}", id + " " + springSecret(id),
	}, pairs...)...)
	g.serve(text)
	return &springSite{id, g}
}

// user types a name and the password that is everybody's. The names of tests that
// log out are their own: another's log-in changes what Spring says of a log-out.
func (s *spring) user(t *testing.T, name string) *guest {
	return newGuest(t, map[string]string{"username": name, "password": "wonder"})
}

func (s *spring) token(t *testing.T, client, scope string) string {
	t.Helper()
	return askToken(t, s.desk.url+"/oauth2/token", client, springSecret(client), url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
}

// form posts to the server as a client.
func (s *spring) form(t *testing.T, path, client string, form url.Values) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.desk.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, springSecret(client))
	a, err := send(plainClient, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
