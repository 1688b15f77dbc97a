// JSON Schemas of what the schema registry's paths take and give.
#include "broker/http/router.h"

namespace runnel::broker::http {

std::string_view registry_schemas() {
  return R"json("AnyValue":{},
"Number":{"type":"integer"},
"NumberList":{"type":"array","items":{"type":"integer"}},
"NameList":{"type":"array","items":{"type":"string"}},
"RegistryError":{"type":"object","required":["error_code","message"],"properties":{
 "error_code":{"type":"integer","description":"As in Confluent's registry: 40401, 42201, ..."},
 "message":{"type":"string"}}},
"SchemaReference":{"type":"object","required":["name","subject"],"properties":{
 "name":{"type":"string","minLength":1},"subject":{"type":"string","minLength":1},
 "version":{"type":"integer","minimum":-1,"maximum":2147483647}}},
"NewSchema":{"type":"object","required":["schema"],"additionalProperties":false,
 "example":{"schemaType":"JSON","schema":"{\"type\":\"object\"}"},
 "properties":{
 "schema":{"type":"string","description":"The schema as text."},
 "schemaType":{"enum":["AVRO","JSON","PROTOBUF",null],"description":"Left out: AVRO."},
 "references":{"type":["array","null"],"items":{"$ref":"#/components/schemas/SchemaReference"}},
 "id":{"type":["integer","null"],"minimum":-1,"maximum":2147483647,"description":"Only in the mode IMPORT."},
 "version":{"type":["integer","null"],"minimum":-1,"maximum":2147483647}}},
"SchemaId":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}},
"SchemaOfId":{"type":"object","required":["schema"],"properties":{
 "schema":{"type":"string"},"schemaType":{"type":"string","description":"Left out: AVRO."},
 "references":{"type":"array","items":{"$ref":"#/components/schemas/SchemaReference"}},
 "maxId":{"type":"integer"}}},
"SubjectVersion":{"type":"object","required":["subject","version","id","schema"],"properties":{
 "subject":{"type":"string"},"version":{"type":"integer"},"id":{"type":"integer"},
 "schema":{"type":"string"},"schemaType":{"type":"string","description":"Left out: AVRO."},
 "references":{"type":"array","items":{"$ref":"#/components/schemas/SchemaReference"}}}},
"SubjectVersionList":{"type":"array","items":{"$ref":"#/components/schemas/SubjectVersion"}},
"PlaceList":{"type":"array","items":{"type":"object","required":["subject","version"],"properties":{
 "subject":{"type":"string"},"version":{"type":"integer"}}}},
"CompatibilityCheck":{"type":"object","required":["is_compatible"],"properties":{
 "is_compatible":{"type":"boolean"},
 "messages":{"type":"array","items":{"type":"string"}}}},
"CompatibilityLevel":{"type":"object","required":["compatibilityLevel"],"properties":{
 "compatibilityLevel":{"type":"string"}}},
"CompatibilitySetting":{"type":"object","required":["compatibility"],"additionalProperties":false,
 "properties":{"compatibility":{"enum":["NONE","BACKWARD","BACKWARD_TRANSITIVE","FORWARD",
  "FORWARD_TRANSITIVE","FULL","FULL_TRANSITIVE"]}}},
"RegistryMode":{"type":"object","required":["mode"],"additionalProperties":false,"properties":{
 "mode":{"enum":["READWRITE","READONLY","READONLY_OVERRIDE","IMPORT"]}}},
)json";
}

}  // namespace runnel::broker::http
