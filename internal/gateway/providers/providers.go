// Package providers is what log-in providers need to be told, as data: the values of
// ordinary words of the issuer and login blocks, by a provider's name. There is no
// code for any of them.
package providers

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed providers.json
var table []byte

// preset is what is known of one provider.
type preset struct {
	Takes  []string       `json:"takes"` // what has to be said behind its name; what may be left out has its value behind "="
	Issuer map[string]any `json:"issuer"`
	Login  map[string]any `json:"login"`
}

var presets = sync.OnceValue(func() map[string]*preset {
	all := map[string]*preset{}
	if err := json.Unmarshal(table, &all); err != nil {
		panic("caddyoauth: providers.json: " + err.Error())
	}
	return all
})

// Names are those of all that are known, sorted.
func Names() []string { return slices.Sorted(maps.Keys(presets())) }

// FillIssuer gives an issuer block those of a provider's words that it does not have.
// words are the provider's name and what it takes.
func FillIssuer(words []string, block any) error {
	return fill(words, func(p *preset) map[string]any { return p.Issuer }, block)
}

// FillLogin is FillIssuer for the login block.
func FillLogin(words []string, block any) error {
	return fill(words, func(p *preset) map[string]any { return p.Login }, block)
}

func fill(words []string, part func(*preset) map[string]any, block any) error {
	if len(words) == 0 {
		return nil
	}
	p := presets()[words[0]]
	if p == nil {
		return fmt.Errorf("provider %q is not known; it takes %s", words[0], strings.Join(Names(), ", "))
	}
	args, err := p.args(words[0], words[1:])
	if err != nil {
		return err
	}
	text, err := json.Marshal(block)
	if err != nil {
		return fmt.Errorf("provider %s: %w", words[0], err)
	}
	var own map[string]any
	if err := json.Unmarshal(text, &own); err != nil {
		return fmt.Errorf("provider %s: %w", words[0], err)
	}
	text, err = json.Marshal(missing(part(p), own))
	if err != nil {
		return fmt.Errorf("provider %s: %w", words[0], err)
	}
	return json.Unmarshal([]byte(args.Replace(string(text))), block)
}

// args has what stands behind the name in the place of {1} and {2}.
func (p *preset) args(name string, said []string) (*strings.Replacer, error) {
	var pairs, want []string
	for n, takes := range p.Takes {
		what, value, optional := strings.Cut(takes, "=")
		if want = append(want, "<"+what+">"); optional {
			want[n] = "[" + want[n] + "]"
		}
		if n < len(said) {
			value = said[n]
		}
		if value == "" || strings.ContainsAny(value, `"\ `) {
			return nil, fmt.Errorf("provider %s takes %s", name, strings.Join(want, " "))
		}
		pairs = append(pairs, "{"+strconv.Itoa(n+1)+"}", value)
	}
	switch {
	case len(said) > len(p.Takes) && len(want) == 0:
		return nil, fmt.Errorf("provider %s takes nothing more", name)
	case len(said) > len(p.Takes):
		return nil, fmt.Errorf("provider %s takes %s", name, strings.Join(want, " "))
	}
	return strings.NewReplacer(pairs...), nil
}

// missing is what own does not have of all, in objects within objects too.
func missing(all, own map[string]any) map[string]any {
	less := map[string]any{}
	for name, value := range all {
		have, has := own[name]
		object, is := value.(map[string]any)
		within, too := have.(map[string]any)
		switch {
		case !has:
			less[name] = value
		case is && too && name != "user": // whose parts belong together
			less[name] = missing(object, within)
		}
	}
	return less
}
