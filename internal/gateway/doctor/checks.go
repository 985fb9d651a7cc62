package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// checkSettings repeats what the configuration gives away.
func (d *doctor) checkSettings(t target) {
	if t.issuer.InsecureHTTP && as.CheckURL(t.url, false) != nil {
		d.say(t.url, checkSettings, resultWarn, "use https", "insecure_http: whoever is on the way can forge every token")
	}
	if t.issuer.InsecureAnyAudience {
		d.say(t.url, checkSettings, resultWarn, "name the audience of this API, if the issuer can be made to set one",
			"insecure_any_audience: any service that gets a token of this issuer can use it here")
	}
	switch n := t.issuer.Introspect; {
	case n != nil && n.InsecureAnyToken:
		d.say(t.url, checkSettings, resultWarn, "name the audience of this API, or have the issuer say token_type in its answers, and take the word out",
			"insecure_any_token: a refresh token passes as an access token, and reaches the upstream")
	case n != nil && t.issuer.InsecureAnyAudience:
		d.say(t.url, checkSettings, resultWarn, "see that its answers have token_type, token_use or typ: \"caddy oauth explain\" tells what is said of a token",
			"introspect without an audience: opaque tokens pass only if the issuer says that they are access tokens")
	}
	if n := t.issuer.Introspect; n != nil && n.InOrder {
		d.say(t.url, checkSettings, resultWarn, "where its tokens begin differently from the others', write token_prefix <text...> instead",
			"in_order: opaque tokens of other issuers may be shown to it, and it could use them")
	}
	if strings.HasPrefix(t.url, "https://cognito-idp.") && len(t.set.Audience) > 0 && !t.issuer.ClientIDAsAudience {
		d.say(t.url, checkSettings, resultWarn, "write client_id_as_audience beside it, and the ids of the app clients as audience",
			"audience: Amazon Cognito's access tokens have no aud, and none passes (its ID tokens have one)")
	}
	if len(t.set.StatusLists) > 0 {
		d.say(t.url, checkSettings, resultOK, "", "status_lists: lists at %s are fetched when a token names one; \"caddy oauth explain\" tells where a token has its place, and what stands there", strings.Join(t.set.StatusLists, " "))
	}
	if t.issuer.InsecureIDTokens {
		d.say(t.url, checkSettings, resultWarn, "take the word out, unless the issuer is Dex",
			"insecure_id_tokens: whoever a user logs in to can act as the user here")
	}
}

func (d *doctor) checkMetadata(t target, r *as.Report) {
	if t.issuer.Plain() {
		d.say(t.url, checkMetadata, resultOK, "", "not asked: the issuer speaks OAuth 2.0 and no OpenID Connect (user), so that browsers alone log in, and no client's token is taken")
		return
	}
	if !t.issuer.HasMetadata() {
		d.say(t.url, checkMetadata, resultOK, "", "not asked: the keys' address is configured")
		return
	}
	for _, form := range r.Forms {
		other := as.OtherIssuer(form.Err)
		switch {
		case form.Err == nil:
			d.say(t.url, checkMetadata, resultOK, "", "%s answers, and names the issuer to the letter", form.URL)
		case other != "" && strings.TrimSuffix(other, "/") == strings.TrimSuffix(t.url, "/"):
			d.say(t.url, checkMetadata, formResult(r), fmt.Sprintf("write the issuer exactly so: %s", other),
				"%s names the issuer %s: a slash at the end counts", form.URL, other)
		case sameRealm(other, t.url):
			d.say(t.url, checkMetadata, formResult(r), "set hostname (KC_HOSTNAME) at Keycloak, so that it has one name, and write the issuer as that; where it is reached elsewhere, also metadata with that address",
				"%s names the issuer %s: Keycloak takes the address that it is asked at for its name", form.URL, other)
		case other != "":
			d.say(t.url, checkMetadata, formResult(r), fmt.Sprintf("if that is the issuer you mean, write it exactly so: %s", other),
				"%s is the metadata of another issuer, %s", form.URL, other)
		case r.Metadata != "": // another form answers well
			d.say(t.url, checkMetadata, resultOK, "", "%v; another place answers", form.Err)
		default:
			d.say(t.url, checkMetadata, resultFail, issuers.Cure(form.Err), "%s: %v", form.URL, form.Err)
		}
	}
	for _, where := range r.Differ {
		d.say(t.url, checkMetadata, resultWarn, "have the issuer's documents corrected, or name the one that is right: metadata <url>; until then what is named first counts", "%s", where)
	}
	if r.Endpoints == nil {
		return
	}
	for _, err := range r.Endpoints.Refused {
		d.say(t.url, checkMetadata, resultWarn, "have the issuer's metadata corrected, or name the right address in the issuer block; the gateway does as if this were not in them", "%v", err)
	}
	if named := r.Endpoints.AccessTokenIssuer; named != "" && named != t.url && named != t.set.Tokens {
		d.say(t.url, checkMetadata, resultFail, "write access_token_issuer "+named+" in the issuer block, or every access token is refused as issuer_unknown",
			"the metadata say that iss of access tokens is %s (AD FS)", named)
	}
}

// formResult is how bad it is that one form of the metadata is not right.
func formResult(r *as.Report) string {
	if r.Metadata != "" {
		return resultWarn
	}
	return resultFail
}

func (d *doctor) checkKeys(t target, r *as.Report) {
	if t.issuer.Plain() {
		return
	}
	if r.KeysURL == "" {
		text := "nobody can tell where the keys are"
		if r.KeysErr != nil {
			text += ": " + r.KeysErr.Error()
		}
		d.say(t.url, checkKeys, resultFail, "first get the metadata right", "%s", text)
		return
	}
	d.checkSkipped(t, r.Skipped, r.KeysURL)
	if r.KeysErr != nil {
		d.say(t.url, checkKeys, resultFail, "without keys every token is answered with 503: "+issuers.Cure(r.KeysErr), "%s: %v", r.KeysURL, r.KeysErr)
		return
	}
	infos := r.Keys.InfosFor(t.set.Algorithms)
	d.say(t.url, checkKeys, resultOK, "", "%s at %s: %s", countKeys(infos), r.KeysURL, keyNames(infos))
	d.checkAlgorithms(t, infos)
	d.checkPlainKeys(t, infos, r.Endpoints)
}

func (d *doctor) checkSkipped(t target, skipped []token.Skipped, where string) {
	for _, s := range skipped {
		if s.Encrypts() {
			d.say(t.url, checkKeys, resultOK, "", "key %d of %s, kid %q, is for encryption, and left out", s.Index+1, where, s.KeyID)
			continue
		}
		d.say(t.url, checkKeys, resultWarn, "nothing, if no access token is signed with it; else have the issuer publish a usable key",
			"key %d of %s, kid %q, is left out: %v", s.Index+1, where, s.KeyID, s.Err)
	}
}

func countKeys(keys []token.KeyInfo) string {
	if len(keys) == 1 {
		return "1 usable key"
	}
	return fmt.Sprintf("%d usable keys", len(keys))
}

func keyNames(keys []token.KeyInfo) string {
	names := make([]string, len(keys))
	for i, key := range keys {
		kid := key.ID
		if kid == "" {
			kid = "without kid"
		}
		names[i] = fmt.Sprintf("%s (%s)", kid, strings.Join(key.Algorithms, " "))
	}
	return strings.Join(names, ", ")
}

// checkAlgorithms compares the keys with the word algorithms.
func (d *doctor) checkAlgorithms(t target, keys []token.KeyInfo) {
	var unused []string
	fit := 0
	for _, key := range keys {
		if t.set.Algorithms.Fits(key) {
			fit++
		} else {
			unused = append(unused, keyNames([]token.KeyInfo{key}))
		}
	}
	switch {
	case fit == 0:
		d.say(t.url, checkAlgorithms, resultFail, "every token would be refused: add what the keys are for to algorithms, or leave the word out",
			"no key is for %s", t.set.Algorithms)
	case len(unused) > 0:
		d.say(t.url, checkAlgorithms, resultWarn, "nothing, if access tokens are signed with another key; else add its algorithm to algorithms",
			"not for %s: %s", t.set.Algorithms, strings.Join(unused, ", "))
	default:
		d.say(t.url, checkAlgorithms, resultOK, "", "every key is for one of %s", t.set.Algorithms)
	}
}

// clockNear is a difference that needs no look; a Date tells no more than seconds.
const clockNear = 2 * time.Second

func (d *doctor) checkClock(t target, r *as.Report) {
	if !r.ClockKnown {
		switch {
		case r.KeysErr != nil || r.KeysURL == "":
		case strings.Contains(t.url, realms):
			d.say(t.url, checkClock, resultOK, "", "not compared: Keycloak's answers have no Date")
		default:
			d.say(t.url, checkClock, resultWarn, "compare the clocks by hand", "its answers have no Date, or come from a cache")
		}
		return
	}
	off, skew := r.Clock.Round(time.Second), t.issuer.Leeway()
	ahead := "ahead of"
	if off < 0 {
		ahead = "behind"
	}
	text := fmt.Sprintf("its clock is %s %s ours; skew allows %s", off.Abs(), ahead, skew)
	switch {
	case off.Abs() <= clockNear:
		d.say(t.url, checkClock, resultOK, "", "its clock and ours agree to about a second")
	case off.Abs() > skew:
		d.say(t.url, checkClock, resultFail, "set the clocks by NTP: new tokens may be refused, and expired ones taken; a grant whose fresh token fails by that answers 503", "%s", text)
	case off.Abs() > skew/2:
		d.say(t.url, checkClock, resultWarn, "set the clocks by NTP before they drift further", "%s", text)
	default:
		d.say(t.url, checkClock, resultOK, "", "%s", text)
	}
}

// When a certificate's end is worth a word.
const certificateSoon = 14 * 24 * time.Hour

func (d *doctor) checkCertificates(t target, certificates []as.Certificate) {
	slices.SortFunc(certificates, func(a, b as.Certificate) int { return strings.Compare(a.Host, b.Host) })
	for i, one := range certificates {
		if i > 0 && certificates[i-1].Host == one.Host {
			continue
		}
		left := one.NotAfter.Sub(d.now())
		text := fmt.Sprintf("that of %s, or one that vouches for it, runs out on %s", one.Host, one.NotAfter.UTC().Format(time.DateOnly))
		if left < certificateSoon {
			d.say(t.url, checkCertificates, resultWarn, "have it renewed at the issuer: "+one.Subject, "%s", text)
			continue
		}
		d.say(t.url, checkCertificates, resultOK, "", "%s", text)
	}
}
