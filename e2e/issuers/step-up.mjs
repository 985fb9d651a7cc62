// A certified OpenID provider that says in its access tokens how and when the
// user logged in (RFC 9068 §2.2.1), and heeds acr_values and max_age (RFC 9470
// §5). Whoever asks is logged in and consents at once: in the first way of
// acr_values, or else with a password ("pwd"), and, unless max_age asks for a
// log-in of now, an hour ago.
import { generateKeyPairSync } from 'node:crypto';
import { Provider, interactionPolicy } from 'oidc-provider';
import { newStore } from './map-adapter.mjs';
import { sendJSON, serve } from './serve.mjs';

const audience = 'api://orders';
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const ways = (params) => (params.acr_values ?? 'pwd').split(' ');

// The provider prompts by itself where max_age asks for it; for acr_values we do.
const policy = interactionPolicy.base();
policy.get('login').checks.add(new interactionPolicy.Check('weak', 'another way to log in was asked for', ({ oidc }) => (
  oidc.params.acr_values !== undefined && !ways(oidc.params).includes(oidc.session.acr)
)));

await serve((issuer) => {
  const provider = new Provider(issuer, {
    adapter: newStore().MapAdapter,
    jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig', kid: 'es-1' }] },
    acrValues: ['pwd', 'otp', 'passkey'],
    clients: [{
      client_id: 'app', token_endpoint_auth_method: 'none', grant_types: ['authorization_code'], response_types: ['code'],
      redirect_uris: ['http://127.0.0.1:9/callback'], id_token_signed_response_alg: 'ES256',
    }],
    clockTolerance: 0,
    cookies: { keys: ['only for tests'] },
    extraTokenClaims: ({ oidc }) => {
      const { acr, authTime } = oidc.entities.AuthorizationCode;
      return { acr, auth_time: authTime };
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { policy, url: (ctx, interaction) => `/_test/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          audience: resource, scope: 'orders:read', accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    ttl: { AccessToken: 600, Grant: 86400, IdToken: 600, Interaction: 600, Session: 86400 },
  });
  provider.on('server_error', (ctx, err) => console.error(err));

  async function interaction(req, res) {
    const { params } = await provider.interactionDetails(req, res);
    const grant = new provider.Grant({ accountId: 'alice', clientId: params.client_id });
    grant.addOIDCScope('openid');
    grant.addResourceScope(audience, 'orders:read');
    const now = Math.floor(Date.now() / 1000);
    await provider.interactionFinished(req, res, {
      login: { accountId: 'alice', acr: ways(params)[0], ts: params.max_age === undefined ? now - 3600 : now },
      consent: { grantId: await grant.save() },
    });
  }

  const handle = provider.callback();
  return (req, res) => {
    if (req.url.startsWith('/_test/interaction/')) {
      interaction(req, res).catch((err) => sendJSON(res, 500, { error: String(err) }));
      return;
    }
    handle(req, res);
  };
}, {});
