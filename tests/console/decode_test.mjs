// How the console reads values by their schemas, without a browser. What Protobuf's bytes mean is said
// by protoc, which made them of protobuf/*.proto; the .base64 files are these compiled:
//   protoc -Iprotobuf --encode=shop.Order shop.proto < text | xxd -p
//   protoc -Iprotobuf --descriptor_set_out=... shop.proto money.proto, each file of it in base64
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {test} from 'node:test';

const asset = (name) => import(pathToFileURL(join(process.env.CONSOLE_ASSETS, name)));
const {compiledText, messageAt, protoSchema} = await asset('proto_schema.js');
const {messageIndexes, messageText} = await asset('protobuf.js');
const {avroText} = await asset('avro.js');

const file = (name) => readFileSync(new URL(`protobuf/${name}`, import.meta.url), 'utf8');
const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));

const SHOP = {text: protoSchema(file('shop.proto'), [file('money.proto')]),
  compiled: protoSchema(file('shop.proto.base64'), [file('money.proto.base64')])};
const ORDER = fromHex('08f9ffffffffffffffff0110ffffffffffffffffff011803200129d20a1feb8ca954ab35cdcccc3d' +
  '39000000000000f07f4202ff00480152040201d8045a150a0161121008ffffffffffffffffff0112030a01785a00620f0a03' +
  '45555212080a0345555210c3137202100a78008201008a0102080192010b08d0ed89d8061080e59a77');

function read(schema, indexes, hex) {
  return messageText(typeof hex === 'string' ? fromHex(hex) : hex, messageAt(schema, indexes), schema.types);
}

/** A schema of one file with the fields of one message. */
const one = (fields, more = '') => protoSchema(`syntax = "proto3"; message M { ${fields} } ${more}`);

for (const [kind, schema] of Object.entries(SHOP)) {
  test(`Protobuf: every type, by the ${kind} schema`, () => {
    assert.equal(read(schema, [1], ORDER), '{"id":-7,"big":18446744073709551615,"zig":-2,"paid":true,' +
      '"f64":12345678901234567890,"rate":0.1,"ratio":"Infinity","raw":"ff00","state":"PAID",' +
      '"packed":[1,-1,300],"lines":[{"sku":"a","notes":{"-1":{"text":"x"}}},{"sku":"","notes":{}}],' +
      '"prices":{"EUR":{"currency":"EUR","cents":-1250}},"cash":{"currency":"","cents":5},"maybe":0,' +
      '"ping":{},"parent":{"id":1,"big":0,"zig":0,"paid":false,"f64":0,"rate":0,"ratio":0,"raw":"",' +
      '"state":"UNKNOWN","packed":[],"lines":[],"prices":{}},"at":"2026-11-22T05:00:00.250Z"}');
  });
}

test('Protobuf: a record says which message it is', () => {
  assert.deepEqual(messageIndexes(fromHex('0008')), {indexes: [0], rest: fromHex('08')});
  assert.deepEqual(messageIndexes(fromHex('0602040a0807')).indexes, [1, 2, 5]);
  assert.equal(messageAt(SHOP.text, [0]).name, 'shop.Ping');
  assert.equal(messageAt(SHOP.text, [1, 0]).name, 'shop.Order.Line');
  // A compiled file has a map's entries among its messages, before those that stand behind the map.
  assert.equal(messageAt(SHOP.text, [1, 0, 0]).name, 'shop.Order.Line.Note');
  assert.equal(messageAt(SHOP.compiled, [1, 0, 1]).name, 'shop.Order.Line.Note');
  assert.throws(() => messageAt(SHOP.text, [2]), /no message 2\./);
  assert.throws(() => messageAt(SHOP.text, [1, 7]), /no message 1\.7\./);
  assert.throws(() => messageIndexes(fromHex('feffffff0f')), /which message/);
});

test('Protobuf: proto2 with groups, enums of several names, extensions', () => {
  const old = protoSchema(file('old.proto'));
  assert.equal(read(old, [0], '08011b08051c200120fdffffffffffffffff01a206016d'),
    '{"id":1,"inner":{"x":5},"e":["A","NEG"],"[more]":"m"}');
  assert.equal(read(old, [0], '0801'), '{"id":1,"e":[]}');
});

test('Protobuf: editions say what is absent', () => {
  const schema = protoSchema('edition = "2023"; option features.field_presence = IMPLICIT; ' +
    'message M { int32 a = 1; int32 b = 2 [features.field_presence = EXPLICIT]; }');
  assert.equal(read(schema, [0], ''), '{"a":0}');
});

test('Protobuf: what comes twice, unpacked, of a oneof or unknown', () => {
  const schema = one('int32 a = 1; M m = 2; repeated int32 n = 3; oneof o { int32 x = 4; M y = 5; }');
  const m = '"a":0,"n":[]';
  assert.equal(read(schema, [0], '08010802'), '{"a":2,"n":[]}');
  assert.equal(read(schema, [0], '1202200112021805'), `{"a":0,"m":{"a":0,"n":[5],"x":1},"n":[]}`);
  assert.equal(read(schema, [0], '18011a020203'), '{"a":0,"n":[1,2,3]}');
  assert.equal(read(schema, [0], '2a0020012a00'), `{${m},"y":{${m}}}`);
  assert.equal(read(schema, [0], '2a002001'), `{${m},"x":1}`);
  assert.equal(read(schema, [0], '48079a01020aff'), `{${m},"9":7,"19":"0aff"}`);
});

test('Protobuf: messages with a form of their own', () => {
  const p = 'google.protobuf';
  const of = (type, hex) => read(one(`${type} f = 1;`), [0],
    `0a${(hex.length / 2).toString(16).padStart(2, '0')}${hex}`);
  assert.equal(of(`${p}.Duration`, '08ffffffffffffffffff011080b29bb2fdffffffff01'), '{"f":"-1.700s"}');
  assert.equal(of(`${p}.Int64Value`, ''), '{"f":0}');
  assert.equal(of(`${p}.StringValue`, '0a0178'), '{"f":"x"}');
  assert.equal(of(`${p}.Struct`, '0a0d0a0161120832060a0208000a00'), '{"f":{"a":[null,null]}}');
  assert.equal(of(`${p}.Any`, '0a03782f4d1200'), '{"f":{"@type":"x/M","value":{}}}');
  assert.equal(of('confluent.type.Decimal', '0a0204e21802'), '{"f":12.50}');
  assert.equal(of(`${p}.Timestamp`, '08ffffffffffffffff7f'), '{"f":{"seconds":9223372036854775807,"nanos":0}}');
  assert.equal(of('of.a.file.not.There', '0801'), '{"f":"0801"}');
  // Names that every object has are only names.
  const named = one('constructor f = 1; toString g = 2;',
    'message constructor {} enum toString { valueOf = 0; }');
  assert.equal(read(named, [0], '0a00'), '{"f":{},"g":"valueOf"}');
});

test('Protobuf: what cannot be read says why', () => {
  const schema = one('int32 a = 1; string s = 2; M m = 3; repeated M r = 4;');
  for (const [hex, why] of [['08', /end too early/], ['1205', /end too early/], ['0a0100', /a is not what/],
    ['1001', /s is not what/], ['00', /number 0/], ['0c', /group ends/], ['0b', /end too early/],
    ['0b14', /group ends/], ['0f', /wire type 7/], ['08ffffffffffffffffffff01', /too many bytes/],
    ['1a808080808080808001', /end too early/]]) {
    assert.throws(() => read(schema, [0], hex), why, hex);
  }
  let deep = [];
  for (let i = 0; i < 100; ++i) {
    deep = [0x1a, ...(deep.length < 128 ? [deep.length] : [deep.length & 127 | 128, deep.length >> 7]), ...deep];
  }
  assert.throws(() => read(schema, [0], Uint8Array.from(deep)), /too many values/);
  const many = new Uint8Array(400000).map((_, i) => (i % 2 ? 0 : 0x22));
  assert.throws(() => read(schema, [0], many), /too many values/);
  for (let i = 1; i < ORDER.length; ++i) {
    try {
      JSON.parse(read(SHOP.text, [1], ORDER.subarray(0, i)));
    } catch (error) {
      assert.match(error.message, /end too early|group/, String(i));
    }
  }
});

test('Protobuf: a schema that is none says so', () => {
  for (const [text, why] of [['enum E { A', /ends too early/], ['message M {', /ends too early/],
    ['{', /does not begin a definition/], ['message M { int32 a 1; }', /'1' where '=' belongs/],
    ['message M {'.repeat(100), /within each other/], ['/* message M {}', /does not begin/]]) {
    assert.throws(() => protoSchema(text), why, text);
  }
});

test('Protobuf: a compiled file is shown as text that means the same', () => {
  const text = compiledText(file('shop.proto.base64'));
  assert.match(text, /^syntax = "proto3";\npackage shop;\nimport "google\/protobuf\/timestamp.proto";\n/);
  assert.match(text, /\n {4}map<int32, shop.Order.Line.Note> notes = 2;\n {4}message Note \{\n {6}string text = 1;\n/);
  assert.match(text, /\n {2}oneof how \{\n {4}string card = 13;\n {4}money.Amount cash = 14;\n {2}\}\n/);
  const again = protoSchema(text, [file('money.proto')]);
  assert.equal(read(again, [1], ORDER), read(SHOP.text, [1], ORDER));
});

test('Avro: numbers to their last digit, and no longer than they are', () => {
  const schema = {type: 'record', name: 'R', fields: [{name: 'f', type: 'float'}, {name: 'd', type: 'double'},
    {name: 'm', type: {type: 'bytes', logicalType: 'decimal', scale: 2}}]};
  assert.equal(avroText(fromHex('cdcccc3d9a9999999999b93f0404e2'), schema), '{"f":0.1,"d":0.1,"m":12.50}');
});
