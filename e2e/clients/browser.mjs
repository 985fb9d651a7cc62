// Drives a real Chromium as people do: they log in at the issuer's own forms,
// open tabs, go back, and log out. Each step is a sentence; "ok <sentence>" or
// "not ok <sentence>: <why>" is printed for each.
//
// Of the environment: GATEWAY, a site with log-in; DOWN, one whose issuer does
// not answer; ISSUER; BESIDE, an origin of the gateway's host; FAR, one of
// another host; and PICTURES, a directory for pictures of the gateway's pages.
import assert from 'node:assert/strict';
import {
  Person, agree, browser, button, identify, link, served, session, shown, status, submit,
} from './person.mjs';

const { GATEWAY, DOWN, ISSUER, BESIDE, FAR } = process.env;

const steps = {
  async 'a person who logs in is back where they were going'() {
    const ann = await Person.start('ann');
    const page = await ann.logIn('/orders/7?page=2&sort=a%2Fb');
    const cookies = await ann.cookies();
    assert.deepEqual(cookies.map((c) => [c.name, c.secure, c.httpOnly, c.sameSite, c.path, c.expires]),
      [[session, true, true, 'Lax', '/', -1]]);
    assert.equal(await page.evaluate(() => document.cookie), '');
    await page.reload();
    await served(page, '/orders/7?page=2&sort=a%2Fb', 'ann');
    await ann.end();
  },

  async 'two tabs log in side by side, and each is back where it was going'() {
    const bob = await Person.start('bob');
    const { page: one } = await bob.tab(`${GATEWAY}/one?a=1`);
    const { page: two } = await bob.tab(`${GATEWAY}/two?b=2`);
    assert.equal((await bob.cookies()).length, 2);
    await identify(one, 'bob');
    await agree(one);
    await one.waitForURL(`${GATEWAY}/one?a=1`);
    await identify(two, 'bob');
    await agree(two);
    await two.waitForURL(`${GATEWAY}/two?b=2`);
    for (const [page, path] of [[one, '/one?a=1'], [two, '/two?b=2']]) {
      await page.reload();
      await served(page, path, 'bob');
    }
    assert.equal((await bob.cookies()).length, 1);
    await bob.end();
  },

  async 'the back button after a log-in harms nothing, and a callback that comes again leads on'() {
    const cat = await Person.start('cat');
    const page = await cat.logIn('/orders?x=1');
    await page.goBack();
    assert.ok(page.url().startsWith(ISSUER), page.url());
    await page.goForward();
    await served(page, '/orders?x=1', 'cat');
    const callback = cat.documents.find((url) => url.startsWith(`${GATEWAY}/_oauth/callback?`));
    assert.equal((await page.goto(callback)).status(), 200);
    await served(page, '/', 'cat');
    await cat.end();
  },

  async 'a deep link comes back with its backslash and two thousand letters'() {
    const may = await Person.start('may');
    const path = `/graph?expr=up{instance=~%22web-\\d+%22}|x&pad=${'0123456789'.repeat(200)}`;
    const { page } = await may.tab(GATEWAY + path);
    await identify(page, 'may');
    await agree(page);
    await served(page, path, 'may');
    await may.end();
  },

  async 'seven tabs that are opened one by one all come back'() {
    const ned = await Person.start('ned');
    const tabs = [];
    for (let n = 0; n < 7; n += 1) {
      tabs.push((await ned.tab(`${GATEWAY}/doc/${n}`)).page);
    }
    for (const [n, page] of tabs.entries()) {
      await identify(page, 'ned');
      await agree(page);
      await served(page, `/doc/${n}`, 'ned');
    }
    assert.equal((await ned.cookies()).length, 1);
    await ned.end();
  },

  async 'a tab whose log-in comes to nothing leads on where another one was faster'() {
    const oda = await Person.start('oda');
    const { page: slow } = await oda.tab(`${GATEWAY}/slow?x=1`);
    await oda.logIn('/fast');
    await identify(slow, 'oda');
    await link(slow, '[ Cancel ]').click();
    await served(slow, '/slow?x=1', 'oda');
    await oda.end();
  },

  async 'a navigation that a service worker passes on is sent to log in'() {
    const pia = await Person.start('pia');
    const page = await pia.logIn('/orders');
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/worker.js');
      await navigator.serviceWorker.ready;
    });
    await page.reload();
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await pia.context.clearCookies({ name: new RegExp(session) });
    await page.goto(`${GATEWAY}/orders?worker=1`);
    await agree(page);
    await served(page, '/orders?worker=1', 'pia');
    await pia.end();
  },

  async 'a form that is sent after the end of its session gets a page that leads to a log-in, and back to the form'() {
    const ray = await Person.start('ray');
    const page = await ray.logIn('/orders?draft=1');
    await ray.context.clearCookies({ name: new RegExp(session) });
    const answer = page.waitForResponse((r) => r.request().method() === 'POST');
    await button(page, 'Order').click();
    assert.equal((await answer).status(), 401);
    await shown(page, 'You are not logged in', 'form');
    await link(page, 'Log in').click();
    await agree(page);
    await served(page, '/orders?draft=1', 'ray');
    await button(page, 'Order').click();
    await served(page, 'POST /orders', 'ray');
    await ray.end();
  },

  async 'a log-in that has run out says so, and another one works'() {
    const dan = await Person.start('dan');
    const { page } = await dan.tab(`${GATEWAY}/orders`);
    await identify(page, 'dan');
    await dan.context.clearCookies({ name: /-login-/ }); // as the browser does after ten minutes
    const before = dan.documents.length;
    await agree(page);
    await shown(page, 'This log-in has ended', 'ended');
    assert.deepEqual(dan.documents.slice(before).filter((url) => url.startsWith(GATEWAY)).length, 1);
    await link(page, 'To the start').click();
    await agree(page);
    await served(page, '/', 'dan');
    await dan.end();
  },

  async 'a consent that is denied says so, and nobody is sent around'() {
    const eve = await Person.start('eve');
    const { page } = await eve.tab(`${GATEWAY}/orders?x=1`);
    await identify(page, 'eve');
    const before = eve.documents.length;
    const answer = page.waitForResponse((r) => r.url().startsWith(`${GATEWAY}/_oauth/callback?`));
    await link(page, '[ Cancel ]').click();
    assert.equal((await answer).status(), 403);
    await shown(page, 'You are not logged in', 'denied');
    assert.equal(eve.documents.slice(before).filter((url) => url.startsWith(GATEWAY)).length, 1);
    assert.deepEqual(await eve.cookies(), []);
    await link(page, 'Try again').click();
    await agree(page);
    await page.waitForURL(`${GATEWAY}/orders?x=1`);
    await served(page, '/orders?x=1', 'eve');
    await eve.end();
  },

  async 'a log-out in one tab is one in the other'() {
    const fay = await Person.start('fay');
    const one = await fay.logIn('/one');
    const { page: two } = await fay.tab(`${GATEWAY}/two`);
    await served(two, '/two', 'fay');
    await one.goto(`${GATEWAY}/_oauth/logout`);
    await shown(one, 'Log out?', 'confirm');
    assert.equal(await status(two, '/data'), '200');
    await button(one, 'Log out').click();
    await button(one, 'Yes, sign me out').click();
    await one.waitForURL(`${GATEWAY}/_oauth/logged_out`);
    await shown(one, 'You are logged out', 'logged-out');
    assert.deepEqual(await fay.cookies(), []);
    assert.equal(await status(two, '/data'), '401');
    await two.reload();
    await identify(two, 'fay'); // the issuer has forgotten her too
    await fay.end();
  },

  async 'people see where they are logged in, and end one session or all'() {
    const here = await Person.start('gil');
    const there = await Person.start('gil');
    const other = await Person.start('hal');
    const page = await here.logIn('/here');
    const far = await there.logIn('/there');
    const others = await other.logIn('/other');
    await page.goto(`${GATEWAY}/_oauth/sessions`);
    await shown(page, 'Where you are logged in', 'sessions');
    const sections = page.locator('section');
    assert.equal(await sections.count(), 2);
    assert.match(await sections.filter({ hasText: '(this browser)' }).innerText(), /^Chrome on Linux/);
    await sections.filter({ hasNotText: '(this browser)' }).getByRole('button').click();
    await page.waitForFunction(() => document.querySelectorAll('section').length === 1);
    assert.equal(page.url(), `${GATEWAY}/_oauth/sessions`);
    assert.equal(await status(far, '/data'), '401');
    await far.reload();
    await agree(far);
    await served(far, '/there', 'gil');
    await page.reload();
    await button(page, 'End all of them').click();
    await shown(page, 'You are logged out', 'logged-out');
    assert.equal(await status(far, '/data'), '401');
    await link(page, 'To the start').click();
    await button(page, 'Continue').waitFor(); // at the issuer, which still knows him
    assert.equal(await status(others, '/data'), '200');
    await Promise.all([here.end(), there.end(), other.end()]);
  },

  async 'a log-out at the issuer ends the session here'() {
    const ida = await Person.start('ida');
    const page = await ida.logIn('/orders');
    const { page: issuer } = await ida.tab(`${ISSUER}/session/end`);
    await button(issuer, 'Yes, sign me out').click();
    await issuer.getByText('Sign-out Success').first().waitFor();
    assert.equal(await status(page, '/data'), '401');
    await page.reload();
    await identify(page, 'ida');
    await ida.end();
  },

  async 'a script without a session gets 401 and no redirect'() {
    const jan = await Person.start('jan');
    const page = await jan.logIn('/orders');
    assert.equal(await status(page, '/data'), '200');
    await jan.context.clearCookies();
    const before = jan.documents.length;
    assert.equal(await status(page, '/data'), '401');
    assert.deepEqual(await jan.cookies(), []); // and begins no log-in
    assert.equal(jan.documents.length, before);
    await jan.end();
  },

  async 'a form of this site passes, and one of another origin does not'() {
    const kim = await Person.start('kim');
    const page = await kim.logIn('/orders');
    await button(page, 'Order').click();
    await served(page, 'POST /orders', 'kim');
    for (const path of ['/orders', '/_oauth/logout', '/_oauth/sessions']) {
      // The same host on another port: the cookie comes along.
      const beside = await submit(kim, BESIDE, GATEWAY + path);
      assert.equal(beside.status, 403, `${path} from the host's other port`);
      if (path === '/_oauth/logout') {
        await shown(beside.page, 'Not from there', 'elsewhere');
      }
      const far = await submit(kim, FAR, GATEWAY + path);
      assert.ok([401, 403].includes(far.status), `${path} from another host: ${far.status}`);
    }
    assert.equal(await status(page, '/data'), '200');
    await kim.end();
  },

  async 'an issuer that is down is a page that says so'() {
    const lea = await Person.start('lea');
    const { page, response } = await lea.tab(`${DOWN}/orders?x=1`);
    assert.equal(response.status(), 503);
    assert.ok(Number(response.headers()['retry-after']) > 0);
    await shown(page, 'Try again later', 'later');
    assert.equal(await link(page, 'Try again').getAttribute('href'), '/orders?x=1');
    await lea.end();
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
