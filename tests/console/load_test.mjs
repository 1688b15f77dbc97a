// What is sent: its size, its headers, and ten thousand topics. Times are told, not judged.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {checkAccessibility, open, screenshot} from './browser.mjs';
import {begin, broker, browser} from './world.mjs';

const MOST_FIRST_LOAD_BYTES = 150 << 10;
const TOPICS = 10000;

begin();

test('the first load is small, and its files are kept', async () => {
  const page = await open(browser, `${broker.url}/`);
  await page.waitForSelector('.badge:has-text("Ready")');
  const loaded = await page.evaluate(() => [...performance.getEntriesByType('navigation'),
    ...performance.getEntriesByType('resource')].map((e) => [new URL(e.name).pathname, e.transferSize]));
  const files = loaded.filter(([name]) => !name.startsWith('/api/') && name !== '/readyz');
  const bytes = files.reduce((sum, [, size]) => sum + size, 0);
  console.log(`first load: ${files.length} files, ${(bytes / 1024).toFixed(1)} KiB over the wire`);
  assert.ok(files.length <= 6 && bytes <= MOST_FIRST_LOAD_BYTES, `${bytes}`);
  const drawn = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  console.log(`first paint with content after ${drawn.toFixed(0)} ms`);
  await page.reload();
  await page.waitForSelector('main h1');
  const again = await page.evaluate(() => performance.getEntriesByType('resource')
    .filter((e) => e.name.includes('/console/')).reduce((sum, e) => sum + e.transferSize, 0));
  assert.equal(again, 0);
  await page.context().close();
});

test('headers', async () => {
  const index = await fetch(`${broker.url}/`);
  assert.equal(index.headers.get('cache-control'), 'no-cache');
  const text = await index.text();
  const [script] = /\/console\/[0-9a-f]{16}\/main\.js/.exec(text);
  const file = await fetch(broker.url + script, {headers: {'Accept-Encoding': 'gzip'}});
  assert.equal(file.headers.get('content-encoding'), 'gzip');
  assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
  assert.match(file.headers.get('content-type'), /^text\/javascript/);
  const plain = await fetch(broker.url + script, {headers: {'Accept-Encoding': 'identity'}});
  assert.equal(plain.headers.get('content-encoding'), null);
  assert.equal(await plain.text(), await file.text());
  for (const response of [index, file]) {
    const policy = response.headers.get('content-security-policy');
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
      "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.split('; ').includes(part), policy);
    }
    assert.ok(!policy.includes('unsafe'));
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  }
  assert.ok(!/<script>|style=|\son\w+=/.test(text), 'nothing is inline');
  const gone = await fetch(broker.url + script.replace(/[0-9a-f]{16}/, '0123456789abcdef'));
  assert.equal(gone.status, 404);
});

test(`${TOPICS} topics`, async () => {
  const name = (i) => `topic-${String(i).padStart(5, '0')}`;
  for (let i = 0; i < TOPICS; i += 200) {
    await Promise.all(Array.from({length: 200}, (_, k) => broker.api('POST', '/topics', {name: name(i + k)})));
  }
  const page = await open(browser, `${broker.url}/`);
  const begun = performance.now();
  await page.evaluate(() => { location.hash = '#/topics'; });
  await page.waitForSelector('tbody tr');
  console.log(`topics: first rows after ${(performance.now() - begun).toFixed(0)} ms`);
  await page.waitForFunction(() => document.querySelector('.page-head').textContent.includes('10,000 topics'));
  console.log(`topics: all after ${(performance.now() - begun).toFixed(0)} ms`);
  assert.equal(await page.locator('tbody tr').count(), 100);
  await page.click('button:has-text("Next")');
  await page.waitForSelector(`text=${name(100)}`);
  await page.fill('[data-filter]', '-0999');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 10);
  await screenshot(page, 'many-topics-1440-light');
  await checkAccessibility(page, 'many topics');
  const opened = performance.now();
  await page.evaluate((to) => { location.hash = to; }, `#/topics/${name(9999)}`);
  await page.waitForSelector('.empty:has-text("No records here")');
  console.log(`a topic of them: there after ${(performance.now() - opened).toFixed(0)} ms`);
  await page.context().close();
});
