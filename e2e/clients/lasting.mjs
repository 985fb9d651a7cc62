// Calls an API, lets the token run out, and goes on: openid-client and oauth4webapi.
//
// lasting.mjs <library> <job as JSON>; the job's words are those of clients_lasting_test.go.
const [library, text] = process.argv.slice(2);
const job = JSON.parse(text);
const kept = new Set();
const more = { scope: job.scope, ...job.more };

// Without metadata of the server they take ID tokens of RS256 alone.
const signed = { id_token_signed_response_alg: 'ES256' };

async function withOpenIDClient() {
  const client = await import('openid-client');
  const config = new client.Configuration(
    { issuer: job.issuer, token_endpoint: job.token },
    job.id, { ...signed, client_secret: job.secret || undefined },
    job.byDefault ? undefined : job.secret ? client.ClientSecretBasic(job.secret) : client.None(),
  );
  client.allowInsecureRequests(config); // everything is on this machine
  return {
    credentials: () => client.clientCredentialsGrant(config, more),
    refresh: (token) => client.refreshTokenGrant(config, token),
    call: (token) => client.fetchProtectedResource(config, token, new URL(job.api), 'GET').then((r) => r.status, (e) => e.status ?? e.cause?.status),
  };
}

async function withOAuth4WebAPI() {
  const oauth = await import('oauth4webapi');
  const insecure = { [oauth.allowInsecureRequests]: true };
  const server = { issuer: job.issuer, token_endpoint: job.token };
  const client = { client_id: job.id, ...signed };
  const auth = job.secret ? oauth.ClientSecretBasic(job.secret) : oauth.None();
  return {
    credentials: async () => oauth.processClientCredentialsResponse(server, client,
      await oauth.clientCredentialsGrantRequest(server, client, auth, new URLSearchParams(more), insecure)),
    refresh: async (token) => oauth.processRefreshTokenResponse(server, client,
      await oauth.refreshTokenGrantRequest(server, client, auth, token, insecure)),
    call: (token) => oauth.protectedResourceRequest(token, 'GET', new URL(job.api), undefined, undefined, insecure)
      .then((r) => r.status, (e) => e.status ?? e.cause?.status),
  };
}

const { credentials, refresh, call } = await { 'openid-client': withOpenIDClient, oauth4webapi: withOAuth4WebAPI }[library]();

let held;
const hold = (answer) => {
  held = { ...held, ...answer, until: answer.expires_at ? answer.expires_at * 1000 : Date.now() + answer.expires_in * 1000 };
  kept.add(held.access_token);
};
// Neither library keeps tokens: who uses it looks at expires_in.
const next = async () => {
  if (Date.now() >= held.until) hold(await (job.given ? refresh(held.refresh_token) : credentials()));
  return call(held.access_token);
};

hold(job.given ?? await credentials());
const statuses = [await next()];
await (await fetch(job.until)).text();
statuses.push(await next(), await next());
process.stdout.write(JSON.stringify({ statuses, tokens: kept.size }));
