package sidecar

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// theLeast is an environment that says only what must be said.
var theLeast = map[string]string{
	"OAUTH_ISSUER": "https://login.example.com", "OAUTH_AUDIENCE": "api://orders", "UPSTREAM": "127.0.0.1:9000",
}

// environ is theLeast with changes; "-" takes a variable away.
func environ(changes ...string) []string {
	all := maps.Clone(theLeast)
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		all[name] = value
		if value == "-" {
			delete(all, name)
		}
	}
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		entries = append(entries, name+"="+all[name])
	}
	return entries
}

const goodKey = "0123456789abcdef0123456789abcdef"

// fakeFiles stands for the files that variables name.
func fakeFiles(name string) ([]byte, error) {
	content, ok := map[string]string{
		"/run/secret": "hunter2\n", "/run/empty": "\n", "/run/key": goodKey + "\n", "/run/ca.pem": "PEM", "/run/client.pem": "PEM",
	}[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(content), nil
}

func TestAWrongEnvironmentIsNamedWithWhatWouldBeRight(t *testing.T) {
	for _, row := range []struct {
		env  []string
		want string // whole
	}{
		{[]string{"OAUTH_ISSUER=-"}, `OAUTH_ISSUER is missing; it takes one or more issuer URLs`},
		{[]string{"OAUTH_AUDIENCE=-"}, `OAUTH_AUDIENCE is missing; it takes one or more audiences`},
		{[]string{"OAUTH_INTROSPECT=true"}, `OAUTH_INTROSPECT needs OAUTH_CLIENT_ID: the issuer answers nobody who does not prove who he is`},
		{[]string{"OAUTH_INTROSPECT=yes", "OAUTH_CLIENT_ID=a", "OAUTH_CLIENT_SECRET=b"}, `OAUTH_INTROSPECT is "yes": "yes" is not an absolute URL; it takes true, false, or the URL of the introspection endpoint`},
		{[]string{"OAUTH_INTROSPECT_RATE=5"}, `OAUTH_INTROSPECT_RATE has no use without OAUTH_INTROSPECT`},
		{[]string{"OAUTH_INSECURE_ANY_TOKEN=true", "OAUTH_AUDIENCE=-", "OAUTH_INSECURE_ANY_AUDIENCE=true"}, `OAUTH_INSECURE_ANY_TOKEN has no use without OAUTH_INTROSPECT`},
		{[]string{"OAUTH_INSECURE_ANY_TOKEN=true", "OAUTH_INTROSPECT=true", "OAUTH_CLIENT_ID=a", "OAUTH_CLIENT_SECRET=b"}, `OAUTH_INSECURE_ANY_TOKEN and OAUTH_AUDIENCE exclude each other: it is for OAUTH_INSECURE_ANY_AUDIENCE, where no audience tells tokens apart`},
		{[]string{"OAUTH_GRANTS_PER_CLIENT=5"}, `OAUTH_GRANTS_PER_CLIENT has no use without OAUTH_TOKEN_ENDPOINT`},
		{[]string{"OAUTH_TOKEN_ENDPOINT=/token", "OAUTH_GRANTS_PER_CLIENT=0"}, `OAUTH_GRANTS_PER_CLIENT is "0"; it takes a number of grants, 1 to 100000000`},
		{[]string{"OAUTH_TOKEN_ENDPOINT=/token", "OAUTH_GRANTS_PER_SUBJECT=many"}, `OAUTH_GRANTS_PER_SUBJECT is "many"; it takes a number of grants, 1 to 100000000`},
		{[]string{"UPSTREAM=-"}, `UPSTREAM is missing; it takes one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front`},
		{[]string{"OAUTH_AUDIENCE="}, `OAUTH_AUDIENCE is empty; it takes one or more audiences`},
		{[]string{"OAUTH_SCOPE= "}, `OAUTH_SCOPE is empty; it takes scope words, or leave it out`},
		{[]string{"OAUTH_ISUER=x"}, `OAUTH_ISUER is not known; is it OAUTH_ISSUER?`},
		{[]string{"OAUTH_SCOPES=a"}, `OAUTH_SCOPES is not known; is it OAUTH_SCOPE?`},
		{[]string{"OAUTH_SESSION_KEYS_FILE=/run/key"}, `OAUTH_SESSION_KEYS_FILE is not known; is it OAUTH_SESSION_KEY_FILE?`},
		{[]string{"OAUTH_SCOPE_FILE=/run/key"}, `OAUTH_SCOPE_FILE is not known; is it OAUTH_SCOPE?`},
		{[]string{"OAUTH_UPSTREAM=127.0.0.1:1"}, `OAUTH_UPSTREAM is not known; is it UPSTREAM?`},
		{[]string{"OAUTH_BACKEND=127.0.0.1:1"}, `OAUTH_BACKEND is not known; is it UPSTREAM?`},
		{[]string{"OAUTH_LISTEN_ADDRESS=:80"}, `OAUTH_LISTEN_ADDRESS is not known; is it LISTEN?`},
		{[]string{"OAUTH_ISSUER_URL=https://a.example"}, `OAUTH_ISSUER_URL is not known; is it OAUTH_ISSUER?`},
		{[]string{"OAUTH_JWKS_URI=https://a.example"}, `OAUTH_JWKS_URI is not known; is it OAUTH_JWKS?`},
		{[]string{"OAUTH_REQUIRED_SCOPES=a"}, `OAUTH_REQUIRED_SCOPES is not known; is it OAUTH_SCOPE?`},
		{[]string{"OAUTH_TRUSTED_PROXY=10.0.0.1"}, `OAUTH_TRUSTED_PROXY is not known; is it TRUSTED_PROXIES?`},
		{[]string{"OAUTH_WHATEVER_THAT_IS=1"}, `OAUTH_WHATEVER_THAT_IS is not known; docs/sidecar.md lists the variables that are`},
		{[]string{"OAUTH_SCOPE=orders:read,orders:list"}, `OAUTH_SCOPE is "orders:read,orders:list": a list is separated by spaces here, as in "orders:read orders:list"; it takes scope words`},
		{[]string{"OAUTH_AUDIENCE=api, orders"}, `OAUTH_AUDIENCE is "api, orders": a list is separated by spaces here, as in "api orders"; it takes one or more audiences`},
		{[]string{"UPSTREAM=a:1,b:1"}, `UPSTREAM is "a:1,b:1": a list is separated by spaces here, as in "a:1 b:1"; it takes one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front`},
		{[]string{"TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1"}, `TRUSTED_PROXIES is "10.0.0.0/8,192.0.2.1": a list is separated by spaces here, as in "10.0.0.0/8 192.0.2.1"; it takes IP addresses and ranges`},
		{[]string{"EXPECTED_HEADERS=X-User-Id"}, `EXPECTED_HEADERS is "X-User-Id": "X-User-Id" has neither _ nor ., and comes through without this; it takes names of headers with _ or . in them`},
		{[]string{"EXPECTED_HEADERS=a_*b"}, `EXPECTED_HEADERS is "a_*b": "a_*b" is no header's name; only its end may be *; it takes names of headers with _ or . in them`},
		{[]string{"OAUTH_SCOPES_SUPPORTED=a"}, `OAUTH_SCOPES_SUPPORTED has no use without OAUTH_RESOURCE`},
		{[]string{"OAUTH_RESOURCE=https://api.example.com", "OAUTH_RESOURCE_NOT_IN_AUD=true", "OAUTH_AUDIENCE=-"}, `OAUTH_AUDIENCE is missing; it takes one or more audiences`},
		{[]string{"OAUTH_SKEW=5m"}, `OAUTH_SKEW is "5m"; it takes a duration from 0s to 60s`},
		{[]string{"OAUTH_SKEW=30"}, `OAUTH_SKEW is "30"; it takes a duration from 0s to 60s`},
		{[]string{"OAUTH_TOKEN_TYPE=JWT"}, `OAUTH_TOKEN_TYPE is "JWT"; it takes at+jwt`},
		{[]string{"OAUTH_STRIP_TOKEN=yes"}, `OAUTH_STRIP_TOKEN is "yes"; it takes true or false`},
		{[]string{"OAUTH_ALLOW_ANONYMOUS=True"}, `OAUTH_ALLOW_ANONYMOUS is "True"; it takes true or false`},
		{[]string{"OAUTH_CACHE=-1"}, `OAUTH_CACHE is "-1"; it takes a number of tokens, 0 for none`},
		{[]string{"OAUTH_ISSUER=http://login.example.com"}, `OAUTH_ISSUER: "http://login.example.com" is plain http; use https, or OAUTH_INSECURE_HTTP=true to take the risk; if it is a name that leads nowhere, set OAUTH_JWKS or OAUTH_METADATA`},
		{[]string{"OAUTH_ISSUER=https://me:hunter2@login.example.com"}, `OAUTH_ISSUER has a user in a URL; it takes one or more issuer URLs`},
		{[]string{"OAUTH_AUDIENCE={env.SECRET}"}, `OAUTH_AUDIENCE is "{env.SECRET}": braces mean something in Caddy's configuration; it takes one or more audiences`},
		{[]string{"OAUTH_SCOPE=a\nb"}, `OAUTH_SCOPE is "a\nb": there is a control character in it, perhaps a line break; it takes scope words`},
		{[]string{"OAUTH_JWKS=keys.json"}, `OAUTH_JWKS is "keys.json": it is neither; it takes a URL, or the absolute path of a file`},
		{[]string{"OAUTH_COPY_CLAIMS=sub>Host"}, `OAUTH_COPY_CLAIMS is "sub>Host": copy_claims sub>Host: the header Host has a use of its own; it takes claims, each as claim>Header or claim`},
		{[]string{"OAUTH_METADATA=https://a.example/m", "OAUTH_JWKS=/run/keys"}, `OAUTH_METADATA and OAUTH_JWKS exclude each other: keys from a file are not fetched`},
		{[]string{"OAUTH_BEARER_TOKEN_FILE=/run/key", "OAUTH_JWKS=/run/keys"}, `OAUTH_BEARER_TOKEN_FILE and OAUTH_JWKS exclude each other: keys from a file are not fetched`},
		{[]string{"OAUTH_BEARER_TOKEN_FILE=/run/key", "OAUTH_INSECURE_HTTP=true"}, `OAUTH_BEARER_TOKEN_FILE and OAUTH_INSECURE_HTTP exclude each other: whoever is on the way could read the token`},
		{[]string{"OAUTH_AUDIENCE=-", "OAUTH_CLIENT_ID_AS_AUDIENCE=true", "OAUTH_INSECURE_ANY_AUDIENCE=true"}, `OAUTH_CLIENT_ID_AS_AUDIENCE and OAUTH_INSECURE_ANY_AUDIENCE exclude each other: it says which clients' tokens are taken, by OAUTH_AUDIENCE`},
		{[]string{"OAUTH_ISSUER=my-issuer"}, `OAUTH_ISSUER: "my-issuer" is not an absolute URL; if it is a name that leads nowhere, set OAUTH_JWKS or OAUTH_METADATA`},
		{[]string{"OAUTH_LIST_CLAIMS=/a~b"}, `OAUTH_LIST_CLAIMS is "/a~b": list_claims: "/a~b" begins with a slash and is no JSON pointer (RFC 6901): in a name ~ is written ~0, and / is written ~1; it takes claims`},
		{[]string{"OAUTH_INSECURE_ANY_AUDIENCE=true"}, `OAUTH_AUDIENCE and OAUTH_INSECURE_ANY_AUDIENCE exclude each other: any audience is every audience`},
		{[]string{"OAUTH_RESOURCE=api"}, `OAUTH_RESOURCE: "api" is not an absolute URL`},
		{[]string{"OAUTH_RESOURCE=http://api.example.com"}, `OAUTH_RESOURCE: "http://api.example.com" is plain http; use https, or OAUTH_INSECURE_HTTP=true to take the risk`},
		{[]string{"OAUTH_RESOURCE=https://api.example.com", "OAUTH_AUDIENCE=-", "OAUTH_INSECURE_ANY_AUDIENCE=true"}, `OAUTH_RESOURCE and OAUTH_INSECURE_ANY_AUDIENCE exclude each other: with a resource, tokens are for it`},
		{[]string{`OAUTH_ACR=a"b`}, `OAUTH_ACR is "a\"b": require acr: "a\"b" is not one word, as acr values are; it takes acr values`},
		{[]string{"OAUTH_MAX_AGE=0s"}, `OAUTH_MAX_AGE is "0s"; it takes a duration above zero, such as 30s or 12h`},
		{[]string{"OAUTH_CLIENT_ID=gw"}, `OAUTH_CLIENT_ID needs OAUTH_CLIENT_SECRET (or OAUTH_CLIENT_SECRET_FILE) or OAUTH_CLIENT_KEY_FILE`},
		{[]string{"OAUTH_CLIENT_SECRET=hunter2"}, `OAUTH_CLIENT_SECRET (or OAUTH_CLIENT_SECRET_FILE) has no use without OAUTH_CLIENT_ID`},
		{[]string{"OAUTH_CLIENT_ID=gw", "OAUTH_CLIENT_SECRET="}, `OAUTH_CLIENT_SECRET is empty; it takes the client's secret, or leave it out`},
		{[]string{"OAUTH_CLIENT_ID=gw", "OAUTH_CLIENT_SECRET=hunter2", "OAUTH_CLIENT_SECRET_FILE=/run/secret"}, `OAUTH_CLIENT_SECRET and OAUTH_CLIENT_SECRET_FILE are both set; take one away`},
		{[]string{"OAUTH_CLIENT_ID=gw", "OAUTH_CLIENT_SECRET_FILE=/run/nothing"}, `OAUTH_CLIENT_SECRET_FILE: the file /run/nothing cannot be read: file does not exist`},
		{[]string{"OAUTH_CLIENT_ID=gw", "OAUTH_CLIENT_SECRET_FILE=/run/empty"}, `OAUTH_CLIENT_SECRET_FILE: the file /run/empty is empty; it takes the client's secret`},
		{[]string{"OAUTH_TRUST_POOL_FILE=/run/nothing"}, `OAUTH_TRUST_POOL_FILE: the file /run/nothing cannot be read: file does not exist`},
		{[]string{"OAUTH_SESSION_MAX=8h"}, `OAUTH_SESSION_MAX has no use without OAUTH_TOKEN_ENDPOINT`},
		{[]string{"OAUTH_TOKEN_ENDPOINT=token"}, `OAUTH_TOKEN_ENDPOINT is "token": token_endpoint: "token" is not a plain path such as /token; it takes one or more paths`},
		{[]string{"OAUTH_TOKEN_ENDPOINT=/token", "OAUTH_SESSION_KEY=hunter2"}, `OAUTH_SESSION_KEY has 7 characters; it takes at least 32 characters: the output of "openssl rand -base64 32"`},
		{[]string{"UPSTREAM=app"}, `UPSTREAM is "app": app has no port; it takes one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front`},
		{[]string{"UPSTREAM=http://app:1/v1"}, `UPSTREAM is "http://app:1/v1": http://app:1/v1 has more than a host and a port; it takes one or more addresses: host:port, unix//path, or with http://, https:// or h2c:// in front`},
		{[]string{"UPSTREAM=localhost:8080"}, `UPSTREAM is localhost:8080, where the sidecar itself listens; change LISTEN or the application's port`},
		{[]string{"UPSTREAM=localhost:8081"}, `UPSTREAM is localhost:8081, where the sidecar itself listens; change HEALTH_LISTEN or the application's port`},
		{[]string{"LISTEN=unix//run/s.sock", "UPSTREAM=unix//run/s.sock"}, `UPSTREAM is unix//run/s.sock, where the sidecar itself listens; change LISTEN or the application's port`},
		{[]string{"LISTEN=8080"}, `LISTEN is "8080"; it takes an address such as :8080 or 10.0.0.1:8080, or unix//path`},
		{[]string{"LISTEN=:8081"}, `LISTEN and HEALTH_LISTEN are both :8081; health needs a listener of its own`},
		{[]string{"LISTEN=unix//run/s.sock", "ADMIN=unix//run/s.sock"}, `ADMIN is unix//run/s.sock, which is LISTEN, HEALTH_LISTEN or UPSTREAM too; it needs a socket of its own`},
		{[]string{"ADMIN=localhost:2019"}, `ADMIN is "localhost:2019"; it takes off, or unix//path of a socket`},
		{[]string{"ADMIN=unix/@abstract"}, `ADMIN is "unix/@abstract"; it takes off, or unix//path of a socket`},
		{[]string{"ADMIN=unix//a|0666"}, `ADMIN is "unix//a|0666"; it takes off, or unix//path of a socket`},
		{[]string{"TRUSTED_PROXIES=10.0.0.0/8 lb"}, `TRUSTED_PROXIES is "10.0.0.0/8 lb": "lb" is neither; it takes IP addresses and ranges`},
		{[]string{"LOG_LEVEL=trace"}, `LOG_LEVEL is "trace"; it takes debug, info, warn or error`},
		{[]string{"GRACE_PERIOD=0s"}, `GRACE_PERIOD is "0s"; it takes a duration above zero, such as 30s or 12h`},
		{[]string{"HEALTH_LISTEN=off", "READY_GRACE=5s"}, `READY_GRACE and HEALTH_LISTEN exclude each other: nobody can ask`},
		{[]string{"OAUTH_ISSUER=https://a.example https://a.example"}, `the variables do not fit together: the issuer https://a.example is there twice: put its settings into one issuer block`},
	} {
		config, err := configOf(environ(row.env...), fakeFiles)
		if err == nil || err.Error() != row.want {
			t.Errorf("%q:\ngot  %v\nwant %s\n%s", row.env, err, row.want, config)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows a secret: %v", row.env, err)
		}
	}
}

func TestAnUpstreamMayHaveTheSidecarsPortOnAnotherAddress(t *testing.T) {
	for _, env := range [][]string{
		{"LISTEN=10.0.0.1:8080", "UPSTREAM=127.0.0.1:8080"}, {"UPSTREAM=app:8080"}, {"LISTEN=127.0.0.1:8080", "UPSTREAM=10.0.0.2:8080"},
		{"HEALTH_LISTEN=off", "UPSTREAM=127.0.0.1:8081"},
	} {
		if _, err := configOf(environ(env...), fakeFiles); err != nil {
			t.Errorf("%q: %v", env, err)
		}
	}
	for _, env := range [][]string{
		{"LISTEN=0.0.0.0:8080", "UPSTREAM=127.0.0.1:8080"}, {"LISTEN=[::]:8080", "UPSTREAM=[::1]:8080"}, {"LISTEN=10.0.0.1:8080", "UPSTREAM=10.0.0.1:8080"},
	} {
		if _, err := configOf(environ(env...), fakeFiles); err == nil {
			t.Errorf("%q goes round in a circle", env)
		}
	}
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	_, err := configOf(environ("OAUTH_ISSUER=-", "OAUTH_SKEW=1d", "LISTEN=x", "OAUTH_ADUIENCE=y"), fakeFiles)
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 4 {
		t.Errorf("%d lines: %v", len(lines), err)
	}
}

func TestWhatKubernetesAddsForAServiceIsNoMistake(t *testing.T) {
	var links []string
	for _, service := range []string{"OAUTH", "OAUTH_GATEWAY"} {
		for _, end := range []string{"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_PROTO", "PORT_80_TCP_PORT", "PORT_80_TCP_ADDR"} {
			links = append(links, service+"_"+end+"=10.0.0.1")
		}
	}
	if _, err := configOf(environ(links...), fakeFiles); err != nil {
		t.Error(err)
	}
}

var variableRow = regexp.MustCompile("(?m)^\\| `([A-Z_]+)`(?:, `([A-Z_]+)`)? \\| ([^|]+) \\| ([^|]+) \\| [^|]+ \\|$")

func TestThePageListsTheVariablesThatThereAre(t *testing.T) {
	page, err := os.ReadFile("../../../docs/sidecar.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := variableRow.FindAllStringSubmatch(string(page), -1)
	for i, v := range variables {
		file := ""
		if v.Secret {
			file = v.Name + "_FILE"
		}
		want := []string{v.Name, file, v.Takes, v.Standard}
		if i >= len(rows) || !slices.Equal(rows[i][1:], want) {
			t.Fatalf("row %d of docs/sidecar.md must begin | `%s` | %s | %s |, rows: %q", i+1, v.Name, v.Takes, v.Standard, rows[min(i, len(rows)-1)])
		}
	}
	if len(rows) != len(variables) {
		t.Errorf("%d rows for %d variables", len(rows), len(variables))
	}
}
