// Views and SQL: rows that change while one looks at them, charts, plans, CSV.
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {test} from 'node:test';
import {screenshot, visit} from './browser.mjs';
import {seed, seedViews} from './seed.mjs';
import {beginWithPage, broker, hasText, page} from './world.mjs';

beginWithPage(seed, seedViews);

const give = (campaign, amount) => broker.api('POST', '/topics/donations/records', {value: {campaign,
  donor: 'new', amount, at: '2026-11-22T12:00:00Z'}});
const rowOf = (name) => page.locator('.table').first().locator('tr', {hasText: name});

async function run(sql, button = 'Run') {
  await page.fill('textarea', sql);
  await page.click(`button:has-text("${button}")`);
}

test('a view\'s rows change as records come, over kill -9, too', async () => {
  await visit(page, '#/views/totals');
  await page.waitForSelector('.live-state.live');
  const before = (await broker.api('GET', '/views/totals/rows?key=sea')).rows[0];
  assert.ok((await rowOf('sea').textContent()).includes(String(before.gifts)));
  await give('sea', '1000.50');
  await rowOf('sea').locator(`bdi:text-is("${before.gifts + 1}")`).waitFor();
  await page.waitForSelector('tr:has(.badge:has-text("is now")):has-text("sea")');
  await give('moon', '1.00');
  await page.waitForSelector('tr:has(.badge:has-text("is now")):has-text("moon")');
  await rowOf('moon').waitFor();
  await screenshot(page, 'view-live-1440-light');
  await broker.kill();
  await page.waitForSelector('.live-state.lost');
  await broker.start();
  await give('mars', '2.00');
  await rowOf('mars').waitFor();
  await page.fill('input', "campaign = 'owls'");
  await page.click('button:has-text("Show")');
  await rowOf('mars').waitFor({state: 'detached'});
  await page.fill('input', 'no such column');
  await page.click('button:has-text("Show")');
  await page.waitForSelector('.notice.error');
});

test('a view with windows has a chart of each measure', async () => {
  await visit(page, '#/views/hourly');
  await page.waitForSelector('.chart-bar');
  const heights = () => page.locator('.chart-bar').evaluateAll((bars) =>
    bars.map((bar) => bar.getAttribute('height')).join());
  const gifts = await heights();
  await page.selectOption('main select', 'amount');
  await page.waitForSelector('[aria-label="amount by window_start"]');
  assert.notEqual(await heights(), gifts);
});

test('SQL: rows to the last digit, the plan, CSV, and where it went wrong', async () => {
  await visit(page, '#/sql');
  await run("SELECT 12345678901234567890.50 AS big, '<b>x</b>' AS text FROM totals LIMIT 1");
  await hasText('12345678901234567890.50');
  await hasText('<b>x</b>');
  await run('SELECT * FROM hourly', 'Explain');
  await hasText('reads view hourly');
  const saved = page.waitForEvent('download');
  await run('SELECT campaign, gifts FROM totals ORDER BY campaign', 'Download CSV');
  const csv = await readFile(await (await saved).path(), 'utf8');
  assert.match(csv, /^campaign,gifts\r?\nforest,80\r?\n/);
  await run('SELECT *\nFROM nowhere x y');
  await page.waitForSelector('.notice.error');
  assert.ok(await page.evaluate(() => document.activeElement.selectionStart) >= 9);
});

test('a view is made by SQL and dropped', async () => {
  await visit(page, '#/sql');
  await run('CREATE MATERIALIZED VIEW mine AS SELECT donor, count(*) AS n FROM facts GROUP BY donor');
  await page.waitForSelector('.notice.good');
  await visit(page, '#/views/mine');
  await page.click('button:has-text("Drop")');
  await page.click('dialog button:has-text("Drop view")');
  await page.waitForSelector('h1:has-text("Views")');
  await assert.rejects(broker.api('GET', '/views/mine'));
});
