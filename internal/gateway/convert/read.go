package convert

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// setting is an option that was set: what was said, and where.
type setting struct {
	option *option
	values []string // one, unless it is a list
	source string
}

// settings are all that were set, by the name of the flag.
type settings struct {
	set     map[string]*setting
	unknown []string // names that no option has, and where they stand
}

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

const envPrefix = "OAUTH2_PROXY_"

// mostFile bounds a configuration file, and one of addresses.
const mostFile = 1 << 20

// read takes what was set as oauth2-proxy does: a flag counts before a variable of
// the environment, and that before the file.
func read(flags, environment []string) (*settings, error) {
	byFlag, file, err := readFlags(flags)
	if err != nil {
		return nil, err
	}
	all := &settings{set: map[string]*setting{}}
	if file != "" {
		text, err := readFile(file)
		if err != nil {
			return nil, err
		}
		if err := all.readTOML(text, file); err != nil {
			return nil, err
		}
	}
	if err := all.readEnvironment(environment); err != nil {
		return nil, err
	}
	for name, one := range byFlag {
		all.set[name] = one
	}
	return all, nil
}

func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > mostFile {
		return "", fmt.Errorf("%s is no file of at most 1 MiB", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // which the operator named
	return string(text), err
}

// readFlags reads a command line of oauth2-proxy's, as pflag does. config is the
// file that it names.
func readFlags(args []string) (all map[string]*setting, config string, err error) {
	all = map[string]*setting{}
	count := len(args)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, ok := strings.CutPrefix(arg, "--")
		if !ok {
			// It may be a secret that a space was written in front of.
			return nil, "", fmt.Errorf("argument %d is no flag of oauth2-proxy's, which begin with --", count-len(args))
		}
		name, value, given := strings.Cut(name, "=")
		known := optionBy(func(o *option) bool { return o.name == name })
		if known == nil && name != "config" {
			return nil, "", fmt.Errorf("--%s is none of oauth2-proxy 7.15's options%s", shorten(name), alphaHint(name))
		}
		if !given && known != nil && known.kind == flag {
			value = "true"
		} else if !given {
			if len(args) == 0 {
				return nil, "", fmt.Errorf("--%s has no value", name)
			}
			value, args = args[0], args[1:]
		}
		if name == "config" {
			config = value
			continue
		}
		values, err := known.parse(value)
		if err != nil {
			return nil, "", fmt.Errorf("--%s: %w", name, err)
		}
		one := &setting{known, values, "--" + name}
		if before := all[name]; before != nil && known.kind == list {
			one.values = append(before.values, values...)
		}
		all[name] = one
	}
	return all, config, nil
}

func alphaHint(name string) string {
	if strings.HasPrefix(name, "alpha-config") {
		return ": its YAML is another language, which is not read here"
	}
	return ""
}

func optionBy(is func(*option) bool) *option {
	n := slices.IndexFunc(options, func(o option) bool { return is(&o) })
	if n < 0 {
		return nil
	}
	return &options[n]
}

// readEnvironment takes the variables that oauth2-proxy reads, and tells of those
// that only look so.
func (s *settings) readEnvironment(environment []string) error {
	for _, entry := range environment {
		variable, value, _ := strings.Cut(entry, "=")
		rest, ok := strings.CutPrefix(variable, envPrefix)
		if !ok || value == "" {
			continue
		}
		known := optionBy(func(o *option) bool { return strings.ToUpper(o.key()) == rest })
		if known == nil {
			s.unknown = append(s.unknown, shorten(variable))
			continue
		}
		values, err := known.parse(value)
		if err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
		s.set[known.name] = &setting{known, values, variable}
	}
	slices.Sort(s.unknown)
	return nil
}

// readTOML reads a configuration file. What it says is never in an error: it holds
// secrets.
func (s *settings) readTOML(text, path string) error {
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		if at, ok := errors.AsType[toml.ParseError](err); ok {
			return fmt.Errorf("%s is no TOML, in line %d", path, at.Position.Line)
		}
		return fmt.Errorf("%s is no TOML", path)
	}
	for key, value := range values {
		// It does not tell names by case, as viper does not.
		known := optionBy(func(o *option) bool { return strings.EqualFold(o.key(), key) })
		if known == nil {
			s.unknown = append(s.unknown, shorten(key)+" in "+path)
			continue
		}
		texts, err := textsOf(value)
		if text, is := value.(string); is { // a text may be a list, but nothing in a list is one
			texts, err = known.parse(text)
		} else if err == nil {
			err = known.checkAll(texts)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, known.key(), err)
		}
		if len(texts) > 0 {
			s.set[known.name] = &setting{known, texts, known.key()}
		}
	}
	return nil
}

// textsOf is a value of TOML as texts.
func textsOf(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case []any:
		var all []string
		for _, one := range v {
			texts, err := textsOf(one)
			if err != nil || len(texts) != 1 {
				return nil, errors.New("not a list of texts")
			}
			all = append(all, texts...)
		}
		return all, nil
	}
	return nil, errors.New("not a text, a number, true or false, or a list of texts")
}

// parse reads the value of a flag or a variable.
func (o *option) parse(value string) ([]string, error) {
	if o.kind != list {
		return []string{value}, o.checkAll([]string{value})
	}
	var all []string
	for one := range strings.SplitSeq(value, ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all, o.checkAll(all)
}

func (o *option) checkAll(values []string) error {
	if len(values) > 1 && o.kind != list {
		return errors.New("it takes one value")
	}
	for _, value := range values {
		switch o.kind {
		case flag:
			if _, err := strconv.ParseBool(value); err != nil {
				return errors.New("it takes true or false")
			}
		case number:
			if _, err := strconv.Atoi(value); err != nil {
				return errors.New("it takes a number")
			}
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' && (o.kind != secret || c != '\n') || c == 0x7f }) {
			return errors.New("it has a control character")
		}
	}
	return nil
}

// shorten bounds a name that is none of ours, and leaves out what may be a value.
func shorten(name string) string {
	name, _, _ = strings.Cut(name, "=")
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return strconv.Quote(name)
}
