// A certified OpenID provider that issues opaque access tokens to service
// clients, and answers about them to gateways (RFC 7662). Clients, all with the
// secret "secret": service asks for tokens; gateway-basic and gateway-post ask
// about them. gateway-key does so with the key in GATEWAY_JWK.
//
// The audience of a token is the resource that was asked for. A token for
// urn:none has none.
import { Provider } from 'oidc-provider';
import { MapAdapter } from './map-adapter.mjs';
import { serve } from './serve.mjs';

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

await serve((issuer) => {
  const provider = new Provider(issuer, {
    adapter: MapAdapter,
    clockTolerance: 0,
    scopes: ['orders:read', 'orders:write'],
    clients,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
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
    ttl: { ClientCredentials: lifetime },
  });
  provider.on('server_error', (ctx, err) => console.error(err));
  return provider.callback();
}, { introspections: ['/token/introspection'] });
