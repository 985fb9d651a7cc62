package caddyoauth_test

import (
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth"
)

// dirOf is the directory of a package of this module; "." is the root.
func dirOf(pkg string) (dir string, ours bool) {
	if pkg == module || pkg == module+"_test" {
		return ".", true
	}
	return strings.CutPrefix(pkg, module+"/")
}

// besides are the packages with modules that a build asks for by an import of
// its own.
var besides = []string{"redisstore", "devissuer"}

// A room that is not imported is not in a build, and a test of that room alone
// does not miss it.
func TestABuildOfTheRootAloneHasEveryModuleAndCommand(t *testing.T) {
	within := reachable(t, ".")
	// inBuild judges by the function that makes a module or runs a command.
	inBuild := func(what string, fn any) bool {
		code := runtime.FuncForPC(reflect.ValueOf(fn).Pointer())
		file, _ := code.FileLine(code.Entry())
		slash := strings.LastIndex(code.Name(), "/") + 1
		pkg, _, _ := strings.Cut(code.Name()[slash:], ".")
		dir, ours := dirOf(code.Name()[:slash] + pkg)
		if !ours || slices.Contains(besides, dir) || strings.HasSuffix(file, "_test.go") {
			return false
		}
		if !within[dir] {
			t.Errorf("%s is in %s, which the root does not import", what, dir)
		}
		return true
	}
	var modules, commands []string
	for _, id := range caddy.Modules() {
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		if inBuild(id, info.New) {
			modules = append(modules, id)
		}
	}
	parent := new(cobra.Command)
	caddycmd.Commands()["oauth"].CobraFunc(parent)
	for _, cmd := range parent.Commands() {
		if inBuild(cmd.Name(), cmd.RunE) {
			commands = append(commands, cmd.Name())
		}
	}
	slices.Sort(commands)
	if want := []string{
		"admin.api.oauth", "admin.api.oauth_explain", "admin.api.oauth_issuers", "admin.api.oauth_revocations",
		"http.handlers.oauth", "http.handlers.oauth_health", "http.oauth.stores.bolt", "http.oauth.stores.memory",
	}; !slices.Equal(modules, want) {
		t.Errorf("modules: %v\nwant:    %v", modules, want)
	}
	if want := []string{"backup", "convert", "doctor", "explain", "grants", "revoke", "sidecar", "signals", "status"}; !slices.Equal(commands, want) {
		t.Errorf("commands: %v, want %v", commands, want)
	}
}

// A build that has no use for a command leaves out one line of imports.go. That
// works as long as no other code needs the command's room.
func TestEachCommandIsOneImportOfTheRoot(t *testing.T) {
	for _, name := range []string{"backup", "doctor", "explain", "grantlist", "revoke", "sidecar", "status"} {
		var by []string
		for _, s := range sources(t) {
			for _, spec := range s.file.Imports {
				if spec.Path.Value == strconv.Quote(module+"/internal/gateway/"+name) {
					by = append(by, s.path)
					if spec.Name == nil || spec.Name.Name != "_" {
						t.Errorf("%s needs %s, and not only has it in the build", s.path, name)
					}
				}
			}
		}
		if !slices.Equal(by, []string{"imports.go"}) {
			t.Errorf("%s is imported by %v, want imports.go alone", name, by)
		}
	}
}

// Gateway embeds Config: such a method of Config's would be taken for its own.
func TestTheConfigurationHasNoMethodThatCaddyLooksFor(t *testing.T) {
	kind := reflect.TypeFor[*caddyoauth.Config]()
	for _, name := range []string{"CaddyModule", "Provision", "Validate", "Cleanup", "UnmarshalCaddyfile", "UnmarshalJSON", "MarshalJSON", "ServeHTTP"} {
		if _, has := kind.MethodByName(name); has {
			t.Errorf("Config has the method %s", name)
		}
	}
	if kind.NumMethod() == 0 {
		t.Error("Config has no method at all")
	}
}

// A field that only the running gateway needs, and that another package sees,
// would be read from and written to JSON: every field says that it is meant.
func TestEachExportedFieldOfTheConfigurationHasAJSONTag(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(kind reflect.Type)
	look = func(kind reflect.Type) {
		switch kind.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			look(kind.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if _, ours := dirOf(kind.PkgPath()); !ours || seen[kind] {
			return
		}
		seen[kind] = true
		for field := range kind.Fields() {
			name, tagged := field.Tag.Lookup("json")
			switch {
			case field.Anonymous && !tagged:
				look(field.Type) // its fields stand in this one's JSON
			case !field.IsExported() || name == "-":
			case !tagged:
				t.Errorf(`%s.%s has no json tag: json:"-" keeps it out of the configuration`, kind, field.Name)
			default:
				look(field.Type)
			}
		}
	}
	for _, id := range caddy.Modules() {
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(id, "oauth") {
			look(reflect.TypeOf(info.New()))
		}
	}
	names := map[string]bool{}
	for kind := range seen {
		names[kind.Name()] = true
	}
	for _, name := range []string{"Gateway", "Config", "Issuer", "Client", "Introspect", "Session", "TokenEndpoint", "Login", "ForwardAuth", "Requirement", "Credential", "BoltStore", "Handler"} {
		if !names[name] {
			t.Errorf("%s was not looked at: %v", name, slices.Sorted(maps.Keys(names)))
		}
	}
}
