// JSON Schemas (2020-12) of what routes take and give.
#include "broker/http/router.h"
#include "protocol/filter/json_text.h"
#include "storage/topic_configs.h"

namespace runnel::broker::http {
namespace {

constexpr std::string_view kSchemas = R"json("AnyObject":{"type":"object"},
"Problem":{"type":"object","description":"RFC 9457.",
 "required":["type","title","status","detail","retriable","request_id"],
 "properties":{
  "type":{"type":"string","description":"Stable name for programs: urn:runnel:problem:unknown_topic."},
  "title":{"type":"string"},
  "status":{"type":"integer"},
  "detail":{"type":"string","description":"What happened, why, and what to do."},
  "retriable":{"type":"boolean","description":"Nothing was done, and the same request may succeed later."},
  "request_id":{"type":"string"},
  "line":{"type":"integer","description":"In the SQL text, from 1."},
  "column":{"type":"integer"},
  "duplicates":{"type":"array","description":"Records that were stored before, of a request that is refused because others were not.",
   "items":{"type":"object","required":["record","partition","offset"],
    "properties":{"record":{"type":"integer"},"partition":{"type":"integer"},"offset":{"type":"integer"}}}}}},
"Liveness":{"type":"object","required":["status"],"properties":{"status":{"const":"alive"}}},
"Readiness":{"type":"object","required":["ready","reasons"],"properties":{
 "ready":{"type":"boolean"},
 "reasons":{"type":"array","items":{"type":"object","required":["reason","detail"],
  "properties":{"reason":{"type":"string"},"detail":{"type":"string"}}}}}},
"StatisticList":{"type":"object","required":["statistics"],"properties":{"statistics":{"type":"array",
 "items":{"type":"object","required":["name","value","unit","text"],"properties":{
  "name":{"type":"string"},"value":{"type":"integer"},"unit":{"type":"string"},"text":{"type":"string"}}}}}},
"Broker":{"type":"object","required":["version","settings"],"properties":{"version":{"type":"string"},
 "settings":{"type":"array","items":{"type":"object","required":["name","value","source","text","reloadable"],
  "properties":{"name":{"type":"string"},"value":{"type":"string"},
   "source":{"type":"string","description":"default, a line of the file, a variable or a flag."},
   "text":{"type":"string"},"reloadable":{"type":"boolean","description":"SIGHUP rereads it."}}}}}},
"NewTopic":{"type":"object","required":["name"],"additionalProperties":false,
 "example":{"name":"orders","partitions":3,"configs":{"retention.ms":"604800000"}},
 "properties":{
  "name":{"type":"string","pattern":"^[a-zA-Z0-9._-]{1,249}$"},
  "partitions":{"type":"integer","minimum":1,"maximum":100000},
  "configs":{"$ref":"#/components/schemas/Configs"},
  "if_not_exists":{"type":"boolean"}}},
"TopicChanges":{"type":"object","additionalProperties":false,
 "example":{"configs":{"retention.ms":null}},
 "properties":{
  "partitions":{"type":"integer","minimum":1,"maximum":100000,"description":"The new number: more than now."},
  "configs":{"$ref":"#/components/schemas/ConfigChanges"}}},
"Topic":{"type":"object","required":["name","id","created","partitions","configs"],"properties":{
 "name":{"type":"string"},"id":{"type":"string"},
 "created":{"type":["integer","null"],"description":"Milliseconds since 1970."},
 "partitions":{"type":"array","items":{"type":"object",
  "required":["partition","start","end","bytes","max_timestamp"],"properties":{
   "partition":{"type":"integer"},
   "start":{"type":"integer","description":"Offset of the first record that is kept."},
   "end":{"type":"integer","description":"Offset behind the last record that can be read."},
   "bytes":{"type":"integer"},
   "max_timestamp":{"type":["integer","null"]}}}},
 "configs":{"type":"object","additionalProperties":{"type":"string"},"description":"Those that were set."}}},
"TopicList":{"type":"object","required":["topics","next"],"properties":{
 "topics":{"type":"array","items":{"type":"object","required":["name","partitions","offsets","bytes"],
  "properties":{"name":{"type":"string"},"partitions":{"type":"integer"},
   "offsets":{"type":"integer","description":"From each partition's start to its end, together."},
   "bytes":{"type":"integer"}}}},
 "next":{"type":["string","null"],"description":"What to give as after for the next page; null: there is none."}}},
"ProducerList":{"type":"object","required":["topic","producers","next"],"properties":{
 "topic":{"type":"string"},
 "producers":{"type":"array","items":{"type":"object",
  "required":["partition","producer","epoch","last_sequence","last_seen","transaction"],"properties":{
   "partition":{"type":"integer"},
   "producer":{"type":"integer","description":"The idempotent producer's id."},
   "epoch":{"type":"integer"},
   "last_sequence":{"type":"integer","description":"Of its newest record here; -1: it has written none in this epoch."},
   "last_seen":{"type":["integer","null"],"description":"Milliseconds since 1970."},
   "transaction":{"type":["integer","null"],"description":"First offset of its open transaction here; readers of committed records wait there. null: none is open."}}}},
 "next":{"type":["string","null"],"description":"What to give as after for the next page; null: there is none."}}},
"JobList":{"type":"object","required":["jobs","omitted"],"properties":{
 "jobs":{"type":"array","items":{"type":"object",
  "required":["kind","name","topic","state","unit","done","left","per_second","began","changed","problem"],"properties":{
   "kind":{"enum":["backup","cleaner","erasure","replay","view"]},
   "name":{"type":"string"},
   "topic":{"type":["string","null"]},
   "state":{"enum":["running","open","idle","done","failed"],
    "description":"open: not finished, and whether its program runs now is not known here; idle: nothing is to be done now."},
   "unit":{"type":"string","description":"What done, left and per_second count."},
   "done":{"type":["integer","null"]},
   "left":{"type":["integer","null"]},
   "per_second":{"type":["integer","null"],"description":"When it last did something."},
   "began":{"type":["integer","null"],"description":"Milliseconds since 1970."},
   "changed":{"type":["integer","null"],"description":"When it last got further."},
   "problem":{"type":["string","null"]}}}},
 "omitted":{"type":"integer","description":"Jobs left out because there are too many."}}},
"Header":{"type":"object","required":["name"],"additionalProperties":false,
 "oneOf":[{"required":["value"]},{"required":["base64"]}],
 "properties":{"name":{"type":"string"},"value":{"type":["string","null"]},
  "base64":{"type":"string","description":"A value that is no text."}}},
"NewRecord":{"type":"object","additionalProperties":false,
 "oneOf":[{"required":["value"]},{"required":["text"]},{"required":["base64"]}],
 "example":{"key":"o-1","value":{"id":"o-1","amount":12.5},"headers":{"trace":"7f"}},
 "properties":{
  "partition":{"type":"integer","minimum":0,"maximum":99999},
  "key":{"type":["string","null"]},
  "key_base64":{"type":"string"},
  "value":{"description":"JSON, stored as it stands; null marks the key as deleted."},
  "text":{"type":"string","description":"A value that is text, stored without quotes."},
  "base64":{"type":"string","description":"A value of any bytes."},
  "timestamp":{"type":["integer","string","null"],"description":"Milliseconds since 1970 or 2026-11-21T05:00:00Z; now if left out."},
  "headers":{"oneOf":[{"type":"object","additionalProperties":{"type":["string","null"]}},
   {"type":"array","items":{"$ref":"#/components/schemas/Header"}}]},
  "offset":{"type":"integer","description":"Of a record that was read; it gets a new one."},
  "dedup":{"type":"object","additionalProperties":false,"required":["source_type","source_id","data_id"],
   "description":"What the record says, for ever: a second one with it is not stored.",
   "properties":{"source_type":{"type":"string","minLength":1,"maxLength":255},
    "source_id":{"type":"string","minLength":1,"maxLength":255},
    "data_id":{"type":"string","minLength":1,"maxLength":255}}}}},
"Records":{"oneOf":[{"$ref":"#/components/schemas/NewRecord"},
 {"type":"array","minItems":1,"maxItems":10000,"items":{"$ref":"#/components/schemas/NewRecord"}}],
 "description":"With as=values: any JSON, or an array of it."},
"Appended":{"type":"object","required":["records"],"properties":{"records":{"type":"array",
 "items":{"type":"object","required":["partition","offset","durability","duplicate"],"properties":{
  "partition":{"type":"integer"},"offset":{"type":"integer"},
  "durability":{"enum":["none","written","synced"],"description":"What was reached when this was answered."},
  "duplicate":{"type":"boolean","description":"It was stored before, at this offset."}}}},
 "applied":{"type":"boolean","description":"With acks=applied: every running view of the topic has the records."}}},
"Record":{"type":"object","required":["partition","offset","timestamp"],"properties":{
 "partition":{"type":"integer"},"offset":{"type":"integer"},
 "timestamp":{"type":["integer","null"],"description":"Milliseconds since 1970."},
 "key":{"type":["string","null"]},"key_base64":{"type":"string"},
 "value":{"description":"A value that is JSON; null: there is none."},
 "text":{"type":"string","description":"A value that is other text."},
 "base64":{"type":"string","description":"A value that is no text."},
 "headers":{"type":"array","items":{"$ref":"#/components/schemas/Header"}}}},
"RecordPage":{"type":"object","required":["records","next","at_end","unreadable"],"properties":{
 "records":{"type":"array","items":{"$ref":"#/components/schemas/Record"}},
 "next":{"type":"string","description":"What to give as cursor to go on."},
 "at_end":{"type":"boolean","description":"There was nothing more when it was read."},
 "unreadable":{"type":"integer","description":"Records left out because the filter can't judge them."}}},
"NewHook":{"type":"object","required":["topic","signature"],"additionalProperties":false,
 "example":{"topic":"payments","signature":"stripe","secrets":["whsec_..."],"key":"/data/object/customer",
  "time":"/created","time_unit":"s","dedup":"/id"},
 "properties":{
  "topic":{"type":"string","description":"Where the requests are stored; it has to be there."},
  "signature":{"enum":["none","github","stripe","standard"],"description":"How the sender signs: X-Hub-Signature-256, Stripe-Signature, or Standard Webhooks. none: whoever reaches the port may send."},
  "secrets":{"type":"array","maxItems":4,"items":{"type":"string"},"description":"Any of them may have made the signature. Never answered. Left out of a hook that is there: they stay."},
  "tolerance_seconds":{"type":"integer","minimum":1,"maximum":86400,"description":"How far a signature's time may be from the broker's clock; 300 if left out."},
  "key":{"$ref":"#/components/schemas/HookPlace"},
  "time":{"$ref":"#/components/schemas/HookPlace"},
  "time_unit":{"enum":["ms","s"],"description":"Of a time that is a number; ms if left out."},
  "dedup":{"$ref":"#/components/schemas/HookPlace"},
  "headers":{"type":"array","maxItems":16,"items":{"type":"string"},"description":"Headers of the request that become the record's, besides content-type."},
  "on_missing":{"enum":["refuse","keep"],"description":"What becomes of a request without what a place says; refuse if left out."}}},
"HookPlace":{"type":["string","null"],"description":"Where it stands in a request: a JSON pointer (/data/id), a path (.data.id), or header:NAME.","example":"/data/id"},
"Hook":{"type":"object","required":["name","topic","signature","secret_count","tolerance_seconds","key","time","time_unit","dedup","headers","on_missing","created","counts"],"properties":{
 "name":{"type":"string"},"topic":{"type":"string"},"signature":{"type":"string"},"secret_count":{"type":"integer"},
 "tolerance_seconds":{"type":"integer"},"key":{"type":["string","null"]},"time":{"type":["string","null"]},
 "time_unit":{"type":"string"},"dedup":{"type":["string","null"]},"headers":{"type":"array","items":{"type":"string"}},
 "on_missing":{"type":"string"},"created":{"type":"integer","description":"Milliseconds since 1970."},
 "counts":{"type":"object","description":"Requests since the broker's start.","required":["stored","duplicates","refused","failed"],"properties":{
  "stored":{"type":"integer"},"duplicates":{"type":"integer","description":"Known by their dedup, not stored again."},
  "refused":{"type":"integer","description":"Not signed as the hook asks."},
  "failed":{"type":"integer","description":"Signed, and not stored."}}}}},
"HookList":{"type":"object","required":["hooks"],"properties":{"hooks":{"type":"array","items":{"$ref":"#/components/schemas/Hook"}}}},
"NewWebhook":{"type":"object","required":["url"],"additionalProperties":false,
 "example":{"topic":"orders","url":"https://shop.example/hooks/orders","filter":[".amount>=100"],"from":"end"},
 "properties":{
  "topic":{"type":"string","description":"Whose records are sent; it or view."},
  "view":{"type":"string","description":"Whose changes are sent: those of its changelog topic, which it has to have."},
  "url":{"type":"string","description":"https or http. Its addresses have to be among those that the broker's option webhook-allow names; redirects are not followed."},
  "secrets":{"type":"array","maxItems":4,"items":{"type":"string"},"description":"whsec_ and base64: each signs as Standard Webhooks has it. Never answered. Left out of a webhook that is there: they stay."},
  "filter":{"type":"array","maxItems":16,"items":{"type":"string"},"description":"Conditions, as runnel replay --where has them; only records for which all hold are sent."},
  "body":{"enum":["record","value","template"],"description":"What is sent: the record as reading gives it (if left out), its value as it stands, or the template."},
  "template":{"type":"string","description":"Text with ${key}, ${topic}, ${partition}, ${offset}, ${timestamp}, ${value} or JSON pointers into the value, ${/user/name}, in it."},
  "content_type":{"type":"string","description":"application/json if left out."},
  "max_attempts":{"type":"integer","minimum":1,"maximum":100,"description":"Then the record goes to the topic __webhook-dlq.NAME; 12 if left out."},
  "timeout_ms":{"type":"integer","minimum":1,"maximum":60000,"description":"Of one request; 10000 if left out."},
  "from":{"type":"string","description":"Where a new webhook begins: start, end (if left out), an offset, -2h, a time."}}},
"WebhookReplay":{"type":"object","required":["from"],"additionalProperties":false,
 "example":{"from":"-2h"},"properties":{"from":{"type":"string","description":"start, end, an offset, -100, -2h, a time."}}},
"Webhook":{"type":"object","required":["name","topic","url","state","problem","secret_count","filter","body","template","content_type","max_attempts","timeout_ms","created","places","in_flight","memory_bytes","counts","last_error","last_error_time"],"properties":{
 "name":{"type":"string"},"topic":{"type":"string"},"url":{"type":"string"},
 "state":{"enum":["running","paused","failing"],"description":"failing: it can't go on, and problem says why."},
 "problem":{"type":["string","null"]},"secret_count":{"type":"integer"},"filter":{"type":"array","items":{"type":"string"}},
 "body":{"type":"string"},"template":{"type":["string","null"]},"content_type":{"type":"string"},
 "max_attempts":{"type":"integer"},"timeout_ms":{"type":"integer"},
 "created":{"type":"integer","description":"Milliseconds since 1970."},
 "places":{"type":"array","items":{"type":"object","required":["partition","next","behind","lost"],"properties":{
  "partition":{"type":"integer"},"next":{"type":"integer","description":"Every record before it is delivered, a dead letter or filtered."},
  "behind":{"type":"integer","description":"Offsets from there to the end."},
  "lost":{"type":"integer","description":"Records that retention removed before their turn came."}}}},
 "in_flight":{"type":"integer","description":"Requests that are on their way."},
 "memory_bytes":{"type":"integer","description":"Of records that wait or are on their way, and their order."},
 "counts":{"type":"object","description":"Since the broker's start.","required":["delivered","failed_attempts","dead"],"properties":{
  "delivered":{"type":"integer"},"failed_attempts":{"type":"integer"},"dead":{"type":"integer","description":"Put to the dead letters."}}},
 "last_error":{"type":["string","null"]},"last_error_time":{"type":["integer","null"]}}},
"WebhookList":{"type":"object","required":["webhooks"],"properties":{"webhooks":{"type":"array","items":{"$ref":"#/components/schemas/Webhook"}}}},
"HookStored":{"type":"object","required":["partition","offset","duplicate"],"properties":{
 "partition":{"type":"integer"},"offset":{"type":"integer"},
 "duplicate":{"type":"boolean","description":"It was stored before, at this offset."}}},
"Sql":{"type":"object","required":["sql"],"additionalProperties":false,
 "example":{"sql":"SHOW ALL"},"properties":{"sql":{"type":"string","minLength":1}}},
"Position":{"type":"object","required":["topic","partition","offset"],
 "description":"Every record of the partition before this offset is in it.","properties":{
 "topic":{"type":"string"},"partition":{"type":"integer"},"offset":{"type":"integer"}}},
"Column":{"type":"object","required":["name","type","role"],"properties":{
 "name":{"type":"string"},"type":{"type":"string","description":"DECIMAL(12,2), TIMESTAMPTZ, ..."},
 "role":{"enum":["dimension","measure","plain"]}}},
"SqlAnswers":{"type":"object","required":["answers"],"properties":{"answers":{"type":"array",
 "items":{"type":"object",
  "required":["tag","columns","rows","positions","generation","sequence","notices"],"properties":{
  "tag":{"type":"string","description":"What was done: SELECT, CREATE MATERIALIZED VIEW."},
  "columns":{"type":"array","items":{"$ref":"#/components/schemas/Column"}},
  "rows":{"type":"array","items":{"type":"object"},"description":"An object a row, its members the columns."},
  "positions":{"type":"array","items":{"$ref":"#/components/schemas/Position"}},
  "generation":{"type":"integer"},"sequence":{"type":"integer"},
  "notices":{"type":"array","items":{"type":"string"}}}}}}},
"ViewSummary":{"type":"object",
 "required":["name","state","problem","topic","lag","generation","sequence"],"properties":{
 "name":{"type":"string"},"state":{"enum":["running","building","paused","failed"]},
 "problem":{"type":["string","null"],"description":"Why it has failed, or what is wrong now."},
 "topic":{"type":["string","null"],"description":"Empty: it is computed from another view."},
 "lag":{"type":"integer","description":"Records of the topic that it has still to read."},
 "generation":{"type":"integer","description":"Raised when it is replaced."},
 "sequence":{"type":"integer","description":"Raised by every change of its rows."}}},
"ViewList":{"type":"object","required":["views","next"],"properties":{
 "views":{"type":"array","items":{"$ref":"#/components/schemas/ViewSummary"}},
 "next":{"type":["string","null"]}}},
"View":{"allOf":[{"$ref":"#/components/schemas/ViewSummary"},{"type":"object",
 "required":["sql","created","key","columns","window","applied","counters"],"properties":{
 "sql":{"type":"string"},"created":{"type":"integer","description":"Milliseconds since 1970."},
 "key":{"type":"array","description":"Its group columns, in the order of GROUP BY.",
  "items":{"type":"object","required":["name","type"],"properties":{
   "name":{"type":"string"},"type":{"type":"string"}}}},
 "columns":{"type":"array","items":{"$ref":"#/components/schemas/Column"}},
 "window":{"type":["object","null"],"required":["kind","time_zone"],"properties":{
  "kind":{"enum":["tumble","hop","session","cumulate"]},"time_zone":{"type":"string"}}},
 "applied":{"type":"array","items":{"$ref":"#/components/schemas/Position"}},
 "counters":{"type":"object","additionalProperties":{"type":"integer"},
  "description":"What became of the records that it has read."}}}]},
"RowPage":{"type":"object",
 "required":["view","generation","sequence","rows","next","positions","notices"],"properties":{
 "view":{"type":"string"},"generation":{"type":"integer"},"sequence":{"type":"integer"},
 "rows":{"type":"array","items":{"type":"object"},"description":"An object a row, its members the columns."},
 "next":{"type":["string","null"],"description":"What to give as cursor to go on; null: this is the end."},
 "positions":{"type":"array","items":{"$ref":"#/components/schemas/Position"}},
 "notices":{"type":"array","items":{"type":"string"},"description":"What a person should know."}}},
"GroupList":{"type":"object","required":["groups","next"],"properties":{
 "groups":{"type":"array","items":{"type":"object","required":["group","state"],"properties":{
  "group":{"type":"string"},"state":{"enum":["empty","reconciling","stable"]}}}},
 "next":{"type":["string","null"]}}},
"LagList":{"type":"object","required":["lags","omitted"],"properties":{
 "lags":{"type":"array","items":{"type":"object","required":["group","topic","partition","offset","lag"],
  "properties":{"group":{"type":"string"},"topic":{"type":"string"},"partition":{"type":"integer"},
   "offset":{"type":"integer","description":"Of the next record the group reads."},
   "lag":{"type":"integer"}}}},
 "omitted":{"type":"integer","description":"Places beyond the first 10,000."}}},
"GroupOffset":{"type":"object",
 "required":["topic","partition","offset","end","lag","metadata","committed"],"properties":{
 "topic":{"type":"string"},"partition":{"type":"integer"},
 "offset":{"type":"integer","description":"Of the next record the group reads."},
 "end":{"type":["integer","null"],"description":"null: the partition is gone."},
 "lag":{"type":["integer","null"]},"metadata":{"type":"string"},
 "committed":{"type":"integer","description":"When, in milliseconds since 1970."}}},
"Group":{"type":"object","required":["group","state","members","offsets","lag"],"properties":{
 "group":{"type":"string"},"state":{"enum":["empty","reconciling","stable"]},
 "members":{"type":"array","items":{"type":"object",
  "required":["member","instance","client","host","assignment"],"properties":{
  "member":{"type":"string"},"instance":{"type":"string"},"client":{"type":"string"},
  "host":{"type":"string"},"assignment":{"type":"array","items":{"type":"object","properties":{
   "topic":{"type":"string"},"partitions":{"type":"array","items":{"type":"integer"}}}}}}}},
 "offsets":{"type":"array","items":{"$ref":"#/components/schemas/GroupOffset"}},
 "lag":{"type":"integer","description":"Records still to be read, in all partitions together."}}},
"GroupOffsets":{"type":"object","required":["group","offsets"],"properties":{
 "group":{"type":"string"},
 "offsets":{"type":"array","items":{"$ref":"#/components/schemas/GroupOffset"}}}},
"GroupMoves":{"type":"object","required":["offsets"],"additionalProperties":false,
 "example":{"dry_run":true,"offsets":[{"topic":"orders","to":"-2h"}]},
 "properties":{
 "dry_run":{"type":"boolean","description":"Tells what would be done, and does nothing."},
 "offsets":{"type":"array","minItems":1,"maxItems":10000,"items":{"type":"object",
  "required":["topic","to"],"additionalProperties":false,"properties":{
  "topic":{"type":"string","minLength":1},
  "partition":{"type":"integer","minimum":0,"maximum":99999,"description":"Left out: all."},
  "to":{"type":["string","null"],"description":"start, end, an offset (17), -100, -2h, a time; null forgets what was committed."}}}}}},
"GroupMoved":{"type":"object","required":["group","dry_run","offsets"],"properties":{
 "group":{"type":"string"},"dry_run":{"type":"boolean"},
 "offsets":{"type":"array","items":{"type":"object",
  "required":["topic","partition","before","after","lag_before","lag_after"],"properties":{
  "topic":{"type":"string"},"partition":{"type":"integer"},
  "before":{"type":"integer","description":"-1: none."},"after":{"type":"integer"},
  "lag_before":{"type":["integer","null"]},"lag_after":{"type":["integer","null"]}}}}}}
})json";

/// An object of topic configs; `type` of each value.
std::string configs_schema(std::string_view type) {
  std::string out = R"({"type":"object","additionalProperties":false,"properties":{)";
  for (const storage::TopicConfigRow& row : storage::topic_config_table()) {
    if (out.back() != '{') out += ',';
    out += protocol::json_string(row.name) + ":{\"type\":" + std::string(type) +
           ",\"default\":" + protocol::json_string(row.default_value) +
           ",\"description\":" + protocol::json_string(row.text) + "}";
  }
  return out + "}}";
}

}  // namespace

std::string schemas() {
  return "{" + std::string(registry_schemas()) + std::string(proxy_schemas()) +
         "\"Configs\":" + configs_schema("\"string\"") +
         ",\"ConfigChanges\":" + configs_schema(R"(["string","null"])") + "," +
         std::string(kSchemas);
}

}  // namespace runnel::broker::http
