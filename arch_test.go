package caddyoauth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/caddyoauth/caddyoauth"

// source is the code of one file that ships: no tests, no other modules.
type source struct {
	path, dir string // dir: "." for the root package
	set       *token.FileSet
	file      *ast.File
	imports   []string
}

func sources(t *testing.T) (found []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") ||
				slices.Contains([]string{"testdata", "bench", "e2e", "node_modules", "bin", "examples", "docs"}, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		s := source{path: path, dir: filepath.ToSlash(filepath.Dir(path)), set: token.NewFileSet()}
		if s.file, err = parser.ParseFile(s.set, path, nil, parser.ParseComments); err != nil {
			return err
		}
		for _, spec := range s.file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			s.imports = append(s.imports, name)
		}
		found = append(found, s)
		return nil
	})
	if err != nil || len(found) < 20 {
		t.Fatalf("%d source files: %v", len(found), err)
	}
	return found
}

func isOrBelow(name, path string) bool { return name == path || strings.HasPrefix(name, path+"/") }

// What the rooms of the house may know of each other.
func TestImportsRunDownward(t *testing.T) {
	const jwx, caddy, redis = "github.com/lestrrat-go/jwx", "github.com/caddyserver/caddy", "github.com/redis/go-redis"
	for _, s := range sources(t) {
		internal := isOrBelow(s.dir, "internal")
		room := isOrBelow(s.dir, "internal/gateway")
		for _, name := range s.imports {
			refused := ""
			switch {
			case isOrBelow(name, jwx) && s.dir != "internal/token":
				refused = "only internal/token imports jwx"
			case isOrBelow(name, "github.com/BurntSushi/toml") && s.dir != "internal/gateway/convert":
				refused = "only internal/gateway/convert reads TOML"
			case isOrBelow(name, redis) && s.dir != "internal/session/redisstore" && s.dir != "redisstore":
				refused = "only a build that asks for Redis has its client"
			case (internal || s.dir == ".") && isOrBelow(name, module+"/redisstore"),
				s.dir != "redisstore" && name == module+"/internal/session/redisstore":
				refused = "only a build that asks for Redis has its store"
			case internal && name == module:
				refused = "what is below the root does not know it"
			case internal && !room && isOrBelow(name, caddy):
				refused = "only the root and the rooms of the gateway speak of Caddy"
			case (internal || s.dir == ".") && isOrBelow(name, module+"/devissuer"):
				refused = "a production build cannot mint tokens"
			case (internal && s.dir != "internal/as" || s.dir == ".") && name == module+"/internal/jwssign":
				refused = "only tests, the development issuer and client assertions sign"
			case s.dir == "internal/token" && (isOrBelow(name, "net") || isOrBelow(name, module)) && name != module+"/internal/revoked":
				refused = "internal/token has no network, and knows internal/revoked alone"
			case s.dir == "internal/revoked" && strings.Contains(name, "."):
				refused = "internal/revoked stands on the standard library"
			case s.dir == "internal/jwssign" && (isOrBelow(name, "net") || isOrBelow(name, module)):
				refused = "internal/jwssign only signs"
			case s.dir == "internal/secret" && isOrBelow(name, module):
				refused = "internal/secret knows no other package"
			case s.dir == "internal/breaker" && strings.Contains(name, "."):
				refused = "internal/breaker stands on the standard library"
			case s.dir == "internal/as" && isOrBelow(name, module) &&
				!slices.Contains([]string{"internal/token", "internal/secret", "internal/jwssign"}, strings.TrimPrefix(name, module+"/")):
				refused = "of this module internal/as knows token, secret and jwssign alone"
			case s.dir == "internal/session" && strings.Contains(name, ".") &&
				!slices.Contains([]string{module + "/internal/secret", module + "/internal/breaker"}, name):
				refused = "internal/session stands on the standard library"
			}
			if refused != "" {
				t.Errorf("%s imports %s: %s", s.path, name, refused)
			}
		}
	}
}

// rooms are the packages that features of the root have moved into, and what of
// this module each may import. Arrows run downward only; a new room is a new line.
var rooms = map[string][]string{
	// level 0
	"internal/gateway/command":     {},
	"internal/gateway/convert":     {"internal/gateway/command"},
	"internal/gateway/gatewaytest": {},
	"internal/gateway/grammar":     {},
	"internal/gateway/pool":        {},
	"internal/gateway/providers":   {},
	"internal/gateway/proxies":     {},
	"internal/lenient":             {},
	"internal/resource":            {"internal/as"},
	"internal/verdict":             {"internal/as", "internal/session", "internal/token"},

	// level 1
	"internal/credential":        {"internal/lenient", "internal/session", "internal/verdict"},
	"internal/gateway/identity":  {"internal/lenient", "internal/token", "internal/verdict"},
	"internal/gateway/limits":    {"internal/gateway/pool", "internal/token"},
	"internal/gateway/stores":    {"internal/gateway/grammar", "internal/session", "internal/session/boltstore"},
	"internal/gateway/telemetry": {"internal/as", "internal/revoked", "internal/session", "internal/token", "internal/verdict"},
	"internal/tunnel":            {"internal/verdict"},

	// level 2
	"internal/gateway/introspection": {"internal/as", "internal/breaker", "internal/credential", "internal/gateway/grammar", "internal/gateway/limits", "internal/gateway/pool", "internal/gateway/telemetry", "internal/secret", "internal/token", "internal/verdict"},
	"internal/gateway/signals":       {"internal/as", "internal/gateway/grammar", "internal/gateway/pool", "internal/gateway/telemetry", "internal/revoked", "internal/secevent", "internal/secret", "internal/token", "internal/verdict"},
	"internal/gateway/policy":        {"internal/gateway/grammar", "internal/lenient", "internal/token", "internal/tunnel", "internal/verdict"},
	"internal/gateway/revocation":    {"internal/gateway/grammar", "internal/gateway/pool", "internal/gateway/telemetry", "internal/revoked", "internal/token", "internal/verdict"},
	"internal/gateway/streams":       {"internal/credential", "internal/gateway/grammar", "internal/gateway/policy", "internal/gateway/telemetry", "internal/session", "internal/token", "internal/tunnel", "internal/verdict"},
	"internal/gateway/upstream":      {"internal/credential", "internal/lenient"},
	"internal/gateway/user":          {"internal/as", "internal/gateway/grammar", "internal/token"},

	// level 3
	"internal/gateway/forwardauth": {"internal/credential", "internal/gateway/grammar", "internal/gateway/identity", "internal/gateway/policy", "internal/lenient", "internal/verdict"},
	"internal/gateway/issuers":     {"internal/as", "internal/breaker", "internal/gateway/grammar", "internal/gateway/introspection", "internal/gateway/policy", "internal/gateway/pool", "internal/gateway/providers", "internal/gateway/revocation", "internal/gateway/signals", "internal/gateway/telemetry", "internal/gateway/user", "internal/revoked", "internal/secret", "internal/token", "internal/tokenrequest", "internal/verdict"},

	// level 4
	"internal/gateway/advice":   {"internal/credential", "internal/gateway/issuers", "internal/token", "internal/verdict"},
	"internal/gateway/userinfo": {"internal/as", "internal/breaker", "internal/gateway/issuers", "internal/gateway/pool", "internal/gateway/user", "internal/secret", "internal/token", "internal/verdict"},
	"internal/gateway/grants":   {"internal/as", "internal/credential", "internal/gateway/grammar", "internal/gateway/issuers", "internal/gateway/pool", "internal/gateway/revocation", "internal/gateway/stores", "internal/gateway/telemetry", "internal/revoked", "internal/secret", "internal/session", "internal/token", "internal/tokenrequest", "internal/verdict"},
	"internal/gateway/health":   {"internal/gateway/grammar", "internal/gateway/issuers"},

	// level 5
	"internal/gateway/admin":         {"internal/as", "internal/gateway/grants", "internal/gateway/issuers", "internal/gateway/revocation", "internal/revoked", "internal/session", "internal/verdict"},
	"internal/gateway/login":         {"internal/as", "internal/credential", "internal/gateway/grammar", "internal/gateway/grants", "internal/gateway/issuers", "internal/gateway/limits", "internal/gateway/policy", "internal/gateway/providers", "internal/gateway/proxies", "internal/gateway/telemetry", "internal/gateway/userinfo", "internal/lenient", "internal/revoked", "internal/session", "internal/token", "internal/tokenrequest", "internal/tunnel", "internal/verdict"},
	"internal/gateway/tokenendpoint": {"internal/as", "internal/credential", "internal/gateway/grammar", "internal/gateway/grants", "internal/gateway/issuers", "internal/gateway/limits", "internal/gateway/telemetry", "internal/session", "internal/token", "internal/tokenrequest", "internal/verdict"},

	// level 6
	"internal/gateway/config":    {"internal/credential", "internal/gateway/forwardauth", "internal/gateway/grammar", "internal/gateway/grants", "internal/gateway/identity", "internal/gateway/introspection", "internal/gateway/issuers", "internal/gateway/login", "internal/gateway/policy", "internal/gateway/revocation", "internal/gateway/signals", "internal/gateway/streams", "internal/gateway/tokenendpoint", "internal/resource", "internal/tunnel", "internal/verdict"},
	"internal/gateway/grantlist": {"internal/gateway/admin", "internal/gateway/command"},
	"internal/gateway/backup":    {"internal/gateway/admin", "internal/gateway/command"},
	"internal/gateway/revoke":    {"internal/gateway/admin", "internal/gateway/command", "internal/token"},
	"internal/gateway/status":    {"internal/breaker", "internal/gateway/admin", "internal/gateway/command", "internal/gateway/introspection", "internal/gateway/issuers", "internal/gateway/revocation", "internal/revoked"},

	// level 7
	"internal/gateway/doctor":       {"internal/as", "internal/gateway/command", "internal/gateway/config", "internal/gateway/forwardauth", "internal/gateway/grammar", "internal/gateway/grants", "internal/gateway/issuers", "internal/gateway/login", "internal/gateway/proxies", "internal/gateway/stores", "internal/gateway/tokenendpoint", "internal/resource", "internal/secret", "internal/token", "internal/tokenrequest"},
	"internal/gateway/explain":      {"internal/credential", "internal/gateway/admin", "internal/gateway/advice", "internal/gateway/command", "internal/gateway/config", "internal/gateway/identity", "internal/gateway/introspection", "internal/gateway/issuers", "internal/gateway/policy", "internal/session", "internal/token", "internal/verdict"},
	"internal/gateway/subscription": {"internal/as", "internal/gateway/command", "internal/gateway/config", "internal/gateway/grammar", "internal/gateway/issuers", "internal/gateway/signals"},
	"internal/gateway/sidecar":      {"internal/as", "internal/gateway/command", "internal/gateway/config", "internal/gateway/grammar", "internal/gateway/grants", "internal/gateway/identity", "internal/gateway/introspection", "internal/gateway/issuers", "internal/gateway/policy", "internal/gateway/streams", "internal/gateway/tokenendpoint", "internal/resource", "internal/token", "internal/verdict"},
}

// forTests is the room that tests alone import.
const forTests = "internal/gateway/gatewaytest"

func TestARoomKnowsOnlyWhatStandsInTheTable(t *testing.T) {
	imported, found := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		allowed, known := rooms[s.dir]
		found[s.dir] = true
		if isOrBelow(s.dir, "internal/gateway") {
			if !known {
				t.Errorf("%s: its room is not in the table", s.path)
			}
		}
		for _, name := range s.imports {
			dir, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			imported[dir] = true
			if dir == forTests {
				t.Errorf("%s imports %s: it is for tests", s.path, dir)
			}
			if known && !slices.Contains(allowed, dir) {
				t.Errorf("%s imports %s: an arrow that is not in the table", s.path, dir)
			}
			guest := s.dir == "redisstore" && dir == "internal/gateway/grammar" // its block is one of ours
			if s.dir != "." && !known && isOrBelow(dir, "internal/gateway") && !guest {
				t.Errorf("%s imports %s: only the root and other rooms may", s.path, dir)
			}
		}
	}
	for dir := range rooms {
		if !found[dir] || !imported[dir] && dir != forTests {
			t.Errorf("%s is in the table, and there is none, or nobody imports it: its modules and commands would be gone", dir)
		}
	}
}

// reachable are the packages of this module that one of them imports over any
// way, and that one.
func reachable(t *testing.T, from string) map[string]bool {
	t.Helper()
	of := map[string]map[string]bool{}
	for _, s := range sources(t) {
		if of[s.dir] == nil {
			of[s.dir] = map[string]bool{}
		}
		for _, name := range s.imports {
			if dir, ours := strings.CutPrefix(name, module+"/"); ours {
				of[s.dir][dir] = true
			} else if name == module {
				of[s.dir]["."] = true
			}
		}
	}
	seen, queue := map[string]bool{}, []string{from}
	for len(queue) > 0 {
		dir := queue[0]
		queue = queue[1:]
		if !seen[dir] {
			seen[dir] = true
			queue = append(queue, slices.Collect(maps.Keys(of[dir]))...)
		}
	}
	return seen
}

// The command that one ships must not reach the development issuer over any
// way, or it could mint tokens.
func TestTheShippedCommandCannotMintTokens(t *testing.T) {
	seen := reachable(t, "cmd/caddy")
	if !seen["."] || !seen["internal/token"] {
		t.Fatalf("cmd/caddy reaches %v only", seen)
	}
	if seen["devissuer"] {
		t.Errorf("cmd/caddy reaches %v", slices.Sorted(maps.Keys(seen)))
	}
}

// selectors lists every pkg.Name that a file uses, where pkg is the last part
// of an import.
func (s source) selectors(visit func(name string, at token.Position)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok {
				visit(pkg.Name+"."+sel.Sel.Name, s.set.Position(n.Pos()))
			}
		}
		return true
	})
}

// No network on the way of a request, as a rule and not as a habit.
func TestOnlyThoseWhoAskIssuersAndRedisDial(t *testing.T) {
	dials := []string{
		"http.Client", "http.DefaultClient", "http.DefaultTransport", "http.Transport", "http.Get", "http.Head", "http.Post",
		"http.PostForm", "http.NewRequest", "http.NewRequestWithContext", "net.Dial", "net.DialTimeout", "net.Dialer",
		"net.Listen", "tls.Dial", "tls.Dialer",
	}
	for _, s := range sources(t) {
		dialer := s.dir == "internal/as" || s.dir == "internal/session/redisstore"
		if s.dir != "." && (dialer || !isOrBelow(s.dir, "internal")) {
			continue
		}
		s.selectors(func(name string, at token.Position) {
			if slices.Contains(dials, name) {
				t.Errorf("%s: %s: only internal/as dials, and the store in Redis", at, name)
			}
		})
	}
}

// Below the root time comes in as an argument, so that tests can set it.
func TestNoRoomBelowTheRootAsksForTheTime(t *testing.T) {
	for _, s := range sources(t) {
		if !isOrBelow(s.dir, "internal") || isOrBelow(s.dir, "internal/gateway") {
			continue
		}
		s.selectors(func(name string, at token.Position) {
			if name == "time.Now" || name == "time.Since" || name == "time.Until" {
				t.Errorf("%s: %s", at, name)
			}
		})
	}
}

// A file passes 300 lines and a function 60: look for the noun hiding in it.
func TestFilesAndFunctionsStaySmall(t *testing.T) {
	for _, s := range sources(t) {
		if n := s.set.Position(s.file.FileEnd).Line - 1; n > 300 {
			t.Errorf("%s has %d lines", s.path, n)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			if lines := s.set.Position(fn.End()).Line - s.set.Position(fn.Pos()).Line + 1; lines > 60 {
				t.Errorf("%s: %s has %d lines", s.path, fn.Name.Name, lines)
			}
			return false
		})
	}
}

// The drawing of the rooms shows each room, and no arrow that is not in the table.
func TestTheDrawingOfTheRoomsIsTheTable(t *testing.T) {
	drawing := read(t, "docs/pictures/rooms.dot")
	dirOf := map[string]string{}
	for dir := range rooms {
		name := path.Base(dir)
		dirOf[name] = dir
		if !strings.Contains(drawing, "\t"+name+" [label=") && dir != forTests {
			t.Errorf("%s is not drawn", dir)
		}
	}
	arrows := regexp.MustCompile(`(?m)^\t(\w+) -> (\w+)$`).FindAllStringSubmatch(drawing, -1)
	if len(arrows) < len(rooms) {
		t.Errorf("%d arrows for %d rooms", len(arrows), len(rooms))
	}
	for _, arrow := range arrows {
		if from, to := arrow[1], dirOf[arrow[2]]; from != "root" && !slices.Contains(rooms[dirOf[from]], to) {
			t.Errorf("%s -> %s is drawn, and not in the table", from, arrow[2])
		}
	}
}
