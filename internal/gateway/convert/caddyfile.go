package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// block is a part of a Caddyfile that grows line by line.
type block struct{ lines []string }

// word adds a line of a word and its values.
func (b *block) word(word string, values ...string) {
	for _, value := range values {
		word += " " + quote(value)
	}
	b.lines = append(b.lines, word)
}

func (b *block) comment(format string, args ...any) {
	b.lines = append(b.lines, "# "+fmt.Sprintf(format, args...))
}

// within adds another block under a word, unless it is empty and need not be there.
func (b *block) within(word string, inner *block, always bool) {
	switch {
	case len(inner.lines) > 0:
		b.lines = append(b.lines, word+" {")
		for _, line := range inner.lines {
			b.lines = append(b.lines, "\t"+line)
		}
		b.lines = append(b.lines, "}")
	case always:
		b.lines = append(b.lines, word)
	}
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:*+,=@%^$&?!()|~<>-]+$`)

// quote is a value as the Caddyfile reads it back. Placeholders stay what they are.
func quote(value string) string {
	switch {
	case placeholder.MatchString(value), plainWord.MatchString(value) && value[0] != '@':
		return value
	case !strings.Contains(value, "`"):
		return "`" + value + "`"
	}
	return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
}

var placeholder = regexp.MustCompile(`^\{(env|file)\.[A-Za-z0-9_./ -]+\}$`)

// text is what an option is set to, or a default.
func (s *settings) text(name, otherwise string) string {
	if one := s.set[name]; one != nil && len(one.values) > 0 && one.values[0] != "" {
		return one.values[0]
	}
	return otherwise
}

func (s *settings) list(names ...string) (all []string) {
	for _, name := range names {
		if one := s.set[name]; one != nil {
			all = append(all, one.values...)
		}
	}
	return all
}

func (s *settings) flag(name string, otherwise bool) bool {
	is, err := strconv.ParseBool(s.text(name, strconv.FormatBool(otherwise)))
	return err == nil && is
}

// hidden is the placeholder that stands for a secret, or "" if there is none. The
// secret itself may be in a file, whose name is set; else it is in a variable of the
// environment, where it may have to be put first.
func (s *settings) hidden(b *block, name string) string {
	if file := s.text(name+"-file", ""); file != "" {
		return "{file." + file + "}"
	}
	one := s.set[name]
	if one == nil {
		return ""
	}
	variable := envPrefix + strings.ToUpper(one.option.key())
	if one.source != variable {
		b.comment("Put the secret that stands in %s into the variable %s.", one.source, variable)
	}
	return "{env." + variable + "}"
}

// caddyfile is the whole.
func (s *settings) caddyfile() string {
	p := newPlan(s)
	var file block
	file.comment("Made of the configuration of oauth2-proxy by \"caddy oauth convert\". Read it through:")
	file.comment("what it says of a word of ours is in docs/migrate.md.")
	file.lines = append(file.lines, "")
	p.notes(&file)
	if global := p.global(); len(global.lines) > 0 {
		file.lines = append(file.lines, "{")
		for _, line := range global.lines {
			file.lines = append(file.lines, "\t"+line)
		}
		file.lines = append(file.lines, "}", "")
	}
	file.within(p.address, p.site(), true)
	return string(caddyfile.Format([]byte(strings.Join(file.lines, "\n") + "\n")))
}

// onByDefault are the flags that are on unless they are set.
var onByDefault = []string{
	"cookie-secure", "cookie-httponly", "display-htpasswd-form", "auth-logging", "request-logging", "standard-logging",
	"logging-local-time", "bearer-token-login-fallback", "pass-basic-auth", "pass-user-headers", "pass-host-header",
	"proxy-websockets", "skip-auth-strip-headers", "insecure-oidc-skip-nonce",
}

// notes are the comments about what was set and has no counterpart of its own. No
// value is in them.
func (p *plan) notes(file *block) {
	var gone []string
	for _, o := range options {
		one := p.set[o.name]
		if one == nil || strings.HasPrefix(o.says, asWritten) {
			continue
		}
		if o.kind == flag && p.flag(o.name, false) == slices.Contains(onByDefault, o.name) {
			continue // it says what is so without it
		}
		if strings.HasPrefix(o.says, unneeded) {
			gone = append(gone, o.name)
			continue
		}
		file.comment("%s: %s", one.source, strings.ReplaceAll(o.says, "`", ""))
	}
	if len(gone) > 0 {
		file.comment("Not needed any more: %s.", strings.Join(gone, ", "))
	}
	for _, name := range p.unknown {
		file.comment("%s is none of oauth2-proxy 7.15's options.", name)
	}
	for _, line := range p.said {
		file.comment("%s", line)
	}
	if len(file.lines) > 3 {
		file.lines = append(file.lines, "")
	}
}
