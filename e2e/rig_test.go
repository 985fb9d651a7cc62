package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// rig is a whole deployment: an authorization server, the tap before it, the
// gateway, and an upstream that proves what it gets.
type rig struct {
	t       *testing.T
	secrets *secrets
	tap     *tap
	as      *realIssuer
	api     *api
	g       *gateway
	set     settings

	gatewaySecret, robotSecret string
	keys                       []string // of the sealing keyring, the first one seals
	client                     *http.Client

	checked sync.Once
}

// settings are what one test wants to be otherwise.
type settings struct {
	life    int    // of an access token, in seconds; default 6
	env     string // of the authorization server: NAME=value …
	alone   bool   // it has a process of its own
	store   string // default: a bolt file
	session string // more lines for the session block
	oauth   string // more lines for the oauth block
	site    string // more lines before it
	tokens  string // more lines for the token_endpoint block
	login   string // more lines for the login block
	client  string // the client's lines, instead of its secret
	signals string // the signals block of its issuer
	asking  string // words of introspect, if the server is asked about its tokens
}

// newRig starts everything. When the test ends, the invariants are checked.
func newRig(t *testing.T, set settings) *rig {
	t.Helper()
	r := &rig{
		t: t, secrets: &secrets{}, set: set, client: newClient(long(2*time.Minute, 40*time.Second)),
		gatewaySecret: "gw-" + rand.Text(), robotSecret: "rb-" + rand.Text(), keys: []string{"k1-" + rand.Text() + rand.Text()},
	}
	if r.set.life == 0 {
		r.set.life = 6
	}
	r.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 600
	r.secrets.add(kindClientSecret, r.gatewaySecret, r.robotSecret)
	r.secrets.add(kindKey, r.keys...)
	r.tap = startTap(t, r.secrets)
	r.g = newGateway(t)
	start := startRefreshing
	if set.alone {
		start = func(t *testing.T, env ...string) *realIssuer {
			t.Helper()
			return startNode(t, "refreshing.mjs", env...)
		}
	}
	r.as = start(t, append(strings.Fields(set.env), "ISSUER="+r.tap.url,
		"REDIRECT_URIS="+callback+" "+r.g.url("/_oauth/callback"),
		fmt.Sprintf("TOKEN_SECONDS=%d", r.set.life), "GATEWAY_SECRET="+r.gatewaySecret, "ROBOT_SECRET="+r.robotSecret)...)
	r.tap.change(func() { r.tap.target = r.as.url })
	r.api = startAPI(t, r.as.url)
	r.g.options = "debug\n\tmetrics"
	r.write()
	r.start()
	if r.set.store == "" { // a request would not wait for a slow disk for more than two seconds
		await(t, time.Minute, "the store of grants to be opened", func() bool {
			return strings.Contains(r.g.proc.out.String(), "opened the store of grants")
		})
	}
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.g.home, name) }

// file writes a file of the gateway's and answers the placeholder for it.
func (r *rig) file(name, text string) string {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return "{file." + r.path(name) + "}"
}

// write writes the gateway's configuration as the rig's fields have it now.
// No secret stands in it, only the names of files.
func (r *rig) write() {
	r.t.Helper()
	store := r.set.store
	if store == "" {
		store = "bolt " + r.path("grants.db")
	}
	var keys []string
	for _, key := range r.keys {
		keys = append(keys, r.file("key-"+digest(key), key))
	}
	client := r.set.client
	if client == "" {
		client = "client gateway " + r.file("gateway-secret", r.gatewaySecret)
	}
	if r.set.asking != "" {
		client += fmt.Sprintf("\n\t\t\tintrospect %s/_test/introspect {\n%s\n\t\t\t}", r.tap.url, r.set.asking)
	}
	client += "\n\t\t\t" + r.set.signals
	site := r.g.site(r.g.port, fmt.Sprintf(`%s
	request_header X-Judged-At {time.now.unix_ms}
	oauth {
		issuer %s {
			audience %s
			skew 1s
			%s
		}
		session {
			store %s
			keys %s
			%s
		}
		token_endpoint /token {
			grant_types client_credentials refresh_token authorization_code device_code
			public_clients app other
			revocation_endpoint /revoke
			device_authorization_endpoint /device
			%s
		}
		%s
		copy_claims sub>X-User-Id
		%s
	}`, r.set.site, r.tap.url, audience, client, store, strings.Join(keys, " "), r.set.session, r.set.tokens, r.set.logins(), r.set.oauth), &r.api.upstream)
	if strings.HasPrefix(r.set.oauth, "forward_auth") { // a judge needs a site for every host
		site = strings.Replace(site, "http://127.0.0.1:", ":", 1)
	}
	r.g.write(site)
}

// logins are the words for browsers, unless another proxy asks, which logs
// no user in.
func (s *settings) logins() string {
	if strings.HasPrefix(s.oauth, "forward_auth") {
		return ""
	}
	return "login {\n\t\t\tscope offline_access orders:read orders:write\n\t\t\tresource " + audience + "\n\t\t\tparameter prompt consent\n\t\t\t" + s.login + "\n\t\t}"
}

// start starts the gateway, perhaps once more.
func (r *rig) start() {
	r.t.Helper()
	r.g.start()
	// Cleanups run the last one first: this one comes before the gateway's end.
	r.t.Cleanup(func() { r.checked.Do(r.checkInvariants) })
}

// reload makes the gateway read its configuration and all files again.
func (r *rig) reload() {
	r.t.Helper()
	r.write()
	// Caddy sees no change where only a file that is named has another content.
	r.g.reload("--force")
}

// control tells the authorization server to behave otherwise.
func (r *rig) control(word string, pairs ...string) {
	r.t.Helper()
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	resp, err := http.Post(r.as.url+"/_test/"+word+"?"+query.Encode(), "", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer closeAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("the authorization server answers %s with %d", word, resp.StatusCode)
	}
}

// life changes how long new access tokens live.
func (r *rig) life(seconds int) {
	r.t.Helper()
	r.control("ttl", "seconds", fmt.Sprint(seconds))
}

// inFlight is how many requests the gateway is handling at this moment, but
// for the one that asks.
func (r *rig) inFlight() int {
	r.t.Helper()
	most := 0
	for line := range strings.Lines(r.g.adminGet("/metrics")) {
		var n int
		if cut := strings.LastIndexByte(line, ' '); cut > 0 && strings.HasPrefix(line, "caddy_http_requests_in_flight{") {
			_, _ = fmt.Sscan(line[cut:], &n)
			most = max(most, n)
		}
	}
	return most
}

// dump is the store's file as it is on the disk.
func (r *rig) dump() string {
	r.t.Helper()
	text, err := os.ReadFile(r.path("grants.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
