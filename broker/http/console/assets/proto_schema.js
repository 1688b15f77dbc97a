// Schemas of Protobuf as registries hold them: the text of a .proto file, or base64 of a compiled one
// (a FileDescriptorProto), as Python's serializers register it.
import {fromBase64} from './format.js';
import {Types, join, readProto} from './proto_text.js';
import {messageText} from './protobuf.js';

/** Files that serializers do not register, because every library has them. */
const KNOWN_FILES = [`syntax = "proto3"; package google.protobuf;
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message Duration { int64 seconds = 1; int32 nanos = 2; }
message Empty {}
message FieldMask { repeated string paths = 1; }
message Any { string type_url = 1; bytes value = 2; }
message SourceContext { string file_name = 1; }
message DoubleValue { double value = 1; }
message FloatValue { float value = 1; }
message Int64Value { int64 value = 1; }
message UInt64Value { uint64 value = 1; }
message Int32Value { int32 value = 1; }
message UInt32Value { uint32 value = 1; }
message BoolValue { bool value = 1; }
message StringValue { string value = 1; }
message BytesValue { bytes value = 1; }
message Struct { map<string, Value> fields = 1; }
message ListValue { repeated Value values = 1; }
enum NullValue { NULL_VALUE = 0; }
message Value { oneof kind { NullValue null_value = 1; double number_value = 2; string string_value = 3;
  bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }`,
`syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`,
`syntax = "proto3"; package google.type;
enum DayOfWeek { DAY_OF_WEEK_UNSPECIFIED = 0; MONDAY = 1; TUESDAY = 2; WEDNESDAY = 3; THURSDAY = 4;
  FRIDAY = 5; SATURDAY = 6; SUNDAY = 7; }
message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }
message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }
message LatLng { double latitude = 1; double longitude = 2; }
message Decimal { string value = 1; }
message Interval { google.protobuf.Timestamp start_time = 1; google.protobuf.Timestamp end_time = 2; }`];

/** What is looked at of a compiled file. */
const DESCRIPTOR = `syntax = "proto2";
message File { optional string package = 2; repeated string imports = 3; repeated Message messages = 4;
  repeated Enum enums = 5;
  repeated Field extensions = 7; optional string syntax = 12; optional Options options = 8; }
message Message { optional string name = 1; repeated Field fields = 2; repeated Message nested = 3;
  repeated Enum enums = 4; repeated Field extensions = 6; optional Options options = 7;
  repeated Oneof oneofs = 8; }
message Oneof { optional string name = 1; }
message Options { optional bool map_entry = 7; optional Features features = 50; }
message Field { optional string name = 1; optional string extendee = 2; required int32 number = 3;
  required int32 label = 4; required int32 type = 5; optional string type_name = 6;
  optional FieldOptions options = 8; optional int32 oneof_index = 9; optional bool proto3_optional = 17; }
message FieldOptions { optional Features features = 21; }
message Features { optional int32 field_presence = 1; }
message Enum { optional string name = 1; repeated Value values = 2; }
message Value { optional string name = 1; required int32 number = 2; }`;

const REPEATED = 3;
const REQUIRED = 2;
const IMPLICIT = 2;
/** FieldDescriptorProto.Type; a group, a message and an enum have names. */
const TYPES = ['', 'double', 'float', 'int64', 'uint64', 'int32', 'fixed64', 'fixed32', 'bool', 'string',
  '', '', 'bytes', 'uint32', '', 'sfixed32', 'sfixed64', 'sint32', 'sint64'];

function parsed(bytes) {
  const types = new Types();
  const [file] = readProto(DESCRIPTOR, types);
  return JSON.parse(messageText(bytes, file, types));
}

class Compiled {
  constructor(file, types) {
    Object.assign(this, {file, types});
  }

  presence({options, oneof_index: oneof, proto3_optional: optional}) {
    if (optional || oneof !== undefined) return true;
    if (!this.file.syntax || this.file.syntax === 'proto2') return true;
    const chosen = options?.features?.field_presence ?? this.file.options?.features?.field_presence;
    return this.file.syntax === 'editions' && chosen !== IMPLICIT;
  }

  field(one, scope) {
    return {name: one.name, number: one.number, type: TYPES[one.type] || one.type_name, scope, map: null,
      repeated: one.label === REPEATED, presence: this.presence(one)};
  }

  message(one, scope) {
    const name = join(scope, one.name);
    const nested = one.nested.map((inner) => this.message(inner, name));
    const message = {name, nested, fields: new Map(), isEntry: one.options?.map_entry ?? false};
    this.types.messages.set(name, message);
    const oneofs = new Map();
    for (const member of one.fields) {
      const field = this.field(member, name);
      const entry = nested.find((inner) => inner.isEntry && member.type_name === `.${inner.name}`);
      if (entry) {
        const [key, value] = [entry.fields.get(1), entry.fields.get(2)];
        Object.assign(field, {type: value.type, map: {key: key.type, value: value.type}});
      } else if (member.oneof_index !== undefined && !member.proto3_optional) {
        if (!oneofs.has(member.oneof_index)) oneofs.set(member.oneof_index, []);
        field.oneof = oneofs.get(member.oneof_index);
        field.oneof.push(field.number);
      }
      message.fields.set(field.number, field);
    }
    this.others(one, name);
    return message;
  }

  others({enums, extensions}, scope) {
    for (const {name, values} of enums) {
      const names = new Map();
      for (const value of values) if (!names.has(value.number)) names.set(value.number, value.name);
      this.types.enums.set(join(scope, name), names);
    }
    for (const one of extensions) this.types.addExtension(one.extendee, this.field(one, scope));
  }

  messages() {
    const scope = this.file.package ?? '';
    this.others(this.file, scope);
    return this.file.messages.map((one) => this.message(one, scope));
  }
}

/** No .proto file is base64: its definitions end with } or ;. */
export function isCompiled(text) {
  return /^[A-Za-z0-9+/\s]+=*\s*$/.test(text);
}

/** As readProto. */
function read(text, types) {
  if (!isCompiled(text)) return readProto(text, types);
  return new Compiled(parsed(fromBase64(text)), types).messages();
}

/** The lines of a message's fields; members of a oneof stand together. */
function fieldLines(one, file) {
  const lines = [];
  let within;
  for (const field of one.fields) {
    const entry = one.nested.find((inner) => inner.options?.map_entry &&
      field.type_name?.endsWith(`.${one.name}.${inner.name}`));
    const oneof = field.proto3_optional ? undefined : field.oneof_index;
    if (within !== undefined && within !== oneof) lines.push('}');
    if (oneof !== undefined && within !== oneof) lines.push(`oneof ${one.oneofs[oneof]?.name} {`);
    within = oneof;
    const typeOf = ({type, type_name: name}) => TYPES[type] || name.replace(/^\./, '');
    const label = field.label === REPEATED ? 'repeated ' : field.label === REQUIRED ? 'required ' :
      field.proto3_optional || (!file.syntax && oneof === undefined) ? 'optional ' : '';
    const type = entry ? `map<${entry.fields.map(typeOf).join(', ')}>` : label + typeOf(field);
    lines.push(`${oneof === undefined ? '' : '  '}${type} ${field.name} = ${field.number};`);
  }
  return within === undefined ? lines : [...lines, '}'];
}

function blockLines(one, file) {
  const enums = one.enums.map(({name, values}) => [`enum ${name} {`,
    ...values.map((value) => `  ${value.name} = ${value.number};`), '}']);
  const messages = (one.nested ?? one.messages).filter((inner) => !inner.options?.map_entry)
    .map((inner) => [`message ${inner.name} {`,
      ...[...fieldLines(inner, file), ...blockLines(inner, file)].map((line) => `  ${line}`), '}']);
  return [...enums, ...messages].flat();
}

/** The text that a compiled file was made of, near enough to be read: without comments, options,
    extensions and what is reserved. */
export function compiledText(text) {
  const file = parsed(fromBase64(text));
  return [`syntax = "${file.syntax ?? 'proto2'}";`, ...(file.package ? [`package ${file.package};`] : []),
    ...file.imports.map((name) => `import "${name}";`), ...blockLines(file, file)].join('\n');
}

/** What a schema defines: {messages, types}. `others`: texts of the schemas that it refers to. */
export function protoSchema(text, others = []) {
  const types = new Types();
  for (const other of others) read(other, types);
  const messages = read(text, types);
  for (const file of KNOWN_FILES) readProto(file, types);
  types.extend();
  return {messages, types};
}

/** The message that `indexes` lead to. */
export function messageAt({messages}, indexes) {
  let within = messages;
  let found;
  for (const index of indexes) {
    found = within[index];
    if (!found) throw new Error(`The schema has no message ${indexes.join('.')}.`);
    within = found.nested;
  }
  return found;
}
