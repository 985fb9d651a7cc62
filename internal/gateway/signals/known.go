package signals

import (
	"maps"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/secevent"
)

// Known is a token by one of the names under which events take back.
type Known struct {
	revoked.Token
	Renewed bool // what is found takes back access tokens, and leaves their grant alone
}

// alias is a claim by which the list of what was taken back is asked too.
type alias struct {
	claim, format   string
	issuer, renewed revoked.Mark
}

// names are the marks of all that, made once.
type names struct {
	renewed revoked.Mark
	aliases []alias
}

func (s *Signals) names(issuer string) names {
	all := names{renewed: revoked.MarkOf(revoked.Renewed(issuer))}
	for _, format := range slices.Sorted(maps.Keys(s.Match)) {
		claim := s.Match[format]
		if slices.Contains(ownNames, claim) {
			continue
		}
		of := revoked.ByClaim(issuer, claim)
		all.aliases = append(all.aliases, alias{claim, format, revoked.MarkOf(of), revoked.MarkOf(revoked.Renewed(of))})
	}
	return all
}

// Known is a token as it may stand in the list of what was taken back beside its own
// names. claim finds one of its claims. since is when the grant began that it stands
// behind; zero: there is none.
func (r *Receiver) Known(t *revoked.Token, claim func(path string) (any, bool), since time.Time) []Known {
	all := make([]Known, 0, 1+2*len(r.names.aliases))
	dated := t.Issued > 0 // else the next one would be no newer
	if again := *t; dated {
		again.Issuer = r.names.renewed
		all = append(all, Known{again, true})
	}
	for _, one := range r.names.aliases {
		value, _ := claim(one.claim)
		text, _ := value.(string)
		if text == "" {
			continue
		}
		also := *t
		also.Issuer, also.Subject = one.issuer, revoked.MarkOf(secevent.Canonical(one.format, text))
		again := also
		again.Issuer = one.renewed
		if !since.IsZero() {
			also.Issued, also.Grant = since.UnixMilli(), true
		}
		all = append(all, Known{also, false})
		if dated {
			all = append(all, Known{again, true})
		}
	}
	return all
}
