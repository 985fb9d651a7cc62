package grants

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// setting is a word of a session block as it counts, its default filled in.
type setting struct{ word, value string }

// hiddenSetting stands for a value that is nothing to show.
const hiddenSetting = "#"

// shared are the words of a session block that hold for a store as a whole:
// sites that share it must agree on them. Otherwise one of them would have its
// grants live for as long as another one likes, and could not tell.
func (s *Session) shared(store json.RawMessage) []setting {
	o := session.WithDefaults(s.options())
	whole := &Session{
		Idle: caddy.Duration(o.Idle), Max: caddy.Duration(o.Max), RefreshAhead: caddy.Duration(o.RefreshAhead),
		MinRefreshInterval: caddy.Duration(o.MinRefreshInterval), TokenTimeout: caddy.Duration(o.TokenTimeout),
		GrantsPerClient: o.GrantsPerClient, GrantsPerSubject: o.GrantsPerSubject,
		Lease: caddy.Duration(o.Lease), RefreshWait: caddy.Duration(o.RefreshWait), ReuseGrace: caddy.Duration(o.ReuseGrace),
	}
	var all []setting
	for _, d := range whole.durations() {
		all = append(all, setting{d.word, spell(time.Duration(*d.at))})
	}
	for _, n := range whole.numbers() {
		all = append(all, setting{n.word, strconv.Itoa(*n.at)})
	}
	uncertain := "retry"
	if o.OnUncertain == session.Reauth {
		uncertain = "reauth"
	}
	keys := sha256.New()
	for _, key := range s.secrets {
		_, _ = fmt.Fprintf(keys, "%d %s", len(key), key)
	}
	all = append(all, setting{"on_uncertain", uncertain}, setting{"keys", hiddenSetting + hex.EncodeToString(keys.Sum(nil))})
	if _, applies := s.store.(stores.OpenApplier); applies {
		var words bytes.Buffer
		_ = json.Compact(&words, store)                                     // it was read before
		all = append(all, setting{"store", hiddenSetting + words.String()}) // with its password
	}
	return all
}

// conflict is what the settings of two sites that share a store differ in.
func conflict(one, other *Keeper) error {
	var differ []string
	for n, a := range one.shared {
		switch b := other.shared[n]; {
		case a == b:
		case strings.HasPrefix(a.value, hiddenSetting):
			differ = append(differ, a.word)
		default:
			differ = append(differ, fmt.Sprintf("%s (%s and %s)", a.word, a.value, b.value))
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return fmt.Errorf("session: the sites %s and %s share the store %q, and differ in %s: give both the same session block, for example by an import, or one of them a store of its own",
		one.name(), other.name(), one.store.Identity(), strings.Join(differ, ", "))
}

func (k *Keeper) name() string {
	if k.site == "" {
		return "without a name"
	}
	return k.site
}

// spell writes a duration as one would: 12h, and not 12h0m0s.
func spell(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
