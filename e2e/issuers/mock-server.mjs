// oauth2-mock-server: an odd issuer, whose access tokens name no audience.
import { OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server';
import { serve } from './serve.mjs';

await serve(async (url) => {
  const issuer = new OAuth2Issuer();
  issuer.url = url;
  await issuer.keys.generate('RS256');
  return new OAuth2Service(issuer).requestHandler;
}, {
  discovery: ['/.well-known/openid-configuration'],
  keys: ['/jwks'],
});
