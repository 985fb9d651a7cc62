package proxies

import "strings"

// forwarded reads Forwarded (RFC 7239 §4): what each proxy saw, in order. An
// element that is not written as the RFC has it ends the list: what stands before it
// might be anything.
func forwarded(fields []string) (elements []map[string]string) {
	text := strings.Join(fields, ",")
	one := map[string]string{}
	for text != "" {
		name, rest, ok := strings.Cut(strings.TrimLeft(text, " \t"), "=")
		if !ok {
			return nil
		}
		value, rest, ok := readValue(rest)
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := one[name]; !ok || twice {
			return nil
		}
		one[name] = value
		switch rest = strings.TrimLeft(rest, " \t"); {
		case rest == "" || rest[0] == ',':
			elements, one = append(elements, one), map[string]string{}
			text = strings.TrimLeft(rest, ", \t")
		case rest[0] == ';':
			text = strings.TrimLeft(rest, "; \t")
		default:
			return nil
		}
	}
	if len(one) > 0 {
		elements = append(elements, one)
	}
	return elements
}

// readValue reads a token or a quoted string (RFC 9110 §5.6).
func readValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		n := strings.IndexAny(text, ",; \t\"")
		if n < 0 {
			n = len(text)
		}
		return text[:n], text[n:], n > 0
	}
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return out.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		out.WriteByte(text[i])
	}
	return "", "", false
}
