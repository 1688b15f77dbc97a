// What the pages show in the tests.
import {readFileSync} from 'node:fs';

export const SCRIPT = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">';
export const RTL = 'abc\u202e\u202dgnp.exe שלום عربى';
export const HOSTILE_GROUP = `"><b>${SCRIPT}</b>`;

/** Orders that look like somebody's, the same each time. */
function orders(count) {
  const names = ['ann', 'bob', 'cleo', 'dan', 'eve', 'fay', 'gus', 'hal', 'ida', 'jon', 'kim'];
  return Array.from({length: count}, (_, i) => JSON.stringify({id: `o-${i}`, customer: names[i % 11],
    amount: 'AMOUNT', paid: i % 3 === 0, items: [{sku: `s-${i % 7}`, n: 1 + i % 4}]})
    .replace('"AMOUNT"', `${(i * 37) % 900}.50`)).map((value, i) =>
    `{"key":"${names[i % 11]}","value":${value},"headers":{"trace":"${(i * 7919).toString(16)}"}}`);
}

export async function seed(broker) {
  await broker.api('POST', '/topics', {name: 'orders', partitions: 3,
    configs: {'retention.ms': '604800000'}});
  for (const name of ['donations', 'page-views', 'audit', 'payments.settled', 'emails.outbox', 'empty']) {
    await broker.api('POST', '/topics', {name, partitions: name === 'page-views' ? 6 : 1});
  }
  await broker.api('POST', '/topics/orders/records', `[${orders(400).join(',')}]`);
  await broker.api('POST', '/topics/page-views/records', `[${orders(900).join(',')}]`);
  await broker.api('POST', '/topics/audit/records', `[${orders(40).join(',')}]`);
  await broker.api('PUT', '/groups/billing/offsets', {offsets: [{topic: 'orders', to: '-60'}]});
  await broker.api('PUT', '/groups/warehouse/offsets', {offsets: [{topic: 'orders', to: 'end'}]});
  await broker.api('PUT', `/groups/${encodeURIComponent(HOSTILE_GROUP)}/offsets`,
    {offsets: [{topic: 'audit', to: 'start'}]});
}

/** Everything that a payload can do to a page. One partition, so that the order is known. */
export async function seedHostile(broker) {
  await broker.api('POST', '/topics', {name: 'hostile', partitions: 1,
    configs: {'max.message.bytes': '4000000'}});
  const records = [
    {key: SCRIPT, value: {html: SCRIPT}, headers: {[SCRIPT]: SCRIPT}},
    {key: RTL, text: RTL, headers: {rtl: RTL}},
    {key: 'invalid utf-8', base64: Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x80]).toString('base64')},
    {key: 'long', text: 'x'.repeat(1 << 20)},
    {key: 'controls', text: 'a\u0000b\u0007c\u001b[31m'},
    {key: null, value: null},
    {key: 'prototype', value: JSON.parse('{"__proto__": {"hacked": 1}, "constructor": null}')},
  ];
  await broker.api('POST', '/topics/hostile/records', records);
  await broker.api('POST', '/topics/hostile/records',
    '{"key":"exact","value":{"big":12345678901234567890,"money":12.50}}');
}

/** A source on donations, a view of totals and one of windows. */
export async function seedViews(broker) {
  const donations = Array.from({length: 240}, (_, i) => ({key: `k${i % 9}`, value: {
    campaign: ['sea', 'owls', 'forest'][i % 3], donor: `d${i % 50}`, amount: `${5 + (i * 13) % 90}.50`,
    at: new Date(Date.UTC(2026, 10, 20, 18) + ((i * i) % 86400) * 2000).toISOString()}}));
  await broker.api('POST', '/topics/donations/records', donations);
  await broker.api('POST', '/sql', {sql: `
    CREATE SOURCE facts (campaign VARCHAR NOT NULL, donor VARCHAR, amount DECIMAL(12,2) NOT NULL,
      at TIMESTAMPTZ NOT NULL, WATERMARK FOR at AS at - INTERVAL '9 days')
      ON TOPIC 'donations' FORMAT JSON;
    CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS gifts, sum(amount) AS raised,
      count(DISTINCT donor) AS donors FROM facts GROUP BY campaign;
    CREATE MATERIALIZED VIEW hourly AS SELECT campaign, window_start, count(*) AS gifts,
      sum(amount) AS amount FROM TUMBLE(facts, at, INTERVAL '1 hour') GROUP BY campaign, window_start;`});
}

const ORDER = {type: 'record', name: 'Order', fields: [{name: 'id', type: 'string'},
  {name: 'amount', type: {type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2}},
  {name: 'at', type: {type: 'long', logicalType: 'timestamp-millis'}},
  {name: 'note', type: ['null', 'string'], default: null}]};

// As the .proto file says it, and protoc's bytes of one of its Orders.
const MONEY = 'syntax = "proto3";\npackage money;\n\nmessage Amount {\n  string currency = 1;\n' +
  '  sint64 cents = 2;\n}\n';
const SHOP = `syntax = "proto3";
package shop;

import "google/protobuf/timestamp.proto";
import "money.proto";

message Ping {}

message Order {
  string id = 1;
  money.Amount amount = 2;
  repeated string skus = 3;
  State state = 4;
  google.protobuf.Timestamp at = 5;

  enum State {
    UNKNOWN = 0;
    PAID = 1;
  }
}
`;
const SHOP_ORDER = '0a036f2d3112080a034555521088271a03732d311a03732d3220012a0608d0ed89d806';

/** A record as a serializer writes it: a zero byte, the schema's id, what it describes. */
function framed(id, payload) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, payload]).toString('base64');
}

const text = (what) => Buffer.concat([Buffer.from([2 * Buffer.byteLength(what)]), Buffer.from(what)]);

/** Subjects of each type, and a topic with a record of each, one of no schema, and one that is cut off. */
export async function seedSchemas(broker) {
  const register = async (subject, schemaType, schema, references = []) => (await broker.ask('POST',
    `/subjects/${subject}/versions`, {schemaType, references,
      schema: typeof schema === 'string' ? schema : JSON.stringify(schema)})).id;
  await register('sold-value', 'AVRO', {...ORDER, fields: ORDER.fields.slice(0, 3)});
  const avro = await register('sold-value', 'AVRO', ORDER);
  const json = await register('sold-key', 'JSON', {type: 'object', properties: {n: {type: 'integer'}}});
  await register(encodeURIComponent(HOSTILE_GROUP), 'JSON', {title: SCRIPT});
  await register('money.proto', 'PROTOBUF', MONEY);
  const protobuf = await register('shipped-value', 'PROTOBUF', SHOP,
    [{name: 'money.proto', subject: 'money.proto', version: 1}]);
  await register('compiled-value', 'PROTOBUF',
    readFileSync(new URL('protobuf/shop.proto.base64', import.meta.url), 'utf8'));
  // The second message of its file.
  await broker.api('POST', '/topics', {name: 'shipped', partitions: 1});
  await broker.api('POST', '/topics/shipped/records', [
    {key: 'protobuf', base64: framed(protobuf, Buffer.from(`0202${SHOP_ORDER}`, 'hex'))},
    {key: 'first', base64: framed(protobuf, Buffer.from('00', 'hex'))},
    {key: 'no such message', base64: framed(protobuf, Buffer.from('0212', 'hex'))},
    {key: 'cut', base64: framed(protobuf, Buffer.from('02020a', 'hex'))}]);
  const order = Buffer.concat([text('o-1'), Buffer.from([4, 0x04, 0xe2]),  // 12.50
    Buffer.from([0x80, 0xd2, 0xc4, 0xcc, 0xd4, 0x66]), Buffer.from([2]), text(SCRIPT.slice(0, 8))]);
  await broker.api('POST', '/topics', {name: 'sold', partitions: 1});
  await broker.api('POST', '/topics/sold/records', [
    {key: 'avro', base64: framed(avro, order)},
    {key: 'json', base64: framed(json, Buffer.from('{"n": 12345678901234567890}'))},
    {key: 'unknown', base64: framed(999, Buffer.from('x'))},
    {key: 'cut', base64: framed(avro, order.subarray(0, 6))}]);
}

/** A replay that ended, an erasure, and an idempotent producer. */
export async function seedJobs(broker) {
  await broker.api('POST', '/topics', {name: 'replayed', partitions: 3});
  await broker.run('replay', 'orders', '--into', 'replayed', '--name', 'nightly');
  await broker.run('erase', 'audit', '--key', 'ann', '--id', 'gdpr-17');
  await broker.run('produce', 'emails.outbox');
}
