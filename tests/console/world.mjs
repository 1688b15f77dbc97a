// What every file of tests has: one broker with what was put there, one browser, and for each test a
// page. A file of tests is a process of its own.
import {after, afterEach, before, beforeEach} from 'node:test';
import {Broker} from './broker.mjs';
import {launch, open} from './browser.mjs';

// Set when the tests run.
export let broker;
export let browser;
export let page;

/** `seeds` fill the broker, one after the other. */
export function begin(...seeds) {
  before(async () => {
    broker = await new Broker().start();
    for (const seed of seeds) await seed(broker);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await broker?.remove();
  });
}

/** A page of its own for each test. */
export function beginWithPage(...seeds) {
  begin(...seeds);
  beforeEach(async () => { page = await open(browser, `${broker.url}/`); });
  afterEach(() => page.context().close());
}

/** Until the page's content has this text. */
export const hasText = (text) => page.waitForFunction((what) =>
  document.querySelector('main').textContent.includes(what), text);
