// Confluent's JavaScript client and serializers against the broker's schema registry.
//
// usage: ADDRESS=… node --test checks.mjs     where @confluentinc/schemaregistry and kafkajs are installed
import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {test} from 'node:test';

const require = createRequire(join(process.env.MODULES, 'package.json'));
const {AvroDeserializer, AvroSerializer, JsonDeserializer, JsonSerializer, ProtobufDeserializer,
  ProtobufSerializer, SchemaRegistryClient, SerdeType} = require('@confluentinc/schemaregistry');
const {Kafka, logLevel} = require('kafkajs');
const {create, createFileRegistry, createMutableRegistry} = require('@bufbuild/protobuf');
const wkt = require('@bufbuild/protobuf/wkt');

const address = process.env.ADDRESS;
const kafka = new Kafka({brokers: [address], logLevel: logLevel.ERROR});

/** Each one has caches of its own. */
const newClient = () => new SchemaRegistryClient({baseURLs: [`http://${address}`], cacheCapacity: 100});
const client = newClient();
const newTopic = () => `t-${randomUUID().slice(0, 8)}`;

/** Through the broker, with Kafka's protocol on the same port. The bytes that were stored. */
async function roundTrip(topic, serializer, deserializer, values) {
  const producer = kafka.producer();
  await producer.connect();
  const messages = [];
  for (const value of values) messages.push({value: await serializer.serialize(topic, value)});
  await producer.send({topic, messages});
  await producer.disconnect();
  const consumer = kafka.consumer({groupId: topic});
  await consumer.connect();
  await consumer.subscribe({topic, fromBeginning: true});
  const raw = [];
  await new Promise((resolve) => {
    consumer.run({eachMessage: async ({message}) => {
      raw.push(message.value);
      if (raw.length === values.length) resolve();
    }});
  });
  await consumer.disconnect();
  const got = [];
  for (const bytes of raw) got.push(await deserializer.deserialize(topic, bytes));
  assert.deepEqual(JSON.stringify(got, plain), JSON.stringify(values, plain));
  return raw;
}

const plain = (_, value) => (typeof value === 'bigint' ? `${value}n` : value);

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return [error.status, error.errorCode];
  }
  return null;
}

test('Avro: values, and a schema that grows', async () => {
  const topic = newTopic();
  const fields = [{name: 'id', type: 'long'}];
  const order = () => ({schemaType: 'AVRO', schema: JSON.stringify({type: 'record', name: 'Order', fields})});
  const first = await client.register(`${topic}-value`, order());
  const raw = await roundTrip(topic, new AvroSerializer(client, SerdeType.VALUE, {useLatestVersion: true}),
    new AvroDeserializer(newClient(), SerdeType.VALUE, {}), [{id: 1}, {id: 2 ** 40}]);
  assert.deepEqual([raw[0][0], raw[0].readInt32BE(1)], [0, first]);
  fields.push({name: 'city', type: 'string'});
  assert.equal(await client.testSubjectCompatibility(`${topic}-value`, order()), false);
  assert.deepEqual(await refusal(client.register(`${topic}-value`, order())), [409, 409]);
  fields[1].default = '';
  assert.notEqual(await client.register(`${topic}-value`, order()), first);
  assert.deepEqual(await client.getAllVersions(`${topic}-value`), [1, 2]);
});

test('JSON Schema: values, references, and what does not fit', async () => {
  const topic = newTopic();
  await client.register(`${topic}-money`, {schemaType: 'JSON',
    schema: JSON.stringify({type: 'object', properties: {cents: {type: 'integer'}}, required: ['cents']})});
  const references = [{name: 'money.json', subject: `${topic}-money`, version: 1}];
  const schema = (more) => ({schemaType: 'JSON', references, schema: JSON.stringify({type: 'object',
    properties: {price: {$ref: 'money.json'}, ...more}, required: ['price'], additionalProperties: false})});
  await client.register(`${topic}-value`, schema({}));
  const serializer = new JsonSerializer(client, SerdeType.VALUE, {useLatestVersion: true, validate: true});
  await roundTrip(topic, serializer, new JsonDeserializer(newClient(), SerdeType.VALUE, {validate: true}),
    [{price: {cents: 5}}, {price: {cents: -7}}]);
  await assert.rejects(serializer.serialize(topic, {price: {cents: 'many'}}));
  await client.register(`${topic}-value`, schema({note: {type: 'string'}}));
  const refused = (text) => refusal(client.register(`${topic}-value`, {schemaType: 'JSON', schema: text}));
  assert.deepEqual(await refused('{"type":"string"}'), [409, 409]);
  assert.deepEqual(await refused('{'), [422, 42201]);
  assert.deepEqual(await refusal(client.deleteSubject(`${topic}-money`)), [422, 42206]);
});

/** What a compiler would make of money.proto and shop.proto; Order is the second message there. */
function protobufFiles(name) {
  const {FieldDescriptorProto_Label: label, FieldDescriptorProto_Type: type} = wkt;
  const money = {name: `${name}/money.proto`, package: name, syntax: 'proto3', messageType: [{name: 'Amount',
    field: [{name: 'cents', number: 1, type: type.SINT64, label: label.OPTIONAL, jsonName: 'cents'}]}]};
  const shop = {name: `${name}/shop.proto`, package: name, syntax: 'proto3', dependency: [money.name],
    messageType: [{name: 'Ping'}, {name: 'Order', field: [
      {name: 'id', number: 1, type: type.STRING, label: label.OPTIONAL, jsonName: 'id'},
      {name: 'price', number: 2, type: type.MESSAGE, typeName: `.${name}.Amount`, label: label.OPTIONAL,
        jsonName: 'price'}]}]};
  return createFileRegistry(create(wkt.FileDescriptorSetSchema, {file: [money, shop]}));
}

test('Protobuf: values of several messages and files', async () => {
  const topic = newTopic();
  const name = `p${topic.slice(2)}`;
  const files = protobufFiles(name);
  const order = files.getMessage(`${name}.Order`);
  const registry = createMutableRegistry(order, files.getMessage(`${name}.Amount`));
  const raw = await roundTrip(topic,
    new ProtobufSerializer(client, SerdeType.VALUE, {autoRegisterSchemas: true, registry}),
    new ProtobufDeserializer(newClient(), SerdeType.VALUE, {}),
    [create(order, {id: 'a', price: {cents: -5n}}), create(order, {id: 'b'})]);
  assert.deepEqual([...raw[0].subarray(5, 7)], [2, 2]);
  const {references} = await client.getLatestSchemaMetadata(`${topic}-value`);
  assert.deepEqual(references, [{name: `${name}/money.proto`, subject: `${name}/money.proto`, version: 1}]);
});
