package as

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

const (
	maxRedacted = 400     // characters of a description in a log: Hydra comes to the point after 200
	maxRead     = 2 << 10 // bytes of it that are looked at
	longRun     = 20      // characters without a break: more is no word, but a secret perhaps
)

// named are the parameters whose values a log may show: they are names, and
// people need them.
var named = []string{
	"grant_type", "scope", "resource", "audience", "redirect_uri", "client_id", "token_type_hint", "client_assertion_type",
}

// secretsOf are what was sent and may stand in no log.
func secretsOf(form url.Values, client Client) []string {
	all := []string{client.Secret.Reveal()}
	for name, values := range form {
		if !slices.Contains(named, name) {
			all = append(all, values...)
		}
	}
	return slices.DeleteFunc(all, func(secret string) bool { return secret == "" })
}

// said is an error's description as a log may hold it: the issuer's words, in
// one line and cut, without what was sent to it and without anything that may be
// a token. An issuer that quotes one, or writes lines into logs, does it by
// mistake or on purpose; the gateway cannot tell which.
func said(description any, sent []string) string {
	text, _ := description.(string)
	if len(text) > maxRead {
		text = text[:maxRead]
		text = text[:strings.LastIndexByte(text, ' ')+1] // no half of a word
	}
	for _, secret := range sent {
		text = strings.ReplaceAll(text, secret, "…")
		text = strings.ReplaceAll(text, url.QueryEscape(secret), "…")
	}
	words := strings.FieldsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || c == unicode.ReplacementChar || !unicode.IsPrint(c) })
	for i, word := range words {
		words[i] = withoutRuns(word)
	}
	chars := []rune(strings.Join(words, " "))
	if len(chars) > maxRedacted {
		return string(chars[:maxRedacted-1]) + "…"
	}
	return string(chars)
}

// withoutRuns takes long runs of token characters out of a word. What is all
// lower case, as the names of errors are, stays.
func withoutRuns(word string) string {
	var out strings.Builder
	for word != "" {
		end := strings.IndexFunc(word, func(c rune) bool { return !isTokenChar(c) })
		if end < 0 {
			end = len(word)
		}
		if run := word[:end]; len(run) < longRun || strings.Trim(run, "abcdefghijklmnopqrstuvwxyz_-") == "" {
			out.WriteString(run)
		} else {
			out.WriteString("…")
		}
		rest := strings.IndexFunc(word[end:], isTokenChar)
		if rest < 0 {
			rest = len(word) - end
		}
		out.WriteString(word[end : end+rest])
		word = word[end+rest:]
	}
	return out.String()
}

func isTokenChar(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_~+=%", c)
}
