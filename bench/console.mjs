// How long the console takes, in a Chromium on the same machine: first load, ten thousand topics, the
// oldest record of a large topic. Run by console.py. Times are the page's own: from the address to
// what is to be seen.
import {Broker} from '../tests/console/broker.mjs';
import {launch} from '../tests/console/browser.mjs';

const ROUNDS = Number(process.env.CONSOLE_ROUNDS);
const TOPICS = 10000;
const RECORD_BYTES = 1024;
const LARGE_MB = Number(process.env.CONSOLE_LARGE_MB);

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** A page that nothing of is kept, with the time at which its first heading was there. */
async function fresh(browser, url) {
  const context = await browser.newContext({viewport: {width: 1440, height: 900}});
  await context.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector('main h1')) return;
      window.usableAt = performance.now();
      observer.disconnect();
    }).observe(document, {childList: true, subtree: true});
  });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => window.usableAt !== undefined);
  return page;
}

async function firstLoad(browser, url) {
  const page = await fresh(browser, url);
  await page.waitForSelector('.badge:has-text("Ready")');
  const found = await page.evaluate(() => {
    const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      .filter((e) => !/\/api\/|\/readyz|\/livez|\/metrics/.test(e.name));
    return {files: loaded.length, bytes: loaded.reduce((sum, e) => sum + e.transferSize, 0),
      paint: performance.getEntriesByName('first-contentful-paint')[0].startTime, usable: window.usableAt};
  });
  await page.context().close();
  return found;
}

/** First paint of a page of one line from the same broker: what the browser itself takes. */
async function floor(browser, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${url}/livez`);
  const at = await page.waitForFunction(() =>
    performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  const value = await at.jsonValue();
  await context.close();
  return value;
}

/** Milliseconds from going to `hash` until `selector` is there with `text`. */
function goTo(page, hash, selector, text) {
  return page.evaluate(([to, what, wanted]) => new Promise((resolve) => {
    const begun = performance.now();
    const look = () => {
      const there = Array.from(document.querySelectorAll(what));
      if (there.some((one) => one.textContent.includes(wanted))) resolve(performance.now() - begun);
      else requestAnimationFrame(look);
    };
    location.hash = to;
    requestAnimationFrame(look);
  }), [hash, selector, text]);
}

async function rounds(work) {
  const out = [];
  for (let i = 0; i < ROUNDS; ++i) out.push(await work(i));
  return out;
}

const broker = await new Broker().start();
const browser = await launch();
const say = (what, value) => console.log(`${what.padEnd(52)} ${value}`);
const millis = (values) => `${median(values).toFixed(0)} ms (${Math.min(...values).toFixed(0)} to ${
  Math.max(...values).toFixed(0)})`;
try {
  await firstLoad(browser, broker.url);  // the browser's own start
  const loads = await rounds(() => firstLoad(browser, broker.url));
  say('First load', `${loads[0].files} files, ${(loads[0].bytes / 1024).toFixed(1)} KiB over the wire`);
  say('A page of one line: first paint', millis(await rounds(() => floor(browser, broker.url))));
  say('First paint with content', millis(loads.map((l) => l.paint)));
  say('Usable: the page with its figures', millis(loads.map((l) => l.usable)));

  await broker.run('bench', 'produce', '--topic', 'large', '--keep', '--records',
    String(Math.ceil(LARGE_MB * 1e6 / RECORD_BYTES)), '--record-size', String(RECORD_BYTES));
  const page = await fresh(browser, broker.url);
  const oldest = await rounds(async (i) => {
    await goTo(page, '#/topics', 'h1', 'Topics');
    return goTo(page, `#/topics/large/messages?at=oldest&round=${i}`, '.record-row', '');
  });
  say(`Oldest record of a topic of ${LARGE_MB} MB`, millis(oldest));

  const name = (i) => `topic-${String(i).padStart(5, '0')}`;
  for (let i = 0; i < TOPICS; i += 200) {
    await Promise.all(Array.from({length: 200}, (_, k) => broker.api('POST', '/topics', {name: name(i + k)})));
  }
  const list = await rounds(async () => {
    await goTo(page, '#/settings', 'h1', 'Settings');
    return goTo(page, '#/topics', 'tbody tr', name(0));
  });
  say(`${TOPICS} topics: the first page of them`, millis(list));
  const one = await rounds(async (i) => {
    await goTo(page, '#/settings', 'h1', 'Settings');
    return goTo(page, `#/topics/${name(9000 + i)}`, '.empty', 'No records here');
  });
  say(`${TOPICS} topics: one of them`, millis(one));
  const many = await rounds(() => firstLoad(browser, broker.url));
  say(`${TOPICS} topics: usable after a first load`, millis(many.map((l) => l.usable)));
} finally {
  await browser.close();
  await broker.remove();
}
