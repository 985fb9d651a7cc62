// The official TypeScript clients of MCP, as they are: they find the authorization
// server by themselves, register, log in and call tools. The person at the
// browser is played here: the log-in and consent forms are sent as they stand.
//
//   node mcp.mjs <the MCP server> <where the test listens> <the package> [<scope>]
//
// It tells the test when it has called a tool ("/called"), and when a message of
// a tool that is still running has come ("/heard"), and prints what it got.
const [server, test, sdk, scope] = process.argv.slice(2);
const package2 = sdk.endsWith('/client'); // one entrance, and not one for each file
const from = (path) => import(package2 ? sdk : sdk + path);
const { Client } = await from('/client/index.js');
const { UnauthorizedError } = await from('/client/auth.js');
const { StreamableHTTPClientTransport } = await from('/client/streamableHttp.js');

const callback = 'http://127.0.0.1:9/callback'; // where nobody listens

// Person is a browser with cookies, and what the client wants to be kept.
class Person {
  cookies = new Map();
  logins = 0;
  asked = []; // scope of each authorization request
  resources = new Set(); // that were asked for
  redirectUrl = callback;
  clientMetadata = { client_name: 'a test', redirect_uris: [callback], token_endpoint_auth_method: 'none', grant_types: ['authorization_code'], response_types: ['code'], scope };
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }

  async redirectToAuthorization(url) {
    this.asked.push(url.searchParams.get('scope'));
    this.resources.add(url.searchParams.get('resource'));
    let [next, form] = [url.href, undefined];
    for (let step = 0; step < 20; step += 1) {
      if (next.startsWith(callback)) {
        this.back = new URL(next).searchParams;
        return;
      }
      const answer = await this.visit(next, form);
      if (answer.status >= 300 && answer.status < 400) {
        [next, form] = [new URL(answer.headers.get('location'), next).href, undefined];
        continue;
      }
      const page = await answer.text();
      const action = page.match(/<form[^>]* action="([^"]+)"/);
      if (!action) {
        throw new Error(`${answer.status} ${page}`);
      }
      const prompt = page.match(/name="prompt" value="(\w+)"/)[1];
      this.logins += prompt === 'login' ? 1 : 0;
      [next, form] = [new URL(action[1], next).href, new URLSearchParams({ prompt, ...(prompt === 'login' && { login: 'alice', password: 'any' }) })];
    }
    throw new Error('the log-in does not end');
  }

  async visit(url, form) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { method: form ? 'POST' : 'GET', body: form, redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      this.cookies.set(name, value);
    }
    return answer;
  }
}

const person = new Person();
let transport;

// authorized runs what may need a log-in, as the SDK's documentation has it.
async function authorized(what) {
  try {
    return await what();
  } catch (err) {
    if (!(err instanceof UnauthorizedError)) {
      throw err;
    }
    await transport.finishAuth(package2 ? person.back : person.back.get('code'));
    return what();
  }
}

let client;
await authorized(async () => {
  client = new Client({ name: 'a test', version: '1' });
  transport = new StreamableHTTPClientTransport(new URL(server), { authProvider: person });
  await client.connect(transport);
});
const text = (result) => result.content[0].text;
const first = text(await client.callTool({ name: 'whoami', arguments: {} }));
await fetch(`${test}/called`); // from here on more scope is needed
const second = text(await authorized(() => client.callTool({ name: 'whoami', arguments: {} })));
const progress = { onprogress: () => fetch(`${test}/heard`) };
const last = text(await client.callTool({ name: 'wait', arguments: {} }, ...(package2 ? [progress] : [undefined, progress])));
await client.close();
console.log(JSON.stringify({ first, second, last, asked: person.asked, resources: [...person.resources], logins: person.logins }));
