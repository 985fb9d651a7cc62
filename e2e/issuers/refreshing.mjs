// A certified OpenID provider whose access tokens run out soon and whose refresh
// tokens rotate on every use. It believes to be ISSUER, the address of the tap
// that stands in front of it. Whoever asks is logged in and consents at once;
// login_hint says who that is. With FORMS=1 people do both by hand instead, on
// the provider's own pages, with any name and password.
//
// REDIRECT_URIS, POST_LOGOUT_URIS and BACKCHANNEL_URI are those of "gateway".
//
// Clients: "gateway" (authorization_code, device_code, refresh_token) and
// "robot" (client_credentials), with the secrets in GATEWAY_SECRET and
// ROBOT_SECRET. Of the environment: TOKEN_SECONDS, the life of an access token;
// ROTATE=0, to keep refresh tokens; REUSE_GRACE, the seconds for which a rotated
// refresh token is answered again; GATEWAY_JWKS, public keys that "gateway"
// authenticates with instead of its secret; GATEWAY_AUTH, another way to authenticate.
//
// With EMAIL=1 there is the scope email, for a claim of ID tokens and of userinfo.
//
// With KILL_OLD=1 a grant's access token ends as soon as a refresh makes another,
// as at servers that keep their access tokens; the answer leaves 300 ms later.
// POST /_test/introspect says which are alive (RFC 7662).
//
// POST /_test/ttl?seconds=60             new access tokens live that long
// POST /_test/scope?scope=orders:read    new access tokens can do no more
// POST /_test/secret?client=robot&secret=x   another secret, from now on
// POST /_test/mail?host=example.org      e-mail addresses are there
// POST /_test/clock?seconds=-120         its clock is two minutes behind
// POST /_test/forget                     no refresh token and no grant is known any more
// POST /_test/approve?user_code=X        whoever has the device logs in as alice
//
// To load what such a provider needs takes longer than to make one. With MANY=1
// the process is a house for many: POST /_test/start with the environment of one as
// JSON answers its address, and POST /_test/stop?issuer=ADDRESS ends it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { newStore } from './map-adapter.mjs';
import { listen, sendJSON, serve } from './serve.mjs';

const audience = 'api://orders';
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const offered = ['openid', 'offline_access', 'orders:read', 'orders:write'];

// Another clock than everybody else's, for what a provider does. Access tokens
// count from now, by it.
const clocks = new AsyncLocalStorage();
const realNow = Date.now;
const shifted = () => realNow() + (clocks.getStore()?.off ?? 0);
globalThis.Date = class extends Date {
  constructor(...args) { super(...(args.length === 0 ? [shifted()] : args)); }
  static now() { return shifted(); }
};

// makeProvider makes one of this environment, and answers its request handler.
function makeProvider(env) {
  const issuer = env.ISSUER;
  const forms = env.FORMS === '1';
  const clock = { off: 0 };
  const now = {
    lifetime: Number(env.TOKEN_SECONDS ?? 6),
    scope: 'orders:read orders:write',
    mail: 'example.com',
  };
  const scopes = env.EMAIL === '1' ? [...offered, 'email'] : offered;

  const { MapAdapter, put, forget } = newStore(Number(env.REUSE_GRACE ?? 0));

  const clients = {
    gateway: {
      client_secret: env.GATEWAY_SECRET,
      grant_types: ['authorization_code', 'refresh_token', deviceGrant],
      redirect_uris: (env.REDIRECT_URIS ?? 'http://127.0.0.1:9/callback').split(' '),
      post_logout_redirect_uris: (env.POST_LOGOUT_URIS ?? '').split(' ').filter(Boolean),
      ...(env.BACKCHANNEL_URI && { backchannel_logout_uri: env.BACKCHANNEL_URI, backchannel_logout_session_required: true }),
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
      ...(env.GATEWAY_AUTH && { token_endpoint_auth_method: env.GATEWAY_AUTH }),
      ...(env.GATEWAY_JWKS && {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: JSON.parse(env.GATEWAY_JWKS),
      }),
    },
    robot: {
      client_secret: env.ROBOT_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    },
  };
  for (const [id, client] of Object.entries(clients)) {
    put('Client', id, { client_id: id, ...client });
  }

  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

  const provider = new Provider(issuer, {
    fetch: (url, { dispatcher, ...options }) => fetch(url, options), // whose dispatcher keeps loopback out of reach

    adapter: MapAdapter,
    jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig', kid: 'es-1' }] },
    clockTolerance: 0,
    formats: { customizers: { jwt: (ctx, token, jwt) => { jwt.payload.nbf = jwt.payload.iat; } } },
    cookies: { keys: ['only for tests'] },
    scopes,
    claims: { openid: ['sub'], email: ['email'] },
    conformIdTokenClaims: false,
    rotateRefreshToken: env.ROTATE !== '0',
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@${now.mail}` }) }),
    ...(!forms && { interactions: { url: (ctx, interaction) => `/_test/interaction/${interaction.uid}` } }),
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: forms },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          audience: resource,
          scope: now.scope,
          accessTokenFormat: 'jwt',
          accessTokenTTL: now.lifetime,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    // What lives as long as the longest test must not end by itself.
    ttl: {
      ClientCredentials: () => now.lifetime, DeviceCode: 600, Grant: 86400, IdToken: 600,
      Interaction: 600, RefreshToken: 86400, Session: 86400,
    },
  });
  provider.on('server_error', (ctx, err) => console.error(err));
  provider.on('backchannel.error', (ctx, err) => console.error(err));

  // alive is the newest access token of each grant.
  const alive = new Map();
  if (env.KILL_OLD === '1') {
    provider.use(async (ctx, next) => {
      await next();
      const grant = ctx.oidc?.entities?.Grant?.jti;
      if (ctx.path === '/token' && ctx.status === 200 && grant) {
        const renewed = alive.has(grant);
        alive.set(grant, ctx.body.access_token);
        if (renewed) {
          await new Promise((resolve) => { setTimeout(resolve, 300); });
        }
      }
    });
  }

  async function introspect(req, res) {
    const token = new URLSearchParams(await body(req)).get('token');
    if (![...alive.values()].includes(token)) {
      sendJSON(res, 200, { active: false });
      return;
    }
    sendJSON(res, 200, { active: true, ...JSON.parse(Buffer.from(token.split('.')[1], 'base64url')) });
  }

  async function newGrant(accountId, clientId) {
    const grant = new provider.Grant({ accountId, clientId });
    grant.addOIDCScope(scopes.join(' '));
    grant.addResourceScope(audience, 'orders:read orders:write');
    return grant.save();
  }

  // interaction is the log-in page of a provider that nobody looks at.
  async function interaction(req, res) {
    const { params } = await provider.interactionDetails(req, res);
    const accountId = params.login_hint ?? 'alice';
    await provider.interactionFinished(req, res, {
      login: { accountId },
      consent: { grantId: await newGrant(accountId, params.client_id) },
    });
  }

  // approve is what the user does on another screen in RFC 8628.
  async function approve(userCode) {
    const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll('-', ''));
    Object.assign(code, {
      accountId: 'alice',
      grantId: await newGrant('alice', code.clientId),
      authTime: Math.floor(Date.now() / 1000),
      claims: {},
      resource: code.params.resource ?? audience,
      scope: code.params.scope,
    });
    await code.save();
  }

  const controls = {
    ttl: (query) => { now.lifetime = Number(query.get('seconds')); },
    scope: (query) => { now.scope = query.get('scope'); },
    mail: (query) => { now.mail = query.get('host'); },
    secret: (query) => {
      const id = query.get('client');
      put('Client', id, { client_id: id, ...clients[id], client_secret: query.get('secret') });
    },
    clock: (query) => { clock.off = Number(query.get('seconds')) * 1000; },
    forget: () => forget('RefreshToken', 'Grant'),
    approve: (query) => approve(query.get('user_code')),
  };

  const handle = provider.callback();
  return (req, res) => clocks.run(clock, () => {
    const url = new URL(req.url, issuer);
    const [, test, word] = url.pathname.split('/');
    if (test !== '_test') {
      handle(req, res);
      return;
    }
    const fail = (err) => sendJSON(res, 500, { error: String(err) });
    if (word === 'interaction') {
      interaction(req, res).catch(fail);
    } else if (word === 'introspect') {
      introspect(req, res).catch(fail);
    } else if (req.method === 'POST' && word in controls) {
      Promise.resolve(controls[word](url.searchParams)).then(() => sendJSON(res, 200, {}), fail);
    } else {
      sendJSON(res, 404, { error: `POST one of ${Object.keys(controls).join(' ')}` });
    }
  });
}

async function body(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
  }
  return text;
}

// house starts and ends providers, as it is told.
function house() {
  const ends = new Map();
  return async (req, res) => {
    const url = new URL(req.url, 'http://127.0.0.1');
    if (url.pathname === '/_test/start') {
      const env = JSON.parse(await body(req));
      const { issuer, close } = await listen(() => makeProvider(env), {}, Number(env.PORT ?? 0));
      ends.set(issuer, close);
      sendJSON(res, 200, { issuer });
      return;
    }
    ends.get(url.searchParams.get('issuer'))?.();
    ends.delete(url.searchParams.get('issuer'));
    sendJSON(res, 200, {});
  };
}

await serve(process.env.MANY === '1' ? house : () => makeProvider(process.env), {});
