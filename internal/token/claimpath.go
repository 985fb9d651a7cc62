package token

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A path says where a claim stands, in one of two spellings.
//
// With dots: "realm_access.roles". Names may have dots of their own
// ("kubernetes.io", "https://app.example.com"), so every way to split the path is
// tried, longest names first, until one leads to a member.
//
// As a JSON pointer (RFC 6901): "/resource_access/orders.api/roles". It begins
// with a slash and has one meaning: / and ~ in a name are ~1 and ~0.

// Lookup finds a claim by a path. null counts as absent.
func (c Claims) Lookup(path string) (any, bool) {
	v := c.at(path, nil)
	return v, v != nil
}

// Met is the JSON pointer of what [Claims.Lookup] finds, or "".
func (c Claims) Met(path string) string {
	var names []string
	if c.at(path, &names) == nil {
		return ""
	}
	var pointer strings.Builder
	for _, name := range names {
		pointer.WriteByte('/')
		pointer.WriteString(pointerEscape.Replace(name))
	}
	return pointer.String()
}

// at is what stands at a path, or nil. met gets the names on the way there; nil:
// they are not wanted.
func (c Claims) at(path string, met *[]string) any {
	if pointer, is := strings.CutPrefix(path, "/"); is {
		return pointed(map[string]any(c), pointer, met)
	}
	return split(map[string]any(c), path, met)
}

// split tries every split of a dotted path. It visits an object once at the
// most: which part of the path leads there is known by the names above it.
func split(object map[string]any, path string, met *[]string) any {
	for end := len(path); end >= 0; end = strings.LastIndexByte(path[:end], '.') {
		next := object[path[:end]]
		if end < len(path) {
			inner, ok := next.(map[string]any)
			if !ok {
				continue
			}
			next = split(inner, path[end+1:], met)
		}
		if next != nil {
			note(met, path[:end])
			return next
		}
	}
	return nil
}

// note puts a name in front of those below it.
func note(met *[]string, name string) {
	if met != nil {
		*met = slices.Insert(*met, 0, name)
	}
}

// pointed follows a JSON pointer without its first slash.
func pointed(at any, pointer string, met *[]string) any {
	for more := true; more; {
		var name string
		name, pointer, more = strings.Cut(pointer, "/")
		if strings.Contains(name, "~") {
			name = pointerUnescape.Replace(name)
		}
		switch inside := at.(type) {
		case map[string]any:
			at = inside[name]
		case []any:
			at = element(inside, name)
		default:
			return nil
		}
		if met != nil {
			*met = append(*met, name)
		}
	}
	return at
}

// element is the one of a list that an array index of RFC 6901 §4 names.
func element(list []any, index string) any {
	n, err := strconv.Atoi(index)
	if err != nil || index[0] < '0' || n >= len(list) || len(index) > 1 && index[0] == '0' { // + and - are below 0
		return nil
	}
	return list[n]
}

// The order counts in neither: a replacer reads its text once, from left to right.
var (
	pointerEscape   = strings.NewReplacer("~", "~0", "/", "~1")
	pointerUnescape = strings.NewReplacer("~0", "~", "~1", "/")
)

// Elsewhere reports whether the token says that a claim is to be asked for at
// another place (OpenID Connect Core §5.6.2). Microsoft Entra does so with the
// groups of a user who is in more than 200, and in short with hasgroups.
func (p *Principal) Elsewhere(path string) bool {
	name := strings.TrimPrefix(path, "/")
	if _, is := p.Claim(path); is {
		return false
	}
	names, _ := p.all()["_claim_names"].(map[string]any)
	_, named := names[name]
	return named || name == "groups" && p.all()["hasgroups"] == true
}

// CheckPath finds what is wrong with the spelling of a path.
func CheckPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	for i := range len(path) {
		if path[i] == '~' && (i+1 == len(path) || path[i+1] != '0' && path[i+1] != '1') {
			return fmt.Errorf("%q begins with a slash and is no JSON pointer (RFC 6901): in a name ~ is written ~0, and / is written ~1", path)
		}
	}
	return nil
}

// Granted are the names that an object grants by its keys, as Zitadel writes roles:
// {"admin": {"<organization>": "<domain>"}}. A key counts whose value is true, or
// an object with something in it: any other may say no. They are sorted.
func Granted(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name, value := range object {
		switch v := value.(type) {
		case bool:
			if v {
				names = append(names, name)
			}
		case map[string]any:
			if len(v) > 0 {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
