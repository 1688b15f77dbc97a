// What people do with the console: by keyboard, with filters, live, over a kill -9.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {once} from 'node:events';
import {checkAccessibility, screenshot, settled, visit} from './browser.mjs';
import {RTL, SCRIPT, seed, seedHostile, seedJobs, seedSchemas} from './seed.mjs';
import {beginWithPage, broker, hasText, page} from './world.mjs';

beginWithPage(seed, seedHostile, seedSchemas, seedJobs);

const focused = () => page.evaluate(() => document.activeElement.textContent.trim() ||
  document.activeElement.getAttribute('aria-label') || document.activeElement.id);
const keys = () => page.locator('.record-row .key').allTextContents();

async function search(values) {
  await visit(page, `#/topics/${values.topic}/messages?${new URLSearchParams(values)}`);
  await page.waitForSelector('.record-row, .empty, .notice');
  await settled(page);
}

test('everything is reached by keyboard alone', async () => {
  await page.reload();
  await page.waitForSelector('main h1');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await page.keyboard.press('Shift+Tab');
  while (await focused() !== 'Topics') await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('h1:has-text("Topics")');
  assert.equal(await focused(), 'Topics');
  await page.keyboard.press('/');
  await page.keyboard.type('orders');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  while (await focused() !== 'orders') await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.record-row');
  while (!(await focused()).startsWith('Record at')) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.opened .code-block');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Space');
  assert.equal(await page.locator('.opened').count(), 0);
  while (await focused() !== 'Append') await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', {state: 'detached'});
});

test('records are found from any end and by filters that the broker applies', async () => {
  await search({topic: 'orders'});
  assert.equal(await page.locator('.record-row').count(), 51);
  await page.click('button:has-text("Older")');
  await page.waitForFunction(() => document.querySelectorAll('.record-row').length > 80);
  await search({topic: 'orders', at: 'oldest', partition: 0});
  assert.equal((await page.locator('.record-row .number').nth(1).textContent()), '0');
  await search({topic: 'orders', at: 'offset', place: '5', partition: 0});
  assert.equal((await page.locator('.record-row .number').nth(1).textContent()), '5');
  await search({topic: 'orders', at: 'time', place: '1h'});
  assert.equal(await page.locator('.record-row').count(), 50);
  await search({topic: 'orders', filter: 'key=ann && .amount>=800'});
  assert.ok((await keys()).length > 0 && (await keys()).every((key) => key === 'ann'));
  await hasText('from the oldest on');
  await search({topic: 'orders', filter: 'O-399'});
  assert.equal(await page.locator('.record-row').count(), 1);
  await search({topic: 'orders', filter: 'no such text'});
  await hasText('No record is like that');
  await search({topic: 'orders', filter: 'key~('});
  await hasText('missing )');
});

test('hostile records are shown as they are, and nothing of them runs', async () => {
  await search({topic: 'hostile', at: 'oldest'});
  assert.equal((await keys())[0], SCRIPT);
  await page.locator('.toggle').nth(0).click();
  assert.ok((await page.locator('.headers').textContent()).includes(SCRIPT));
  const rtl = (await keys())[1];
  assert.ok(rtl.includes('⟨U+202E⟩') && !rtl.includes('\u202e'), rtl);
  await page.locator('.toggle').nth(1).click();
  assert.ok((await page.locator('.opened .code-block').nth(1).textContent()).includes(RTL.slice(-5)));
  await page.locator('.toggle').nth(2).click();
  assert.match(await page.locator('.opened .code-block').nth(2).textContent(), /^00000000 {2}ff fe 00 c3 28 80 /);
  await page.locator('.toggle').nth(3).click();
  await hasText('256 KiB of about 1 MiB are shown');
  await page.click('button:has-text("Show all")');
  assert.equal((await page.locator('.opened .code-block').nth(3).textContent()).length, 1 << 20);
  await page.locator('.toggle').nth(7).click();
  assert.match(await page.locator('.opened .code-block').last().textContent(),
    /12345678901234567890,\n {2}"money": 12\.50/);
  assert.equal(await page.evaluate(() => window.hacked ?? {}.hacked), undefined);
  assert.deepEqual(page.errors, []);
  await checkAccessibility(page, 'hostile records, opened');
});

test('a record is appended as it was typed, and once', async () => {
  await search({topic: 'empty'});
  await page.click('button:has-text("Append a record")');
  await page.fill('dialog input >> nth=0', 'k');
  await page.fill('dialog textarea >> nth=0', '{"n": 1.50');
  await page.click('dialog button:has-text("Append")');
  await page.waitForSelector('dialog .notice.error');
  await page.fill('dialog textarea >> nth=0', '{"n": 1.50, "big": 12345678901234567890}');
  await page.fill('dialog textarea >> nth=1', 'trace: 7f');
  await page.click('dialog button:has-text("Append")');
  await page.waitForSelector('dialog .notice.good');
  await page.keyboard.press('Escape');
  await page.waitForSelector('.record-row');
  assert.deepEqual(await keys(), ['k']);
  const stored = await (await fetch(`${broker.url}/api/v1/topics/empty/records`)).text();
  assert.ok(stored.includes('"value":{"n": 1.50, "big": 12345678901234567890}'), stored);
  assert.ok(stored.includes('"headers":[{"name":"trace","value":"7f"}]'), stored);
});

test('topics are created, configured, grown and deleted', async () => {
  await visit(page, '#/topics');
  await page.click('button:has-text("Create topic")');
  await page.fill('dialog input >> nth=0', 'no good name!');
  await page.click('dialog button:has-text("Create topic")');
  await page.waitForSelector('dialog .notice.error');
  await page.fill('dialog input >> nth=0', 'mine');
  await page.click('dialog button:has-text("Create topic")');
  await page.waitForSelector('h1:has-text("mine")');
  await visit(page, '#/topics/mine/configs');
  await page.click('[aria-label="Edit retention.ms"]');
  await page.fill('dialog input', '60000');
  await page.click('dialog button:has-text("Save")');
  await hasText('60000');
  assert.equal((await broker.api('GET', '/topics/mine')).configs['retention.ms'], '60000');
  await page.click('[aria-label="Reset retention.ms to its default"]');
  await page.waitForSelector('[aria-label="Reset retention.ms to its default"]', {state: 'detached'});
  await visit(page, '#/topics/mine/partitions');
  await page.click('button:has-text("Add partitions")');
  await page.fill('dialog input', '4');
  await page.click('dialog button:has-text("Add")');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 4);
  await page.click('button:has-text("Delete")');
  await page.fill('dialog input', 'other');
  await page.click('dialog button:has-text("Delete topic")');
  await page.waitForSelector('dialog .notice.error');
  await page.fill('dialog input', 'mine');
  await page.click('dialog button:has-text("Delete topic")');
  await page.waitForSelector('h1:has-text("Topics")');
  await assert.rejects(broker.api('GET', '/topics/mine'));
});

test('a group is moved after it was tried, and not while it has members', async () => {
  const places = async () => (await broker.api('GET', '/groups/billing/offsets')).offsets.map((p) => p.offset);
  const before = await places();
  await visit(page, '#/groups/billing');
  await page.click('button:has-text("Move…")');
  await page.selectOption('dialog select >> nth=1', 'start');
  await page.click('button:has-text("Try it")');
  await page.waitForSelector('dialog .notice.info');
  assert.deepEqual(await places(), before);
  // Another wish has to be tried first.
  await page.fill('dialog input >> nth=0', '0');
  await page.waitForSelector('button:has-text("Try it")');
  await page.click('button:has-text("Try it")');
  await page.waitForSelector('dialog .notice.info');
  await page.click('button:has-text("Move it")');
  await page.waitForSelector('dialog', {state: 'detached'});
  assert.deepEqual(await places(), [0, ...before.slice(1)]);
  const member = broker.begin('consume', 'orders', '-g', 'billing');
  try {
    await once(member.stdout, 'data');
    await page.waitForSelector('.badge:has-text("Consuming")');
    await page.click('button:has-text("Move…")');
    await page.click('button:has-text("Try it")');
    await page.waitForSelector('dialog .notice.error:has-text("members")');
  } finally {
    member.kill();
  }
});

test('a live tail can be paused, and goes on over kill -9 without gap or repeat', async () => {
  await visit(page, '#/topics/donations/messages?at=live');
  await page.waitForSelector('.live-state.live');
  const append = (key) => broker.api('POST', '/topics/donations/records', {key, value: 1});
  await append('a');
  await page.waitForSelector('.record-row');
  await page.click('button:has-text("Pause")');
  await append('b');
  await hasText('Paused, 1 more so far');
  assert.deepEqual(await keys(), ['a']);
  await page.click('button:has-text("Go on")');
  await page.waitForFunction(() => document.querySelectorAll('.record-row').length === 2);
  await broker.kill();
  await page.waitForSelector('.live-state.lost');
  await page.waitForSelector('#offline:has-text("does not answer")');
  await screenshot(page, 'offline-1440-light');
  await checkAccessibility(page, 'without a broker');
  await broker.start();
  await append('c');
  await page.waitForSelector('.record-row .key:has-text("c")');
  assert.deepEqual(await keys(), ['c', 'b', 'a']);
  await page.waitForSelector('#offline:empty', {state: 'attached'});
});

test('other pages come back by themselves, too', async () => {
  await visit(page, '#/groups');
  await broker.kill();
  await page.waitForSelector('#offline:has-text("does not answer")');
  await broker.start();
  await page.waitForSelector('#offline:empty', {state: 'attached'});
  await hasText('billing');
});

test('what was written with a schema is read by it', async () => {
  await search({topic: 'sold', at: 'oldest'});
  await hasText('schema 2');
  await page.locator('.toggle').nth(0).click();
  await page.waitForFunction(() =>
    document.querySelector('.opened .code-block')?.textContent.includes('"note": "<script>"'));
  const decoded = await page.locator('.opened .code-block').first().textContent();
  assert.match(decoded, /"id": "o-1",\n {2}"amount": 12\.50,\n {2}"at": "2025-11-21T05:00:00\.000Z"/);
  await page.locator('.toggle').nth(1).click();
  await page.waitForSelector('.code-block:has-text("12345678901234567890")');
  await page.locator('.toggle').nth(2).click();
  await page.waitForSelector('.notice.warning:has-text("schema 999")');
  await page.locator('.toggle').nth(3).click();
  await page.waitForSelector('.notice.warning:has-text("The bytes end too early")');
  assert.deepEqual(page.errors.filter((error) => !/404.*ids\/999/.test(error)), []);
});

test('values of Protobuf are decoded by the schema, its references and the message they name', async () => {
  await search({topic: 'shipped', at: 'oldest'});
  await page.locator('.record-row .value:has-text(\'"cents":2500\')').waitFor();
  await page.locator('.toggle').nth(0).click();
  await page.waitForSelector('.record:has-text("Message shop.Order")');
  assert.equal(await page.locator('.code-block').first().textContent(), JSON.stringify({id: 'o-1',
    amount: {currency: 'EUR', cents: 2500}, skus: ['s-1', 's-2'], state: 'PAID', at: '2026-11-22T05:00:00Z'},
  null, 2));
  const copied = async () => {
    await page.locator('button:has-text("Copy value")').first().click();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  assert.match(await copied(), /^\{"id":"o-1",/);
  await page.click('.choice:has-text("Hex")');
  assert.match(await copied(), /^AAAAAA/);
  await page.locator('.toggle').nth(1).click();
  await page.waitForSelector('.record:has-text("Message shop.Ping")');
  await page.locator('.toggle').nth(2).click();
  await page.waitForSelector('.notice.warning:has-text("The schema has no message 9")');
  await page.locator('.toggle').nth(3).click();
  await page.waitForSelector('.notice.warning:has-text("The bytes end too early")');
  assert.deepEqual(page.errors, []);
});

test('a list of values that only look as if they had a schema asks for few', async () => {
  const values = Array.from({length: 50}, (_, i) => ({base64: Buffer.from([0, 0, 9, 9, i, 1]).toString('base64')}));
  await broker.api('POST', '/topics', {name: 'zeros', partitions: 1});
  await broker.api('POST', '/topics/zeros/records', values);
  let asked = 0;
  page.on('request', (request) => { asked += request.url().includes('/schemas/ids/'); });
  await search({topic: 'zeros'});
  assert.equal(await page.locator('.record-row').count(), 50);
  assert.equal(asked, 8);
});

test('schemas: the next version is tried before it is registered, and deleted again', async () => {
  const versions = () => broker.ask('GET', '/subjects/sold-value/versions');
  await visit(page, '#/schemas/sold-value');
  await page.click('button:has-text("New version")');
  const schema = JSON.parse(await page.inputValue('dialog textarea'));
  await page.fill('dialog textarea', JSON.stringify({...schema,
    fields: [...schema.fields, {name: 'city', type: 'string'}]}));
  await page.click('button:has-text("Try it")');
  await page.waitForSelector('dialog .notice.error:has-text("not compatible")');
  await page.fill('dialog textarea', JSON.stringify({...schema,
    fields: [...schema.fields, {name: 'city', type: 'string', default: ''}]}));
  await page.click('button:has-text("Try it")');
  await page.waitForSelector('dialog .notice.info');
  assert.deepEqual(await versions(), [1, 2]);
  await page.click('button:has-text("Register it")');
  await page.waitForSelector('dialog', {state: 'detached'});
  assert.deepEqual(await versions(), [1, 2, 3]);
  await hasText('"city"');
  await page.selectOption('[aria-label="Version"]', '1');
  await page.waitForFunction(() => !document.querySelector('main').textContent.includes('"city"'));
  await page.selectOption('[aria-label="Version"]', '3');
  await hasText('"city"');
  await page.click('button:has-text("Delete version")');
  await page.click('dialog button:text-is("Delete")');
  await page.waitForSelector('dialog', {state: 'detached'});
  assert.deepEqual(await versions(), [1, 2]);
  await page.click('button:has-text("Compatibility…")');
  await page.selectOption('dialog select', 'FULL');
  await page.click('dialog button:has-text("Save")');
  await hasText('is asked of this subject');
  assert.equal((await broker.ask('GET', '/config/sold-value')).compatibilityLevel, 'FULL');
});

test('a topic\'s groups and producers, with transactions that hold readers back', async () => {
  await visit(page, '#/topics/audit/groups');
  const group = page.locator('tr', {hasText: '<script>'});
  assert.match(await group.textContent(), /1 partition40\d+(\.\d+)? (ms|s|min)$/);
  await visit(page, '#/topics/emails.outbox/producers');
  const row = page.locator('tbody tr').first();
  assert.match(await row.textContent(), /none open/);
  const known = await broker.api('GET', '/topics/emails.outbox/producers');
  await page.route('**/producers?*', (route) => route.fulfill({json: {...known,
    producers: known.producers.map((p) => ({...p, transaction: 4711}))}}));
  await page.reload();
  await page.waitForSelector('.badge:has-text("open")');
  await hasText('1 transaction open');
  assert.match(await page.locator('a:has-text("offset 4,711")').getAttribute('href'), /place=4711/);
  await checkAccessibility(page, 'an open transaction');
});

test('jobs tell what is done and what is left', async () => {
  await visit(page, '#/jobs');
  const row = (text) => page.locator('tbody tr', {hasText: text});
  await row('nightly').locator('.badge:has-text("Done")').waitFor();
  await row('gdpr-17').waitFor();
  await row('compaction').waitFor();
  let left = 1000;
  await page.route('**/api/v1/jobs', (route) => route.fulfill({json: {omitted: 2, jobs: [{kind: 'view',
    name: 'totals', topic: 'orders', state: 'running', unit: 'records', done: 2000 - left, left: left -= 250,
    per_second: null, began: null, changed: null, problem: null}]}}));
  await hasText('records left · about');
  await hasText('2 older jobs not shown');
});
