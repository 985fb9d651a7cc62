// Chromium, people who use it, and what they see and press: for browser.mjs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { GATEWAY, ISSUER, PICTURES } = process.env;
const patience = 60_000; // for a slow machine: each wait ends with its condition
export const session = '__Host-oauth';

export const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  timeout: patience,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-quic',
    // The provider's forms ask another host for a font: nothing leaves this machine.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ],
});

// Person is a browser with cookies of its own, and what it complained of.
export class Person {
  static async start(name) {
    const person = new Person();
    person.name = name;
    person.context = await browser.newContext();
    person.context.setDefaultTimeout(patience);
    person.context.setDefaultNavigationTimeout(patience);
    person.complaints = [];
    person.documents = [];
    person.context.on('weberror', (e) => person.complaints.push(String(e.error())));
    person.context.on('console', (message) => {
      // A status of 4xx is one, and no fault of the page's. The issuer's pages are not ours.
      const from = message.location().url;
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource: the server responded')
        && !from.startsWith(ISSUER) && !from.startsWith('https://fonts.')) {
        person.complaints.push(`${from}: ${message.text()}`);
      }
    });
    person.context.on('request', (r) => r.isNavigationRequest() && person.documents.push(r.url()));
    return person;
  }

  async tab(url) {
    const page = await this.context.newPage();
    return { page, response: url && await page.goto(url) };
  }

  // logIn opens an address, logs in at the issuer and is back.
  async logIn(path) {
    const { page } = await this.tab(GATEWAY + path);
    await identify(page, this.name);
    await agree(page);
    await page.waitForURL(GATEWAY + path);
    await served(page, path, this.name);
    return page;
  }

  async cookies() {
    return (await this.context.cookies(GATEWAY)).filter((c) => c.name.startsWith(session));
  }

  async end() {
    assert.deepEqual(this.complaints, [], 'what the browser complained of');
    await this.context.close();
  }
}

export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const link = (page, name) => page.getByRole('link', { name, exact: true });

export async function identify(page, name) {
  assert.ok(page.url().startsWith(`${ISSUER}/interaction/`), `at the issuer's form, not at ${page.url()}`);
  await page.fill('[name=login]', name);
  await page.fill('[name=password]', 'any');
  await button(page, 'Sign-in').click();
  await button(page, 'Continue').waitFor();
}

export const agree = (page) => button(page, 'Continue').click();

// served tells that the application has answered, and whom it saw.
export async function served(page, path, name) {
  await page.getByText(`${path} for ${name}`, { exact: true }).waitFor();
}

// shown awaits one of the gateway's pages.
export async function shown(page, title, picture) {
  await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
  assert.equal(await page.title(), title);
  if (PICTURES) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(colorScheme === 'light' ? { width: 900, height: 620 } : { width: 390, height: 620 });
      await page.screenshot({ path: join(PICTURES, `${picture}-${colorScheme}.png`), fullPage: true });
    }
    await page.emulateMedia({ colorScheme: null });
  }
}

export const status = async (page, path) => page.evaluate(async (at) => {
  const answer = await fetch(at);
  return `${answer.status}${answer.redirected ? ' redirected' : ''}`;
}, path);

// submit sends a form from a page of another origin, and waits for the answer.
export async function submit(person, from, action) {
  const { page } = await person.tab(from);
  const answer = page.waitForResponse((r) => r.url() === action);
  await page.evaluate((to) => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action: to });
    document.body.append(form);
    form.submit();
  }, action);
  return { page, status: (await answer).status() };
}
