package doctor

import (
	"net/url"
	"slices"
	"strings"
)

// realms is in the name of an issuer that is a realm of Keycloak.
const realms = "/realms/"

// checkKeycloak says what its metadata do not tell, of an issuer that is a realm.
func (d *doctor) checkKeycloak(t target) {
	if !strings.Contains(t.url, realms) {
		return
	}
	if slices.Contains(t.set.Audience, "account") {
		d.say(t.url, checkSettings, resultWarn, "name a client that stands for this API, and add an Audience mapper with it to a client scope of those that call",
			"audience account: nearly every token of a Keycloak realm is for that client, and passes here")
	}
	if t.issuer.Introspect != nil && t.client != nil && !slices.Contains(t.set.Audience, t.client.ID) {
		d.say(t.url, checkIntrospect, resultWarn, "introspect as the client that is the audience, or add an Audience mapper with Included Client Audience "+t.client.ID,
			"Keycloak (since 26.6.2) calls every token inactive that has not the client that asks in aud: %s is not in audience", t.client.ID)
	}
}

// sameRealm reports whether two issuers are a realm of Keycloak under two addresses.
func sameRealm(a, b string) bool {
	one, err := url.Parse(a)
	other, bad := url.Parse(b)
	return err == nil && bad == nil && strings.Contains(one.Path, realms) && one.Path == other.Path && one.Host != other.Host
}
