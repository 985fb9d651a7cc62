// Drives a real Chromium through Keycloak's own pages: log-in, two tabs, log-out.
// Each step is a sentence; "ok <sentence>" or "not ok <sentence>: <why>" is
// printed for each. Of the environment: GATEWAY, a site with log-in, and ISSUER.
import assert from 'node:assert/strict';
import { Person, browser, button, served, session, shown } from './person.mjs';

const { GATEWAY, ISSUER } = process.env;

async function fill(page, name) {
  assert.ok(page.url().startsWith(`${ISSUER}/`), `at Keycloak's form, not at ${page.url()}`);
  await page.fill('[name=username]', name);
  await page.fill('[name=password]', `${name}-password`);
  await page.click('#kc-login');
}

const steps = {
  async 'a person logs in at Keycloak, and out here and there'() {
    const alice = await Person.start('alice');
    const { page } = await alice.tab(`${GATEWAY}/orders/7?page=2`);
    await fill(page, 'alice');
    await page.waitForURL(`${GATEWAY}/orders/7?page=2`);
    await served(page, '/orders/7?page=2', 'alice');
    assert.deepEqual((await alice.cookies()).map((c) => c.name), [session]);
    await page.goto(`${GATEWAY}/_oauth/logout`);
    await button(page, 'Log out').click();
    await page.waitForURL(`${GATEWAY}/_oauth/logged_out`);
    await shown(page, 'You are logged out', 'keycloak-logged-out');
    await page.goto(`${GATEWAY}/orders`);
    await page.waitForSelector('#kc-login');
    await alice.end();
  },

  async 'two tabs wait at the form of Keycloak, one logs in, and both come back'() {
    const bob = await Person.start('bob');
    const { page: one } = await bob.tab(`${GATEWAY}/one?a=1`);
    const { page: two } = await bob.tab(`${GATEWAY}/two?b=2`);
    await fill(one, 'bob');
    await one.waitForURL(`${GATEWAY}/one?a=1`);
    // Keycloak's script in the other tab notices, and goes on by itself.
    await two.waitForURL(`${GATEWAY}/two?b=2`);
    for (const [page, path] of [[one, '/one?a=1'], [two, '/two?b=2']]) {
      await page.reload();
      await served(page, path, 'bob');
    }
    if (process.env.SHOW) console.error(bob.documents.join('\n'));
    await bob.end();
  },
};

for (const [sentence, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok ${sentence}`);
  } catch (err) {
    console.log(`not ok ${sentence}: ${String(err.stack).replaceAll('\n', ' ⏎ ')}`);
  }
}
await browser.close();
