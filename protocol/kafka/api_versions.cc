#include "protocol/kafka/api_versions.h"

namespace runnel::protocol::kafka {

void ApiVersionsRequest::describe(Fields& f) {
  f(client_software_name, from(3));
  f(client_software_version, from(3));
  f.tags();
}

void ApiVersionsResponse::Api::describe(Fields& f) {
  f(key);
  f(min_version);
  f(max_version);
  f.tags();
}
void ApiVersionsResponse::Supported::describe(Fields& f) {
  f(name);
  f(min_version);
  f(max_version);
  f.tags();
}
void ApiVersionsResponse::Finalized::describe(Fields& f) {
  f(name);
  f(max_version_level);
  f(min_version_level);
  f.tags();
}
void ApiVersionsResponse::describe(Fields& f) {
  f(error);
  f(apis);
  f(throttle_time_ms, from(1));
  f.tags({tag(0, supported_features, from(3)), tag(1, finalized_features_epoch, from(3), -1),
          tag(2, finalized_features, from(3)), tag(3, zk_migration_ready, from(3))});
}

}  // namespace runnel::protocol::kafka
