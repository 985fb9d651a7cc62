// Package grammar is what the grammar of every block is made of: words that
// stand once, flags, lists, durations, placeholders, and the line of an error.
package grammar

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// TrimLine takes off the line break that a file's only line ends with.
func TrimLine(text string) string {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return text
}

// Resolve replaces placeholders such as {env.X}. One that is unknown or empty
// is an error, which names it and not its value.
func Resolve(repl *caddy.Replacer, word, value string) (string, error) {
	out, err := repl.ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", word, err)
	}
	return out, nil
}

// ResolveAll is Resolve for each of several values.
func ResolveAll(repl *caddy.Replacer, word string, values []string) ([]string, error) {
	out := make([]string, len(values))
	for i, value := range values {
		var err error
		if out[i], err = Resolve(repl, word, value); err != nil {
			return nil, err
		}
	}
	return out, nil
}
