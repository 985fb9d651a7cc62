// A certified OpenID provider that issues JWT access tokens (RFC 9068) to
// confidential clients. Which client asks decides the algorithm: service-RS256,
// service-PS256, service-ES256, service-Ed25519, all with the secret "secret".
//
// POST /_test/rotate?alg=ES256        a new key signs, the old one stays published
// POST /_test/rotate?alg=ES256&drop=1 a new key signs, the old one is gone
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { sendJSON, serve } from './serve.mjs';

const audience = process.env.AUDIENCE ?? 'api://orders';
const lifetime = Number(process.env.TOKEN_SECONDS ?? 600);

const generators = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
};
const algorithms = (process.env.ALGORITHMS ?? Object.keys(generators).join(' ')).split(' ');

function newKey(alg) {
  const jwk = generators[alg]().privateKey.export({ format: 'jwk' });
  return { ...jwk, alg, use: 'sig', kid: `${alg}-${randomUUID()}` };
}

// The memory adapter that comes with the provider forgets beyond 1000 entries.
// Client credentials need no more than this; expiry is in the token.
const entries = new Map();

class MapAdapter {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload) {
    entries.set(`${this.model}:${id}`, payload);
  }

  async find(id) {
    return entries.get(`${this.model}:${id}`);
  }

  async destroy(id) {
    entries.delete(`${this.model}:${id}`);
  }
}

// The newest key of each algorithm stands first and signs.
const keys = algorithms.map(newKey);

function signer(clientId) {
  const alg = clientId.replace('service-', '');
  return { alg, kid: keys.find((key) => key.alg === alg).kid };
}

function newProvider(issuer) {
  const provider = new Provider(issuer, {
    adapter: MapAdapter,
    jwks: { keys },
    clockTolerance: 0,
    scopes: ['orders:read', 'orders:write'],
    clients: algorithms.map((alg) => ({
      client_id: `service-${alg}`,
      client_secret: 'secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: alg,
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource, client) => ({
          audience: resource,
          scope: 'orders:read orders:write',
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetime,
          jwt: { sign: signer(client.clientId) },
        }),
      },
    },
    ttl: { ClientCredentials: lifetime },
  });
  provider.on('server_error', (ctx, err) => console.error(err));
  return provider;
}

await serve((issuer) => {
  let current = newProvider(issuer).callback();
  return (req, res) => {
    const url = new URL(req.url, issuer);
    if (url.pathname !== '/_test/rotate') {
      current(req, res);
      return;
    }
    const alg = url.searchParams.get('alg');
    if (req.method !== 'POST' || !algorithms.includes(alg)) {
      sendJSON(res, 400, { error: `POST with alg, one of ${algorithms.join(' ')}` });
      return;
    }
    const old = keys.findIndex((key) => key.alg === alg);
    if (url.searchParams.has('drop')) {
      keys.splice(old, 1);
    }
    keys.unshift(newKey(alg));
    // A provider's key set is fixed when it is made, so rotation makes a new one.
    current = newProvider(issuer).callback();
    sendJSON(res, 200, { kid: keys[0].kid });
  };
}, {
  discovery: ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'],
  keys: ['/jwks'],
});
