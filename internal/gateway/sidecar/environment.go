package sidecar

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
)

// sidecar is what the environment asks for.
type sidecar struct {
	gateway  config.Config
	issuer   issuers.Issuer
	client   issuers.Client
	endpoint tokenendpoint.TokenEndpoint
	session  grants.Session
	trust    []string // PEM files

	introspect *introspection.Introspect // nil: opaque tokens are refused
	asking     introspection.Introspect  // how it is done, where it is

	upstreams, proxies    []string
	expected              []string // headers with _ or . in their names
	scheme                string   // of the upstreams: http, https or h2c
	listen, health, admin string
	level                 string
	accessLog             bool
	readyGrace            caddy.Duration
	delay, grace          caddy.Duration
}

// environment is what a process is given. A file is read by readFile.
type environment struct {
	values   map[string]string
	readFile func(name string) ([]byte, error)
	wrong    []error
}

func newEnvironment(entries []string, readFile func(string) ([]byte, error)) *environment {
	env := &environment{values: map[string]string{}, readFile: readFile}
	for _, entry := range entries {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env.values[name] = value
		}
	}
	return env
}

func (env *environment) fault(format string, args ...any) {
	env.wrong = append(env.wrong, fmt.Errorf(format, args...))
}

// sidecar reads all variables, and finds all that is wrong with them at once.
func (env *environment) sidecar() (*sidecar, error) {
	s := &sidecar{listen: ":8080", health: ":8081", admin: off, level: "info", scheme: "http"}
	s.grace = caddy.Duration(defaultGrace)
	for _, v := range variables {
		env.take(v, s)
	}
	env.refuseUnknown()
	env.together(s)
	return s, errors.Join(env.wrong...)
}

// given reports whether a variable is there in either form, empty or not.
func (env *environment) given(name string) bool {
	_, plain := env.values[name]
	_, file := env.values[name+"_FILE"]
	return plain || file
}

// take reads one variable.
func (env *environment) take(v variable, s *sidecar) {
	value, there := env.values[v.Name]
	path, inFile := env.values[v.Name+"_FILE"]
	inFile = inFile && v.Secret
	forms := v.Name
	if v.Secret {
		forms += " (or " + v.Name + "_FILE)"
	}
	switch {
	case !there && !inFile:
		// Without an audience there must be a resource, or the word that says so.
		named := env.given("OAUTH_RESOURCE") && env.values["OAUTH_RESOURCE_NOT_IN_AUD"] != "true" || env.values["OAUTH_INSECURE_ANY_AUDIENCE"] == "true"
		if v.Standard == required && (v.Name != "OAUTH_AUDIENCE" || !named) {
			env.fault("%s is missing; it takes %s", forms, v.Takes)
		}
		return
	case there && inFile:
		env.fault("%s and %[1]s_FILE are both set; take one away", v.Name)
		return
	case v.needs != "" && !env.given(v.needs):
		env.fault("%s has no use without %s", forms, v.needs)
	}
	if v.Secret {
		env.takeSecret(v, s, value, path, inFile)
		return
	}
	switch {
	case strings.TrimSpace(value) == "" && v.Standard == required:
		env.fault("%s is empty; it takes %s", v.Name, v.Takes)
	case strings.TrimSpace(value) == "":
		env.fault("%s is empty; it takes %s, or leave it out", v.Name, v.Takes)
	case userInURL.MatchString(value): // which may be a password: not to be shown
		env.fault("%s has a user in a URL; it takes %s", v.Name, v.Takes)
	case strings.ContainsAny(value, "{}"):
		env.fault("%s is %q: braces mean something in Caddy's configuration; it takes %s", v.Name, value, v.Takes)
	case v.list && strings.Contains(value, ","):
		env.fault("%s is %q: a list is separated by spaces here, as in %q; it takes %s", v.Name, value, strings.Join(strings.FieldsFunc(value, isComma), " "), v.Takes)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }):
		env.fault("%s is %q: there is a control character in it, perhaps a line break; it takes %s", v.Name, value, v.Takes)
	default:
		if err := v.set(s, value); err != nil {
			env.fault("%s is %q%s; it takes %s", v.Name, value, because(err), v.Takes)
			return
		}
	}
	if strings.HasSuffix(v.Name, "_FILE") && strings.TrimSpace(value) != "" {
		for name := range strings.FieldsSeq(value) {
			env.look(v.Name, name)
		}
	}
}

func isComma(c rune) bool { return c == ',' || c == ' ' }

var userInURL = regexp.MustCompile(`://[^/\s]*@`)

// because words the cause, where it says more than "wrong".
func because(err error) string {
	if text := strings.Trim(inEnvironment(err), "\n"); text != "" {
		return ": " + strings.ReplaceAll(text, "\n", "; ")
	}
	return ""
}

// inEnvironment is an error's text with the words of the Caddyfile replaced by
// those of the environment.
func inEnvironment(err error) string {
	return strings.NewReplacer(
		"write jwks <url|path> or metadata <url> in its block", "set OAUTH_JWKS or OAUTH_METADATA",
		"insecure_http in an issuer block", "OAUTH_INSECURE_HTTP=true",
		"insecure_http", "OAUTH_INSECURE_HTTP",
	).Replace(err.Error())
}

// takeSecret puts a placeholder into the configuration and never the secret,
// which no admin endpoint and no --print can show then.
func (env *environment) takeSecret(v variable, s *sidecar, value, path string, inFile bool) {
	name, placeholder := v.Name, "{env."+v.Name+"}"
	if inFile {
		name += "_FILE"
		if strings.ContainsAny(path, "{}") || path == "" {
			env.fault("%s is %q; it takes the path of a file with %s", name, path, v.Takes)
			return
		}
		content, ok := env.look(name, path)
		if !ok {
			return
		}
		value, placeholder = content, "{file."+path+"}"
	}
	text := strings.TrimSpace(value)
	switch {
	case text == "" && inFile:
		env.fault("%s: the file %s is empty; it takes %s", name, path, v.Takes)
	case text == "":
		env.fault("%s is empty; it takes %s, or leave it out", name, v.Takes)
	case strings.HasPrefix(v.Name, "OAUTH_SESSION_KEY") && len(text) < grants.MinKeyLength:
		env.fault("%s has %d characters; it takes %s: the output of \"openssl rand -base64 32\"", name, len(text), v.Takes)
	default:
		_ = v.set(s, placeholder) // which keeps it and judges nothing
	}
}

// look reads a file that a variable names.
func (env *environment) look(variable, name string) (content string, ok bool) {
	raw, err := env.readFile(name)
	if err != nil {
		if cause, is := errors.AsType[*fs.PathError](err); is {
			err = cause.Err
		}
		env.fault("%s: the file %s cannot be read: %w", variable, name, err)
		return "", false
	}
	return string(raw), true
}

// setUpstream reads addresses, which have one scheme.
func (s *sidecar) setUpstream(value string) error {
	for n, one := range strings.Fields(value) {
		scheme, dial, err := parseUpstream(one)
		if err != nil {
			return err
		}
		if n > 0 && scheme != s.scheme {
			return errors.New("http://, https:// and h2c:// do not mix")
		}
		s.scheme = scheme
		s.upstreams = append(s.upstreams, dial)
	}
	return nil
}

func parseUpstream(text string) (scheme, dial string, err error) {
	if path, unix := strings.CutPrefix(text, "unix/"); unix {
		if !strings.HasPrefix(path, "/") {
			return "", "", fmt.Errorf("%s is no unix//path", text)
		}
		return "http", text, nil
	}
	scheme, dial = "http", text
	if before, _, has := strings.Cut(text, "://"); has {
		u, err := url.Parse(text)
		if err != nil || !slices.Contains([]string{"http", "https", "h2c"}, before) || u.Hostname() == "" {
			return "", "", fmt.Errorf("%s is no such address", text)
		}
		if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return "", "", fmt.Errorf("%s has more than a host and a port", text)
		}
		scheme, dial = u.Scheme, u.Host
		if u.Port() == "" {
			dial = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443", "h2c": "80"}[scheme])
		}
	}
	address, err := caddy.ParseNetworkAddress(dial)
	if err != nil || address.Network != "tcp" || address.PortRangeSize() != 1 || address.StartPort == 0 {
		return "", "", fmt.Errorf("%s has no port", text)
	}
	return scheme, dial, nil
}
