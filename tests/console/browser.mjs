// Chromium, and what every page has to fulfil.
import assert from 'node:assert/strict';
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const require = createRequire(join(process.env.CONSOLE_MODULES, 'package.json'));
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const screenshots = process.env.CONSOLE_SCREENSHOTS;

export function launch() {
  mkdirSync(screenshots, {recursive: true});
  return chromium.launch({executablePath: process.env.CONSOLE_CHROMIUM, args: ['--no-sandbox']});
}

/** A page whose errors fail the test: what is said on the console, and what the policy refused. */
export async function open(browser, url, {width = 1440, height = 900, theme = 'light', errors = []} = {}) {
  const context = await browser.newContext({viewport: {width, height}, colorScheme: theme,
    reducedMotion: 'reduce'});
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  // Scripts that are added so are not under the page's policy, which refuses all others.
  await context.addInitScript(axe);
  const page = await context.newPage();
  page.errors = errors;
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`);
  });
  await page.goto(url);
  await page.waitForSelector('main h1');
  return page;
}

/** Goes to a page of the console and waits until it is there. */
export async function visit(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.waitForSelector('main h1');
  await settled(page);
}

/** Until nothing is asked for any more. Live streams aside. */
export async function settled(page) {
  await page.waitForFunction(() => !document.body.textContent.includes('Searching…'));
  await page.waitForTimeout(350);  // rates and sparklines; only pictures depend on it
}

export async function checkAccessibility(page, what) {
  const found = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
  const told = found.violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.slice(0, 4).map((n) =>
    `    ${n.html.slice(0, 200)}\n    ${n.failureSummary}`).join('\n')}`);
  assert.deepEqual(told, [], `${what}:\n${told.join('\n')}`);
}

/** Nothing sticks out of the window: tables scroll within their frames. */
export async function checkWidth(page, what) {
  const [needed, there] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needed <= there, `${what} is ${needed} pixels wide and has ${there}`);
}

export function screenshot(page, name) {
  return page.screenshot({path: join(screenshots, `${name}.png`)});
}
