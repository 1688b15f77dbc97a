"""Confluent's Python client and serializers against the broker's schema registry.

usage: checks.py ADDRESS     with the Python that has run.py's packages
"""
import json
import sys
import unittest
import uuid

import confluent_kafka
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

ADDRESS = sys.argv.pop()
PATIENCE_SECONDS = 30

PERSON = json.dumps({"title": "Person", "type": "object", "additionalProperties": False,
                     "properties": {"name": {"type": "string"}}, "required": ["name"]})
PERSON_AND_AGE = json.dumps({"title": "Person", "type": "object", "additionalProperties": False,
                             "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                             "required": ["name"]})
ORDER = json.dumps({"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "note", "type": ["null", "string"], "default": None}]})


def protobuf_messages(package):
    """Classes of PACKAGE.Ping, PACKAGE.Order and PACKAGE.Order.Line, without a compiler: Order has
    an Amount, which is another file's, and the time at which it was made."""
    field = descriptor_pb2.FieldDescriptorProto
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    money = descriptor_pb2.FileDescriptorProto(
        name=f"{package}/money.proto", package=package, syntax="proto3")
    money.message_type.add(name="Amount").field.add(
        name="cents", number=1, type=field.TYPE_SINT64, label=field.LABEL_OPTIONAL)
    pool.AddSerializedFile(money.SerializeToString())
    shop = descriptor_pb2.FileDescriptorProto(
        name=f"{package}/shop.proto", package=package, syntax="proto3",
        dependency=[money.name, timestamp_pb2.DESCRIPTOR.name])
    shop.message_type.add(name="Ping")
    order = shop.message_type.add(name="Order")
    order.nested_type.add(name="Line").field.add(
        name="sku", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    for number, (name, of, label) in enumerate((
            ("price", f".{package}.Amount", field.LABEL_OPTIONAL),
            ("at", ".google.protobuf.Timestamp", field.LABEL_OPTIONAL),
            ("lines", f".{package}.Order.Line", field.LABEL_REPEATED)), 1):
        order.field.add(name=name, number=number, type=field.TYPE_MESSAGE, type_name=of,
                        label=label)
    pool.AddSerializedFile(shop.SerializeToString())
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
            for name in ("Ping", "Order", "Order.Line")]


class Registry(unittest.TestCase):
    def setUp(self):
        self.client = SchemaRegistryClient({"url": f"http://{ADDRESS}"})
        self.topic = f"t-{uuid.uuid4().hex[:8]}"
        self.subject = f"{self.topic}-value"

    def code(self, call):
        with self.assertRaises(SchemaRegistryError) as raised:
            call()
        return raised.exception.http_status_code, raised.exception.error_code

    def round_trip(self, serialize, deserialize, values):
        """Through the broker, with Kafka's protocol on the same port."""
        context = SerializationContext(self.topic, MessageField.VALUE)
        producer = confluent_kafka.Producer({"bootstrap.servers": ADDRESS})
        for value in values:
            producer.produce(self.topic, serialize(value, context))
        self.assertEqual(producer.flush(PATIENCE_SECONDS), 0)
        consumer = confluent_kafka.Consumer({"bootstrap.servers": ADDRESS, "group.id": self.topic,
                                             "auto.offset.reset": "earliest"})
        consumer.subscribe([self.topic])
        got, raw = [], []
        while len(got) < len(values):
            message = consumer.poll(PATIENCE_SECONDS)
            self.assertIsNotNone(message)
            if message.error() is None:
                raw.append(message.value())
                got.append(deserialize(message.value(), context))
        consumer.close()
        self.assertEqual(got, values)
        return raw

    def test_json_values_and_a_schema_that_grows(self):
        old = JSONSerializer(PERSON, self.client)
        raw = self.round_trip(old, JSONDeserializer(PERSON, schema_registry_client=self.client),
                              [{"name": "Ann"}, {"name": "Bob"}])
        first = self.client.get_latest_version(self.subject)
        self.assertEqual(raw[0][:5], b"\0" + first.schema_id.to_bytes(4, "big"))
        new = JSONSerializer(PERSON_AND_AGE, self.client)
        new({"name": "Eve", "age": 7}, SerializationContext(self.topic, MessageField.VALUE))
        self.assertEqual(self.client.get_versions(self.subject), [1, 2])
        # Who has never seen the schema finds it by the id in the record.
        stranger = JSONDeserializer(None, schema_registry_client=SchemaRegistryClient(
            {"url": f"http://{ADDRESS}"}))
        self.assertEqual(stranger(raw[1], SerializationContext(self.topic, MessageField.VALUE)),
                         {"name": "Bob"})

    def test_avro_values(self):
        raw = self.round_trip(AvroSerializer(self.client, ORDER), AvroDeserializer(self.client),
                              [{"id": 1, "note": None}, {"id": 2**40, "note": "x"}])
        self.assertEqual(raw[0][0], 0)

    def test_protobuf_values_of_several_messages_and_files(self):
        package = f"p{uuid.uuid4().hex[:8]}"
        for message, value, indexes in zip(
                protobuf_messages(package),
                ({}, {"price": {"cents": -5}, "lines": [{"sku": "a"}]}, {"sku": "b"}),
                (b"\0", b"\2\2", b"\4\2\0")):
            raw = self.round_trip(
                ProtobufSerializer(message, self.client, {"use.deprecated.format": False}),
                ProtobufDeserializer(message, {"use.deprecated.format": False}, SchemaRegistryClient(
                    {"url": f"http://{ADDRESS}"})), [message(**value)] * 2)
            given = self.client.get_latest_version(self.subject)
            self.assertEqual(raw[0][:5 + len(indexes)],
                             b"\0" + given.schema_id.to_bytes(4, "big") + indexes)
            self.assertEqual([(r.name, r.subject) for r in given.schema.references],
                             [(f"{package}/money.proto", f"{package}/money.proto")])
            self.topic += "-next"
            self.subject = f"{self.topic}-value"

    def test_what_does_not_fit_is_refused_with_a_reason(self):
        self.client.register_schema(self.subject, Schema(PERSON, "JSON"))
        narrow = Schema(json.dumps({"type": "string"}), "JSON")
        self.assertFalse(self.client.test_compatibility(self.subject, narrow))
        self.assertTrue(self.client.test_compatibility(self.subject, Schema(PERSON_AND_AGE, "JSON")))
        self.assertEqual(self.code(lambda: self.client.register_schema(self.subject, narrow)),
                         (409, 409))
        self.assertEqual(self.code(lambda: self.client.register_schema(
            self.subject, Schema("{", "JSON"))), (422, 42201))
        self.assertEqual(self.client.get_versions(self.subject), [1])

    def test_look_up_and_ids(self):
        schema = Schema(PERSON, "JSON")
        given = self.client.register_schema(self.subject, schema, normalize_schemas=True)
        found = self.client.lookup_schema(self.subject, schema, normalize_schemas=True)
        self.assertEqual((found.schema_id, found.version, found.subject), (given, 1, self.subject))
        self.assertEqual(json.loads(self.client.get_schema(given).schema_str), json.loads(PERSON))
        self.assertEqual(self.code(lambda: self.client.lookup_schema(
            self.subject, Schema(PERSON_AND_AGE, "JSON"))), (404, 40403))
        self.assertIn(self.subject, self.client.get_subjects())
        self.assertEqual(self.client.get_version(self.subject, 1).schema_id, given)

    def test_levels_and_deletion(self):
        self.client.register_schema(self.subject, Schema(PERSON, "JSON"))
        self.client.set_compatibility(self.subject, level="NONE")
        self.assertEqual(self.client.get_compatibility(self.subject), "NONE")
        self.client.register_schema(self.subject, Schema('"int"'))
        self.assertEqual(self.client.delete_version(self.subject, 1), 1)
        self.assertEqual(self.client.delete_subject(self.subject), [2])
        self.assertEqual(self.code(lambda: self.client.get_versions(self.subject)), (404, 40401))
        self.assertEqual(self.client.delete_subject(self.subject, permanent=True), [1, 2])

    def test_references(self):
        name = f"Money{self.topic.replace('-', '')}"
        self.client.register_schema(name, Schema(json.dumps(
            {"type": "record", "name": name, "fields": [{"name": "cents", "type": "long"}]})))
        schema = Schema(json.dumps({"type": "record", "name": "Order", "fields": [
            {"name": "price", "type": name}]}), "AVRO", [SchemaReference(name, name, 1)])
        self.round_trip(AvroSerializer(self.client, schema), AvroDeserializer(self.client),
                        [{"price": {"cents": 1250}}])
        self.assertEqual(self.code(lambda: self.client.delete_subject(name)), (422, 42206))


if __name__ == "__main__":
    unittest.main()
