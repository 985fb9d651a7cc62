// A certified OpenID provider that issues opaque access tokens to service
// clients, and answers about them to gateways (RFC 7662). Clients, all with the
// secret "secret": service asks for tokens; gateway-basic and gateway-post ask
// about them. gateway-key does so with the key in GATEWAY_JWK.
//
// The audience of a token is the resource that was asked for. A token for
// urn:none has none.
//
// POST /_test/refresh answers a refresh token of alice's at the client service.
import { Provider } from 'oidc-provider';
import { newStore } from './map-adapter.mjs';
import { sendJSON, serve } from './serve.mjs';

const lifetime = Number(process.env.TOKEN_SECONDS ?? 600);

function gateway(method, more) {
  return {
    client_id: `gateway-${method}`,
    redirect_uris: [],
    response_types: [],
    grant_types: [],
    ...more,
  };
}

const clients = [
  {
    client_id: 'service',
    client_secret: 'secret',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  },
  gateway('basic', { client_secret: 'secret', token_endpoint_auth_method: 'client_secret_basic' }),
  gateway('post', { client_secret: 'secret', token_endpoint_auth_method: 'client_secret_post' }),
];
if (process.env.GATEWAY_JWK) {
  clients.push(gateway('key', {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [JSON.parse(process.env.GATEWAY_JWK)] },
  }));
}

// refreshToken is what a log-in would have left.
async function refreshToken(provider) {
  const grant = new provider.Grant({ accountId: 'alice', clientId: 'service' });
  grant.addOIDCScope('openid offline_access');
  return new provider.RefreshToken({
    accountId: 'alice',
    client: await provider.Client.find('service'),
    grantId: await grant.save(),
    gty: 'authorization_code',
    scope: 'openid offline_access',
  }).save();
}

await serve((issuer) => {
  const provider = new Provider(issuer, {
    adapter: newStore().MapAdapter,
    clockTolerance: 0,
    scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
    clients,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: Boolean(process.env.SIGNED_ANSWERS) },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          audience: resource === 'urn:none' ? undefined : resource,
          scope: 'orders:read orders:write',
          accessTokenFormat: 'opaque',
          accessTokenTTL: lifetime,
        }),
      },
    },
    ttl: { ClientCredentials: lifetime, RefreshToken: 86400, Grant: 86400 },
  });
  provider.on('server_error', (ctx, err) => console.error(err));
  const handle = provider.callback();
  return (req, res) => {
    if (req.url === '/_test/refresh') {
      refreshToken(provider).then(
        (token) => sendJSON(res, 200, { token }),
        (err) => sendJSON(res, 500, { error: String(err) }),
      );
      return;
    }
    handle(req, res);
  };
}, { introspections: ['/token/introspection'] });
