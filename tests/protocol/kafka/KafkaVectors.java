// Prints random messages as Apache Kafka's own classes write them, one a line:
//   KEY VERSION request|response HEX      (HEX is - if the message is empty)
// Arguments: SEED, messages per API, version and side. Needs kafka-clients on the class path.
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.utils.ByteUtils;

public class KafkaVectors {
  static Random random;

  public static void main(String[] args) {
    random = new Random(Long.parseLong(args[0]));
    int count = Integer.parseInt(args[1]);
    StringBuilder out = new StringBuilder();
    for (ApiMessageType api : ApiMessageType.values()) {
      print(out, api, "request", api.requestSchemas(), count);
      print(out, api, "response", api.responseSchemas(), count);
    }
    System.out.print(out);
  }

  static void print(StringBuilder out, ApiMessageType api, String side, Schema[] schemas,
                    int count) {
    for (short version = 0; version < schemas.length; version++) {
      if (schemas[version] == null) continue;
      for (int i = 0; i < count; i++) {
        try {
          String hex = HexFormat.of().formatHex(message(api, side, schemas[version], version));
          out.append(api.apiKey()).append(' ').append(version).append(' ').append(side)
              .append(' ').append(hex.isEmpty() ? "-" : hex).append('\n');
        } catch (RuntimeException e) {
          // Schemas of releases before 4.0 lack the first byte of structs that may be null.
          System.err.println(api + " v" + version + " " + side + " left out: " + e.getMessage());
        }
      }
    }
  }

  static byte[] message(ApiMessageType api, String side, Schema schema, short version) {
    ByteBuffer filled = ByteBuffer.allocate(1 << 20);
    struct(schema).writeTo(filled);
    filled.flip();
    // Read and write again: leaves out tagged fields that have their default.
    ApiMessage message = side.equals("request") ? api.newRequest() : api.newResponse();
    message.read(new ByteBufferAccessor(filled), version);
    ObjectSerializationCache cache = new ObjectSerializationCache();
    ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, version));
    message.write(new ByteBufferAccessor(bytes), cache, version);
    return bytes.array();
  }

  static Struct struct(Schema schema) {
    Struct struct = new Struct(schema);
    for (BoundField field : schema.fields()) struct.set(field, value(field.def.type));
    return struct;
  }

  static Object value(Type type) {
    if (type.isNullable() && random.nextInt(4) == 0) return null;
    if (type instanceof TaggedFields) return tags((TaggedFields) type);
    if (type.isArray()) {
      List<Object> list = new ArrayList<>();
      for (int n = random.nextInt(4); n > 0; n--) list.add(value(type.arrayElementType().get()));
      return list.toArray();
    }
    if (type instanceof Schema) return struct((Schema) type);
    switch (type.toString().replace("COMPACT_", "").replace("NULLABLE_", "")) {
      case "BOOLEAN": return random.nextBoolean();
      case "INT8": return (byte) random.nextInt();
      case "INT16": return (short) random.nextInt();
      case "UINT16": return random.nextInt() & 0xffff;
      case "INT32": return random.nextInt();
      case "UINT32": return random.nextInt() & 0xffffffffL;
      case "INT64": return random.nextLong();
      case "FLOAT64": return random.nextDouble();
      case "UUID": return new Uuid(random.nextLong(), random.nextLong());
      case "STRING": return text();
      case "BYTES": return ByteBuffer.wrap(text().getBytes());
      case "RECORDS": return records(type, text().getBytes());
      default: throw new IllegalArgumentException("type " + type + " " + type.getClass());
    }
  }

  /// Made by reading, for the class is not in the same package in all releases.
  static Object records(Type type, byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.allocate(bytes.length + 5);
    if (type.toString().startsWith("COMPACT")) {
      ByteUtils.writeUnsignedVarint(bytes.length + 1, buffer);
    } else {
      buffer.putInt(bytes.length);
    }
    buffer.put(bytes).flip();
    return type.read(buffer);
  }

  /// Older releases keep them private.
  @SuppressWarnings("unchecked")
  static Map<Integer, Field> known(TaggedFields type) {
    try {
      var fields = TaggedFields.class.getDeclaredField("fields");
      fields.setAccessible(true);
      return (Map<Integer, Field>) fields.get(type);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  static TreeMap<Integer, Object> tags(TaggedFields type) {
    TreeMap<Integer, Object> tags = new TreeMap<>();
    for (Map.Entry<Integer, Field> field : known(type).entrySet()) {
      if (random.nextBoolean()) tags.put(field.getKey(), value(field.getValue().type));
    }
    return tags;
  }

  /// One name in 16 is long enough for a length of two bytes.
  static String text() {
    StringBuilder text = new StringBuilder();
    int length = random.nextInt(16) == 0 ? 200 : random.nextInt(20);
    while (text.length() < length) text.append((char) ('a' + random.nextInt(26)));
    return text.toString();
  }
}
