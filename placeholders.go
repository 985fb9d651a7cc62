package caddyoauth

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// resolve replaces placeholders such as {env.X}. One that is unknown or empty
// is an error, which names it and not its value.
func resolve(repl *caddy.Replacer, word, value string) (string, error) {
	out, err := repl.ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", word, err)
	}
	return out, nil
}

func resolveAll(repl *caddy.Replacer, word string, values []string) ([]string, error) {
	out := make([]string, len(values))
	for i, value := range values {
		var err error
		if out[i], err = resolve(repl, word, value); err != nil {
			return nil, err
		}
	}
	return out, nil
}
