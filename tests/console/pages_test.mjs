// Every page: in both themes and at both widths it has what it should, passes axe, and fits.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Broker} from './broker.mjs';
import {checkAccessibility, checkWidth, open, screenshot, visit} from './browser.mjs';
import {HOSTILE_GROUP, seed, seedHostile, seedJobs, seedSchemas, seedViews} from './seed.mjs';
import {begin, broker, browser} from './world.mjs';

// Name, address, what it shows, and what is done before it is looked at.
const PAGES = [
  ['overview', '#/', 'Largest topics'],
  ['topics', '#/topics', 'payments.settled'],
  ['messages', '#/topics/orders', '"id":"o-', (page) => page.locator('.toggle').nth(1).click()],
  ['messages-none', '#/topics/empty', 'No records here'],
  ['messages-live', '#/topics/orders/messages?at=live', 'Waiting for records'],
  ['partitions', '#/topics/orders/partitions', 'Newest record'],
  ['topic-groups', '#/topics/orders/groups', 'billing'],
  ['producers', '#/topics/emails.outbox/producers', 'none open'],
  ['configs', '#/topics/orders/configs', 'retention.ms'],
  ['decoded', '#/topics/sold/messages?at=oldest', '12.50', (page) => page.locator('.toggle').first().click()],
  ['decoded-protobuf', '#/topics/shipped/messages?at=oldest', '2026-11-22T05:00:00Z',
    (page) => page.locator('.toggle').first().click()],
  ['schemas', '#/schemas', 'sold-value'],
  ['schema-compiled', '#/schemas/compiled-value', 'repeated shop.Order.Line lines'],
  ['schema-protobuf', '#/schemas/shipped-value', 'message Order'],
  ['schema', '#/schemas/sold-value', '"fields"'],
  ['schema-hostile', `#/schemas/${encodeURIComponent(HOSTILE_GROUP)}`, '<script>'],
  ['register', '#/schemas', 'TOPIC-value', (page) => page.click('button:has-text("Register")')],
  ['jobs', '#/jobs', 'nightly'],
  ['hostile', '#/topics/hostile', 'exact', (page) => page.locator('.toggle').last().click()],
  ['groups', '#/groups', 'billing'],
  ['group', '#/groups/billing', 'Records behind'],
  ['group-hostile', `#/groups/${encodeURIComponent(HOSTILE_GROUP)}`, '<script>'],
  ['views', '#/views', 'hourly'],
  ['view', '#/views/totals', 'owls'],
  ['view-windows', '#/views/hourly', 'By window', (page) => page.waitForSelector('.chart-bar')],
  ['sql', '#/sql', 'Explain'],
  ['sql-rows', '#/sql?sql=SELECT+*+FROM+totals', 'raised', (page) => page.click('button:has-text("Run")')],
  ['sql-error', '#/sql?sql=SELECT+*+FROM', 'expected', (page) => page.click('button:has-text("Run")')],
  ['storage', '#/storage', 'Cleaner and scrubber'],
  ['settings', '#/settings', 'segment-bytes'],
  ['append', '#/topics/orders', 'By its key', (page) => page.click('button:has-text("Append")')],
  ['create', '#/topics', 'compaction', (page) => page.click('button:has-text("Create topic")')],
  ['move', '#/groups/billing', 'Nothing has been moved yet', async (page) => {
    await page.click('button:has-text("Move…")');
    await page.click('button:has-text("Try it")');
    await page.waitForSelector('dialog .notice.info');
  }],
  ['unknown-topic', '#/topics/none', 'Not here'],
  ['unknown-page', '#/none', 'No such page'],
];

begin(seed, seedHostile, seedViews, seedSchemas, seedJobs);

/** What the console asks for although it may not be there. */
const expected = (error) => /(404|400).*(api\/v1\/(sql|topics\/none)|\/config\/|\/schemas\/ids\/999)/.test(error);

for (const [width, height] of [[1440, 900], [375, 740]]) {
  for (const theme of ['light', 'dark']) {
    test(`all pages, ${width} pixels wide, ${theme}`, async (t) => {
      const page = await open(browser, `${broker.url}/`, {width, height, theme});
      for (const [name, hash, text, act] of PAGES) {
        await t.test(name, async () => {
          await visit(page, hash);
          await act?.(page);
          await page.waitForFunction((what) => document.body.textContent.includes(what), text);
          await screenshot(page, `${name}-${width}-${theme}`);
          await checkAccessibility(page, name);
          await checkWidth(page, name);
          await page.keyboard.press('Escape');
        });
      }
      assert.deepEqual(page.errors.filter((error) => !expected(error)), []);
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      await page.context().close();
    });
  }
}

test('an empty broker says how to begin', async () => {
  const fresh = await new Broker().start();
  try {
    const page = await open(browser, `${fresh.url}/`);
    await page.waitForSelector('text=Nothing is stored yet');
    await screenshot(page, 'fresh-1440-light');
    await checkAccessibility(page, 'a fresh broker');
    await page.click('button:has-text("Create a topic")');
    await page.fill('dialog input >> nth=0', 'first');
    await page.keyboard.press('Enter');
    await page.waitForSelector('h1:has-text("first")');
    await page.context().close();
  } finally {
    await fresh.remove();
  }
});

test('the theme can be chosen and stays', async () => {
  const page = await open(browser, `${broker.url}/`, {theme: 'light'});
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.click('.theme');  // light
  await page.click('.theme');  // dark
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await page.waitForSelector('main h1');
  assert.equal(await ground(), dark);
  await page.context().close();
});
