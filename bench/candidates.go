package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

//go:embed configs
var configs embed.FS

// kind is one thing that the benchmark can measure.
type kind struct {
	name    string
	title   string
	config  string   // file under configs/, empty for none
	algs    []string // what it can verify
	fresh   bool     // starts anew, with a lap over all tokens, before a run with many of them
	judges  bool     // refuses bad tokens
	gateway bool     // has our module inside, and its metrics
	swaps   bool     // is sent reference tokens, which it swaps for those of an issuer
	tls     bool     // listens with TLS
	browser bool     // is sent the cookies of sessions
}

var (
	allAlgs = []string{"RS256", "ES256", "EdDSA"}
	kinds   = []kind{
		{name: "direct", title: "upstream alone, no proxy", algs: allAlgs},
		{name: "bare", title: "Caddy, bare", config: "bare.Caddyfile", algs: allAlgs},
		// A second bare Caddy: how far its ratio is from 1 is what the machine's noise makes.
		{name: "control", title: "Caddy, bare, a second one", config: "bare.Caddyfile", algs: allAlgs, fresh: true},
		{name: "oauth", title: "Caddy with `oauth`", config: "oauth.Caddyfile", algs: allAlgs, fresh: true, judges: true, gateway: true},
		{name: "uncached", title: "Caddy with `oauth`, `cache 0`", config: "uncached.Caddyfile", algs: allAlgs, judges: true, gateway: true},
		{name: "reference", title: "Caddy with `oauth`, reference tokens", config: "reference.Caddyfile", algs: allAlgs, fresh: true, judges: true, gateway: true, swaps: true},
		{name: "redis", title: "Caddy with `oauth`, reference tokens in Redis", config: "redis.Caddyfile", algs: allAlgs, fresh: true, judges: true, gateway: true, swaps: true},
		// Neither Debian's HAProxy 2.6 nor cjose, which mod_oauth2 uses, knows EdDSA.
		{name: "haproxy", title: "HAProxy `jwt_verify`", config: "haproxy.cfg", algs: allAlgs[:2], judges: true},
		{name: "apache", title: "Apache `mod_oauth2`", config: "apache.conf", algs: allAlgs[:2], judges: true},
	}
)

const apacheModules = "/usr/lib/apache2/modules"

// missing says what stands in the way of a candidate, or nothing.
func (k kind) missing(ctx context.Context, o *options) string {
	switch k.name {
	case "haproxy":
		if lookTool("haproxy") == "" {
			return "haproxy is not installed: apt-get install haproxy"
		}
	case "apache":
		if lookTool("apache2") == "" {
			return "apache2 is not installed: apt-get install apache2"
		}
		if _, err := os.Stat(apacheModules + "/mod_oauth2.so"); err != nil {
			return "mod_oauth2 is not installed: apt-get install libapache2-mod-oauth2"
		}
	case "oauth2-proxy":
		if o.oauth2Proxy == "" {
			return "name one with -oauth2-proxy"
		}
	default:
		if k.redis() && lookTool("redis-server") == "" {
			return "redis-server is not installed: apt-get install redis-server"
		}
		out, err := exec.CommandContext(ctx, o.caddy, "list-modules").Output()
		if err != nil {
			return fmt.Sprintf("%s list-modules: %v", o.caddy, err)
		}
		if k.gateway && !bytes.Contains(out, []byte("http.handlers.oauth\n")) {
			return o.caddy + " holds no http.handlers.oauth: build it from cmd/caddy"
		}
	}
	return ""
}

// lookTool finds a program also where root's PATH alone would look.
func lookTool(name string) string {
	for _, try := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(try); err == nil {
			return path
		}
	}
	return ""
}

// setting is what the files under configs/ are filled in with.
type setting struct {
	Name, Dir, Listen, Admin, Upstream string
	Issuer, Audience, Alg              string
	LocalIssuer                        string // has a token endpoint
	Redis                              string // where a Redis listens
	Transmitter                        string // of security events
	JWKS, PEM                          string // paths
	JWK                                string // JSON
	Modules                            string
	Cert, Key, OAuth2Proxy             string // paths
	Procs                              int
}

// Port is that of Listen, with its colon.
func (st setting) Port() string { return st.Listen[strings.LastIndexByte(st.Listen, ':'):] }

// candidate is a running kind.
type candidate struct {
	kind
	*proc
	addr, admin string
	own         []string // header fields to send it in place of everybody's, if any

	restart func(context.Context) error // stop, and start anew at another port
}

// keyFiles writes the public key in every form that a candidate reads.
func keyFiles(dir string, s *signer) (setting, error) {
	jwk, err := s.jwk()
	if err != nil {
		return setting{}, err
	}
	one, err := json.Marshal(jwk)
	if err != nil {
		return setting{}, err
	}
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		return setting{}, err
	}
	pem, err := s.publicPEM()
	if err != nil {
		return setting{}, err
	}
	st := setting{
		Dir: dir, Issuer: issuer, Audience: audience, Alg: s.alg, JWK: string(one),
		JWKS:    filepath.Join(dir, "jwks-"+s.alg+".json"),
		PEM:     filepath.Join(dir, "key-"+s.alg+".pem"),
		Modules: apacheModules,
	}
	if err := os.WriteFile(st.JWKS, set, 0o600); err != nil {
		return setting{}, err
	}
	return st, os.WriteFile(st.PEM, pem, 0o600)
}

// run starts a candidate and waits until it listens.
func (k kind) run(ctx context.Context, caddy string, st setting) (*candidate, error) {
	c, err := k.launch(caddy, st)
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx, c.addr); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// launch starts a candidate.
func (k kind) launch(caddy string, st setting) (*candidate, error) {
	var err error
	if st.Listen, err = freeAddr(); err != nil {
		return nil, err
	}
	if st.Admin, err = freeAddr(); err != nil {
		return nil, err
	}
	st.Name = k.name
	path := filepath.Join(st.Dir, k.name+"-"+filepath.Base(k.config))
	if err := render(path, k.config, st); err != nil {
		return nil, err
	}
	var argv, env []string
	switch k.name {
	case "haproxy":
		argv = []string{lookTool("haproxy"), "-db", "-f", path}
	case "oauth2-proxy":
		argv = []string{st.OAuth2Proxy, "--config", path}
		env = []string{"GOMAXPROCS=" + strconv.Itoa(st.Procs)}
	case "apache":
		argv = []string{lookTool("apache2"), "-D", "FOREGROUND", "-d", st.Dir, "-f", path}
	default:
		argv = []string{caddy, "run", "--adapter", "caddyfile", "--config", path}
		env = []string{"GOMAXPROCS=" + strconv.Itoa(st.Procs), "XDG_DATA_HOME=" + st.Dir, "XDG_CONFIG_HOME=" + st.Dir}
	}
	p, err := start(st.Dir, k.name, env, argv...)
	if err != nil {
		return nil, err
	}
	c := &candidate{kind: k, proc: p, addr: st.Listen, admin: st.Admin}
	c.restart = func(ctx context.Context) error {
		c.stop()
		fresh, err := k.run(ctx, caddy, st)
		if err != nil {
			return err
		}
		c.proc, c.addr, c.admin = fresh.proc, fresh.addr, fresh.admin
		return nil
	}
	return c, nil
}

func render(path, config string, st setting) error {
	t, err := template.New(config).ParseFS(configs, "configs/"+config)
	if err != nil {
		return fmt.Errorf("reading configs/%s: %w", config, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, st); err != nil {
		return fmt.Errorf("filling in configs/%s: %w", config, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// runUpstream starts this very program as the upstream.
func runUpstream(ctx context.Context, dir string) (*candidate, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := start(dir, "upstream", []string{"GOMAXPROCS=1"}, self, "-serve-upstream", addr)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, addr); err != nil {
		p.stop()
		return nil, err
	}
	return &candidate{kind: kinds[0], proc: p, addr: addr}, nil
}
