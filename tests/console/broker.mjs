// A real broker for the console's tests, which can be killed and started again on its data and port.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const binary = process.env.RUNNEL_BINARY;
// Without RUNNEL_*, which would change what is tested.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('RUNNEL_')));

/** Resolves with the match of the first line of `stream` that `pattern` fits. */
function lineOf(stream, pattern, child) {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (piece) => {
      text += piece;
      const found = pattern.exec(text);
      if (found) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`the broker ended with ${code}:\n${text}`)));
  });
}

export class Broker {
  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'runnel-console-'));
    this.listen = '127.0.0.1:0';
  }

  async start() {
    this.child = spawn(binary, ['serve', '--data', this.directory, '--listen', this.listen],
      {stdio: ['ignore', 'ignore', 'pipe'], env: environment});
    const [, address] = await lineOf(this.child.stderr, /listening on (\S+)/, this.child);
    this.listen = address;
    this.url = `http://${address}`;
    return this;
  }

  /** kill -9, and its end. */
  async kill() {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }

  async remove() {
    await this.kill();
    rmSync(this.directory, {recursive: true});
  }

  /** One of runnel's commands, which the caller ends. */
  begin(...words) {
    return spawn(binary, words, {stdio: ['pipe', 'pipe', 'ignore'],
      env: {...environment, RUNNEL_BROKER: this.listen}});
  }

  /** One of runnel's commands, to its end. */
  async run(...words) {
    const child = this.begin(...words);
    child.stdout.resume();
    child.stdin.end('1\n');
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`runnel ${words.join(' ')} ended with ${code}`);
  }

  api(method, path, body) {
    return this.ask(method, `/api/v1${path}`, body);
  }

  /** The same with a whole path; the schema registry has its own. */
  async ask(method, path, body) {
    const response = await fetch(`${this.url}${path}`, {method,
      headers: body === undefined ? {} : {'Content-Type': 'application/json'},
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)});
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }
}
