// JSON Schemas of what the REST proxy's paths take and give.
#include "broker/http/router.h"

namespace runnel::broker::http {

std::string_view proxy_schemas() {
  return R"json("ObjectList":{"type":"array","items":{"type":"object"}},
"KafkaThing":{"type":"object","required":["kind","metadata"],"properties":{
 "kind":{"type":"string","description":"KafkaTopic, KafkaPartition, ..."},
 "metadata":{"type":"object","required":["self"],"properties":{"self":{"type":"string"}}}}},
"KafkaList":{"type":"object","required":["kind","metadata","data"],"properties":{
 "kind":{"type":"string"},"metadata":{"type":"object"},
 "data":{"type":"array","items":{"$ref":"#/components/schemas/KafkaThing"}}}},
"ProxyNewTopic":{"type":"object","required":["topic_name"],"additionalProperties":false,
 "example":{"topic_name":"orders","partitions_count":3},
 "properties":{"topic_name":{"type":"string","pattern":"^[a-zA-Z0-9._-]{1,249}$"},
 "partitions_count":{"type":"integer","minimum":1,"maximum":100000},
 "replication_factor":{"const":1},
 "configs":{"type":"array","items":{"type":"object","required":["name","value"],
  "additionalProperties":false,
  "properties":{"name":{"type":"string"},"value":{"type":"string"}}}}}},
"ProxyRecords":{"type":"object","required":["records"],"additionalProperties":false,
 "example":{"records":[{"value":"YQ=="}]},
 "properties":{"key_schema_id":{"type":["integer","null"]},"value_schema_id":{"type":["integer","null"]},
 "records":{"type":"array","minItems":1,"maxItems":10000,"items":{"type":"object",
  "additionalProperties":false,
  "properties":{"key":{"description":"Base64, or JSON, as the Content-Type says."},"value":{},
  "partition":{"type":["integer","null"],"minimum":0,"maximum":2147483647}}}}}},
"ProxyProduced":{"type":"object","required":["offsets"],"properties":{"offsets":{"type":"array",
 "items":{"type":"object","required":["partition","offset","error_code","error"],"properties":{
  "partition":{"type":["integer","null"]},"offset":{"type":["integer","null"]},
  "error_code":{"type":["integer","null"],"description":"1: refused; 2: try again."},
  "error":{"type":["string","null"]}}}}}},
"ProxyData":{"type":["object","null"],"additionalProperties":false,"properties":{
 "type":{"enum":["BINARY","JSON","STRING","JSONSCHEMA"]},
 "data":{"description":"Base64, any JSON, or text."},
 "schema_id":{"type":["integer","null"],"minimum":0,"maximum":2147483647}}},
"ProxyRecord":{"type":"object","additionalProperties":false,
 "example":{"value":{"type":"JSON","data":{"id":1}}},
 "properties":{"partition_id":{"type":["integer","null"],"minimum":0,"maximum":2147483647},
 "headers":{"type":["array","null"],"items":{"type":"object","required":["name"],
  "additionalProperties":false,"properties":{"name":{"type":"string"},
  "value":{"type":["string","null"],"description":"Base64."}}}},
 "key":{"$ref":"#/components/schemas/ProxyData"},"value":{"$ref":"#/components/schemas/ProxyData"},
 "timestamp":{"type":["string","null","integer"],"description":"2026-11-22T05:00:00Z, or milliseconds."}}},
"ProxyRecordAnswer":{"type":"object","required":["error_code"],"properties":{
 "error_code":{"type":"integer","description":"200: it is stored."},"message":{"type":"string"},
 "cluster_id":{"type":"string"},"topic_name":{"type":"string"},"partition_id":{"type":"integer"},
 "offset":{"type":"integer"},"timestamp":{"type":"string"}}},
"NewInstance":{"type":"object","properties":{
 "name":{"type":"string","minLength":1,"maxLength":200},
 "format":{"enum":["binary","json"]},
 "auto.offset.reset":{"enum":["earliest","latest","none"]},
 "auto.commit.enable":{"type":["string","boolean"]},
 "fetch.min.bytes":{"type":["string","integer"]},
 "consumer.request.timeout.ms":{"type":["string","integer"]}}},
"Instance":{"type":"object","required":["instance_id","base_uri"],"properties":{
 "instance_id":{"type":"string"},"base_uri":{"type":"string"}}},
"Subscription":{"type":"object","properties":{
 "topics":{"type":"array","items":{"type":"string"}},"topic_pattern":{"type":"string"}}},
"ProxyPartitions":{"type":"object","properties":{"partitions":{"type":"array","items":{
 "type":"object","required":["topic","partition"],"properties":{"topic":{"type":"string"},
 "partition":{"type":"integer"}}}}}},
"ProxyOffsets":{"type":"object","properties":{"offsets":{"type":"array","items":{
 "type":"object","required":["topic","partition","offset"],"properties":{"topic":{"type":"string"},
 "partition":{"type":"integer"},"offset":{"type":"integer"},"metadata":{"type":["string","null"]}}}}}},
"ProxyFetched":{"type":"array","items":{"type":"object",
 "required":["topic","key","value","partition","offset"]}},
)json";
}

}  // namespace runnel::broker::http
