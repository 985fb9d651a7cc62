// A certified OpenID provider as MCP clients expect one: whoever comes registers
// itself (RFC 7591), PKCE is required, and access tokens are JWTs for the
// resource that was asked for, which must be RESOURCE (RFC 8707), with or without
// the slash of a root; it stands in aud as it was asked for. Scripts of any origin
// may talk to it. Logging in and consenting are the forms of the
// provider's own development pages.
import { generateKeyPairSync } from 'node:crypto';
import { Provider, errors } from 'oidc-provider';
import { newStore } from './map-adapter.mjs';
import { serve } from './serve.mjs';

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const scopes = ['mcp:tools', 'mcp:admin'];

// Clients name the scope that they know when they register. It is no limit.
class Adapter extends newStore().MapAdapter {
  async upsert(id, { scope, ...payload }) {
    return super.upsert(id, this.model === 'Client' ? payload : { scope, ...payload });
  }
}

await serve((issuer) => {
  const provider = new Provider(issuer, {
    adapter: Adapter,
    jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig', kid: 'es-1' }] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clockTolerance: 0,
    clientBasedCORS: () => true,
    cookies: { keys: ['only for tests'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    scopes: ['openid', ...scopes],
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => {
          if (new URL(resource).href !== new URL(process.env.RESOURCE).href) {
            throw new errors.InvalidTarget(`there is no resource ${resource}`);
          }
          return { audience: resource, scope: scopes.join(' '), accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'ES256' } } };
        },
      },
    },
    ttl: { AccessToken: 600, Grant: 86400, IdToken: 600, Interaction: 600, Session: 86400 },
  });
  provider.on('server_error', (ctx, err) => console.error(err));
  return provider.callback();
}, { registrations: ['/reg'], metadata: ['/.well-known/oauth-authorization-server'] });
