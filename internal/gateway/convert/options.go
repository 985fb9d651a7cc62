package convert

// kind is how the value of an option is written.
type kind int

const (
	text kind = iota
	flag
	list
	number
	duration
	secret // its value is never shown
)

// option is one of oauth2-proxy 7.15's: its name as a flag, and as a line of its
// configuration file where that is another. says is what there is in its place here.
type option struct {
	name, file string
	kind       kind
	says       string
}

// key is the option's name in the configuration file.
func (o *option) key() string {
	if o.file != "" {
		return o.file
	}
	return underscored(o.name)
}

// What stands in the place of several.
const (
	asWritten   = "written"
	unneeded    = "not needed: "
	ofCaddy     = "Caddy's: "
	noTemplates = "none: the pages are the gateway's own"
	caddysLogs  = ofCaddy + "`log`"
	caddysTLS   = ofCaddy + "`tls`"
)

var options = []option{
	// Who logs people in.
	{name: "provider", says: asWritten + " as `issuer`: `oidc`, `keycloak-oidc`, `google`, `gitlab`, `entra-id`, `azure` and `adfs`; for others write `provider` by hand, see docs/providers.md"},
	{name: "provider-display-name", says: unneeded + "there is no page before the issuer's own"},
	{name: "oidc-issuer-url", says: asWritten + " as `issuer`"},
	{name: "client-id", says: asWritten + " as `client`, and with `--skip-jwt-bearer-tokens` as `audience`"},
	{name: "client-secret", kind: secret, says: asWritten + " as `client`, by a placeholder"},
	{name: "client-secret-file", says: asWritten + " as `client <id> {file.…}`"},
	{name: "scope", says: asWritten + " as `login { scope }`"},
	{name: "redirect-url", says: asWritten + " as the site's address; its path is `login <prefix>` and `/callback`"},
	{name: "relative-redirect-url", kind: flag, says: unneeded + "the redirect URI is always that of the host that was asked for"},
	{name: "prompt", says: asWritten + " as `login { parameter prompt }`"},
	{name: "approval-prompt", says: unneeded + "Google's old word for prompt"},
	{name: "acr-values", says: asWritten + " as `login { parameter acr_values }`; `require acr` also looks at what comes back"},
	{name: "resource", says: asWritten + " as `login { resource }`"},
	{name: "code-challenge-method", says: unneeded + "S256 is always sent"},
	{name: "force-code-challenge-method", says: unneeded + "S256 is always sent"},
	{name: "auth-request-response-mode", says: "none: the issuer answers with a query"},
	{name: "login-url", says: asWritten + " as `authorization_endpoint`"},
	{name: "redeem-url", says: asWritten + " as `token_endpoint` of the issuer block"},
	{name: "profile-url", says: asWritten + " as `userinfo_endpoint`"},
	{name: "validate-url", says: unneeded + "the access token is proven, or asked about with `introspect`"},
	{name: "backend-logout-url", says: unneeded + "a log-out leads to the issuer's `end_session_endpoint`, and gives the tokens back"},
	{name: "skip-oidc-discovery", kind: flag, says: asWritten + ": without discovery the issuer block names `jwks` and the endpoints"},
	{name: "oidc-jwks-url", says: asWritten + " as `jwks`"},
	{name: "oidc-public-key-file", file: "oidc_public_key_files", kind: list, says: "`jwks <file>`, which takes a JWK Set"},
	{name: "oidc-enabled-signing-alg", file: "oidc_enabled_signing_algs", kind: list, says: asWritten + " as `algorithms`"},
	{name: "oidc-email-claim", says: asWritten + " in `copy_claims`"},
	{name: "oidc-groups-claim", says: asWritten + " in `copy_claims` and `require`"},
	{name: "user-id-claim", says: asWritten + " in `copy_claims`"},
	{name: "oidc-audience-claim", file: "oidc_audience_claims", kind: list, says: "none: it is `aud` (OpenID Connect Core §3.1.3.7)"},
	{name: "oidc-extra-audience", file: "oidc_extra_audiences", kind: list, says: asWritten + " as `audience`, with `--skip-jwt-bearer-tokens`"},
	{name: "insecure-oidc-allow-unverified-email", kind: flag, says: asWritten + ": without it a false `email_verified` is refused"},
	{name: "insecure-oidc-skip-issuer-verification", kind: flag, says: "none: the issuer is always compared; with `access_token_issuer` access tokens may say another"},
	{name: "insecure-oidc-skip-nonce", kind: flag, says: "none: the nonce is always looked at"},
	{name: "skip-claims-from-profile-url", kind: flag, says: asWritten + " as `login { identity id_token }` instead of `userinfo`"},
	{name: "provider-ca-file", file: "provider_ca_files", kind: list, says: asWritten + " as `trust_pool file`"},
	{name: "use-system-trust-store", kind: flag, says: "none: `trust_pool` says all that is trusted; `trust_pool combined` has several"},
	{name: "ssl-insecure-skip-verify", kind: flag, says: "none: `trust_pool` trusts a certificate authority of your own"},
	{name: "extra-jwt-issuers", kind: list, says: asWritten + " as further `issuer` blocks, with `--skip-jwt-bearer-tokens`"},
	{name: "skip-jwt-bearer-tokens", kind: flag, says: asWritten + " as `audience`: without one no client's token is taken"},
	{name: "bearer-token-login-fallback", kind: flag, says: "none: a Bearer token that does not pass is 401 with its challenge"},
	{name: "jwt-key", kind: secret, says: "`client { key }` with `auth private_key_jwt`, by a file"},
	{name: "jwt-key-file", says: asWritten + " as `client { key }` with `auth private_key_jwt`"},
	{name: "pubjwk-url", says: "none: `jwks` is a JWK Set, at the issuer or in a file"},
	{name: "azure-tenant", says: asWritten + " in the issuer's address"},
	{name: "azure-graph-group-field", says: "none: groups are those of the token, see docs/issuers/entra.md"},
	{name: "entra-id-allowed-tenant", file: "entra_id_allowed_tenants", kind: list, says: asWritten + " as `require claim tid`"},
	{name: "entra-id-federated-token-auth", kind: flag, says: "none: a secret, or `client { key }`"},
	{name: "bitbucket-repository", says: "none: repositories are no claim"},
	{name: "bitbucket-team", says: "none: `provider bitbucket` knows no workspaces"},
	{name: "bitbucket-workspace", says: "none: `provider bitbucket` knows no workspaces"},
	{name: "github-org", says: "by hand: `provider github`, `scope read:user user:email read:org` and `require claim orgs <org>`"},
	{name: "github-repo", says: "none: repositories are no claim"},
	{name: "github-team", says: "by hand: `provider github`, `scope read:user user:email read:org` and `require claim groups <org>/<team>`"},
	{name: "github-token", kind: secret, says: "not needed: each user is asked about with a token of their own"},
	{name: "github-user", file: "github_users", kind: list, says: "by hand: `provider github` and `require claim preferred_username <name>`"},
	{name: "gitlab-group", file: "gitlab_groups", kind: list, says: asWritten + " as `require claim groups`"},
	{name: "gitlab-project", file: "gitlab_projects", kind: list, says: "none: projects are no claim"},
	{name: "google-admin-api-user-scope", says: "none: Google's directory is not asked"},
	{name: "google-admin-email", says: "none: Google's directory is not asked"},
	{name: "google-group", file: "google_groups", kind: list, says: "none: Google's directory is not asked"},
	{name: "google-service-account-json", says: "none: Google's directory is not asked"},
	{name: "google-target-principal", says: "none: Google's directory is not asked"},
	{name: "google-use-application-default-credentials", says: "none: Google's directory is not asked"},
	{name: "google-use-organization-id", says: "none: `copy_claims` takes any claim"},
	{name: "keycloak-group", file: "keycloak_groups", kind: list, says: asWritten + " as `require claim groups`"},

	// Who may enter.
	{name: "email-domain", file: "email_domains", kind: list, says: asWritten + " as a matcher behind `oauth`; with `forward_auth` as a line that nobody passes until you replace it"},
	{name: "authenticated-emails-file", says: asWritten + ": its addresses as a matcher behind `oauth`, or with `forward_auth` as `require claim email`"},
	{name: "allowed-group", file: "allowed_groups", kind: list, says: asWritten + " as `require claim groups`"},
	{name: "allowed-role", file: "allowed_roles", kind: list, says: asWritten + " as `require claim realm_access.roles`"},
	{name: "skip-auth-route", file: "skip_auth_routes", kind: list, says: asWritten + " as a matcher of what needs a log-in, with `allow_anonymous`"},
	{name: "skip-auth-regex", kind: list, says: asWritten + " as `skip-auth-route`"},
	{name: "skip-auth-preflight", kind: flag, says: asWritten + " in that matcher"},
	{name: "skip-auth-strip-headers", kind: flag, says: unneeded + "what clients send under the names of identity headers always goes"},
	{name: "api-route", file: "api_routes", kind: list, says: unneeded + "only a person's click is led to log in, everything else gets 401"},
	{name: "force-json-errors", kind: flag, says: unneeded + "only who looks at a page gets one, everything else gets JSON"},
	{name: "trusted-ip", file: "trusted_ips", kind: list, says: asWritten + " in that matcher, as `client_ip`"},
	{name: "htpasswd-file", says: ofCaddy + "`basic_auth`, on a path or a host of its own"},
	{name: "htpasswd-user-group", file: "htpasswd_user_groups", kind: list, says: ofCaddy + "`basic_auth`"},
	{name: "display-htpasswd-form", kind: flag, says: ofCaddy + "`basic_auth`"},
	{name: "basic-auth-password", kind: secret, says: "none: the upstream gets identity headers, and a token if it is wanted"},
	{name: "whitelist-domain", file: "whitelist_domains", kind: list, says: "none: one comes back to the host that one began at"},

	// What the upstream learns.
	{name: "pass-user-headers", kind: flag, says: asWritten + " as `copy_claims`"},
	{name: "pass-basic-auth", kind: flag, says: asWritten + " as `copy_claims`, without the password"},
	{name: "set-xauthrequest", kind: flag, says: asWritten + " as `copy_claims` to `X-Auth-Request-…`"},
	{name: "pass-access-token", kind: flag, says: asWritten + " as `login { forward access_token }`, in `Authorization`"},
	{name: "pass-authorization-header", kind: flag, says: asWritten + " as `login { forward id_token }`"},
	{name: "set-authorization-header", kind: flag, says: asWritten + " as `login { forward id_token }`"},
	{name: "set-basic-auth", kind: flag, says: "none: the upstream gets identity headers, and a token if it is wanted"},
	{name: "prefer-email-to-user", kind: flag, says: asWritten + " in `copy_claims`"},
	{name: "signature-key", kind: secret, says: "none: requests are not signed; the upstream can prove the access token"},
	{name: "request-id-header", says: ofCaddy + "`request_header X-Request-Id {http.request.uuid}`"},

	// Where it stands.
	{name: "http-address", says: asWritten + " as the site's port"},
	{name: "https-address", says: asWritten + " as the site's port"},
	{name: "tls-cert-file", says: asWritten + " as `tls`"},
	{name: "tls-key-file", says: asWritten + " as `tls`"},
	{name: "tls-cipher-suite", file: "tls_cipher_suites", kind: list, says: caddysTLS + " `{ ciphers }`"},
	{name: "tls-min-version", says: caddysTLS + " `{ protocols }`; it is 1.2"},
	{name: "force-https", kind: flag, says: unneeded + "Caddy redirects to https by itself"},
	{name: "reverse-proxy", kind: flag, says: asWritten + " as `trusted_proxies` with `trusted_proxies_strict`, which names the proxies"},
	{name: "trusted-proxy-ip", file: "trusted_proxy_ips", kind: list, says: asWritten + " as `trusted_proxies`, and as `from` of `forward_auth`"},
	{name: "real-client-ip-header", says: ofCaddy + "`client_ip_headers`"},
	{name: "proxy-prefix", says: asWritten + " as `login <prefix>`, so that the redirect URI stays"},
	{name: "ping-path", says: "`oauth_health`, see docs/operating.md"},
	{name: "ping-user-agent", says: "`oauth_health`, see docs/operating.md"},
	{name: "ready-path", says: "`oauth_health`, see docs/operating.md"},
	{name: "gcp-healthchecks", kind: flag, says: "`oauth_health`, see docs/operating.md"},
	{name: "metrics-address", says: ofCaddy + "`metrics`, and `/metrics` on its admin endpoint"},
	{name: "metrics-secure-address", says: ofCaddy + "`metrics`"},
	{name: "metrics-tls-cert-file", says: ofCaddy + "`metrics`, on a site with `tls`"},
	{name: "metrics-tls-key-file", says: ofCaddy + "`metrics`, on a site with `tls`"},

	// What stands behind it.
	{name: "upstream", file: "upstreams", kind: list, says: asWritten + " as `reverse_proxy`, `file_server` or `respond`; without one, or with `static://202`, as `forward_auth`"},
	{name: "upstream-timeout", kind: duration, says: ofCaddy + "`reverse_proxy { transport http { response_header_timeout } }`"},
	{name: "flush-interval", kind: duration, says: unneeded + "Caddy flushes events at once; `reverse_proxy { flush_interval }`"},
	{name: "pass-host-header", kind: flag, says: unneeded + "Caddy hands Host on; false is `header_up Host {upstream_hostport}`"},
	{name: "proxy-websockets", kind: flag, says: unneeded + "WebSockets pass"},
	{name: "ssl-upstream-insecure-skip-verify", kind: flag, says: ofCaddy + "`tls_trust_pool` of the transport; it can be switched off there"},
	{name: "disable-keep-alives", kind: flag, says: ofCaddy + "`reverse_proxy { transport http { keepalive off } }`"},
	{name: "allow-query-semicolons", kind: flag, says: unneeded + "a query goes on as it came, unless a rule looks at it"},

	// Sessions.
	{name: "session-store-type", says: asWritten + " as `session { store redis }`; with `cookie` it is `store bolt`, a file: the browser holds a handle, and the tokens stay here"},
	{name: "session-cookie-minimal", kind: flag, says: unneeded + "no token is in the cookie"},
	{name: "redis-connection-url", kind: secret, says: asWritten + " as `store redis`, its password by a placeholder"},
	{name: "redis-username", says: asWritten + " as `username`"},
	{name: "redis-password", kind: secret, says: asWritten + " as `password`, by a placeholder"},
	{name: "redis-use-sentinel", kind: flag, says: asWritten + " as `sentinel`"},
	{name: "redis-sentinel-master-name", says: asWritten + " as `sentinel`"},
	{name: "redis-sentinel-connection-urls", kind: list, says: asWritten + " as the addresses of `store redis`"},
	{name: "redis-sentinel-password", kind: secret, says: asWritten + " as `sentinel_password`, by a placeholder"},
	{name: "redis-use-cluster", kind: flag, says: "none: one Redis, or sentinels"},
	{name: "redis-cluster-connection-urls", kind: list, says: "none: one Redis, or sentinels"},
	{name: "redis-ca-path", says: asWritten + " as `trust_pool file`"},
	{name: "redis-insecure-skip-tls-verify", kind: flag, says: "none: `trust_pool` trusts a certificate authority of your own"},
	{name: "redis-connection-idle-timeout", kind: number, says: unneeded + "connections that the server closed are made anew"},
	{name: "cookie-secret", kind: secret, says: "`session { keys }`, made anew: `openssl rand -base64 32`. Without the word there is one, kept in Caddy's storage"},
	{name: "cookie-secret-file", says: "`session { keys {file.…} }`, made anew: `openssl rand -base64 32`"},
	{name: "cookie-expire", kind: duration, says: asWritten + " as `session { max }`; `idle` is 1 h by default"},
	{name: "cookie-refresh", kind: duration, says: unneeded + "tokens are refreshed before they run out"},
	{name: "cookie-name", says: "`login { cookie }`, which begins with `__Host-`; people log in once more"},
	{name: "cookie-domain", file: "cookie_domains", kind: list, says: "none: each host has a cookie of its own, that no other host can set or read"},
	{name: "cookie-path", says: "none: it is `/`; `login { cookie }` gives sites below one host different ones"},
	{name: "cookie-secure", kind: flag, says: "none: it is always Secure, which browsers take from localhost too"},
	{name: "cookie-httponly", kind: flag, says: "none: it is always HttpOnly"},
	{name: "cookie-samesite", says: "none: it is always Lax"},
	{name: "cookie-csrf-per-request", kind: flag, says: unneeded + "each tab has its own log-in"},
	{name: "cookie-csrf-per-request-limit", kind: number, says: unneeded + "sixteen at most"},
	{name: "cookie-csrf-expire", kind: duration, says: "none: ten minutes"},
	{name: "cookie-csrf-samesite", says: "none: it is always Lax"},
	{name: "encode-state", kind: flag, says: unneeded + "the state has no characters to encode"},

	// Pages and logs.
	{name: "skip-provider-button", kind: flag, says: unneeded + "there is no page before the issuer's own"},
	{name: "banner", says: noTemplates},
	{name: "footer", says: noTemplates},
	{name: "custom-sign-in-logo", says: noTemplates},
	{name: "custom-templates-dir", says: noTemplates},
	{name: "show-debug-on-error", kind: flag, says: "none: the reason is in the log"},
	{name: "auth-logging", kind: flag, says: "`audit`, a line for each request"},
	{name: "auth-logging-format", says: "`audit`: JSON"},
	{name: "request-logging", kind: flag, says: caddysLogs},
	{name: "request-logging-format", says: caddysLogs},
	{name: "standard-logging", kind: flag, says: caddysLogs},
	{name: "standard-logging-format", says: caddysLogs},
	{name: "errors-to-info-log", kind: flag, says: caddysLogs},
	{name: "exclude-logging-path", file: "exclude_logging_paths", kind: list, says: ofCaddy + "`log_skip`"},
	{name: "silence-ping-logging", kind: flag, says: ofCaddy + "`log_skip`"},
	{name: "logging-filename", says: caddysLogs + " `{ output file }`"},
	{name: "logging-max-size", kind: number, says: caddysLogs + " `{ output file }`"},
	{name: "logging-max-age", kind: number, says: caddysLogs + " `{ output file }`"},
	{name: "logging-max-backups", kind: number, says: caddysLogs + " `{ output file }`"},
	{name: "logging-compress", kind: flag, says: caddysLogs + " `{ output file }`"},
	{name: "logging-local-time", kind: flag, says: caddysLogs + " `{ output file }`"},
}
