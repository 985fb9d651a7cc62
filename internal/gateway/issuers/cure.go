package issuers

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Cure says what to do about an issuer that gave no document.
func Cure(err error) string {
	if as.Guarded(err) {
		return "it wants a credential. A Kubernetes API server shows its keys to service accounts alone: write bearer_token_file /var/run/secrets/kubernetes.io/serviceaccount/token, and jwks with the address of the keys; or show them without one: kubectl create clusterrolebinding oidc-reviewer --clusterrole=system:service-account-issuer-discovery --group=system:unauthenticated"
	}
	if as.LedToForbiddenAddress(err) {
		return "ask whoever runs the issuer why its metadata lead there. If it runs on this machine, name what it has there yourself: metadata <url>, jwks <url> or introspect <url>"
	}
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](err); untrusted {
		return "name the certificate authority with trust_pool file <ca.pem>, or install the system's CA certificates"
	}
	if _, wrong := errors.AsType[x509.HostnameError](err); wrong {
		return "the certificate is of another name: correct the issuer's URL, or the server's certificate"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the certificate has run out, or a clock is wrong: have it renewed at the issuer"
	}
	if _, dns := errors.AsType[*net.DNSError](err); dns {
		return "correct the issuer's URL, or the name server of this machine"
	}
	if _, network := errors.AsType[*net.OpError](err); network {
		return "see that the issuer runs and that this machine may reach it: routes, firewalls, HTTPS_PROXY. Where it is reached from here by another address, name that in metadata <url> or jwks <url>, and have the metadata lead there too (Keycloak: hostname-backchannel-dynamic)"
	}
	if err != nil && strings.HasSuffix(err.Error(), http.StatusText(http.StatusProxyAuthRequired)) {
		return "the proxy of this network wants a password: HTTPS_PROXY=http://<user>:<password>@<host>:<port>, in the environment of Caddy"
	}
	return "see whether the URL is the issuer's; with its metadata elsewhere, write metadata <url>, or jwks <url> where it has none"
}

// cureOf is Cure, and knows metadata that name another issuer than url: most often
// that is the right one, and url is mistyped.
func cureOf(err error, url string) string {
	other := as.OtherIssuer(err)
	switch by := token.DifferBy(other, url); {
	case by != "":
		return "write the issuer exactly as its metadata do: " + other + ", which differs by " + by + " alone"
	case other != "":
		return "if that is the issuer you mean, write it exactly as its metadata do: " + other
	}
	return Cure(err)
}

// AskDoctor is the command that looks at one issuer.
func AskDoctor(url string) string { return "caddy oauth doctor --issuer " + url }
