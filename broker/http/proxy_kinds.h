// How the REST proxy v3 writes what there is: things with a kind, links, and lists of them.
#pragma once

#include <string>
#include <string_view>

#include "broker/http/proxy_call.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {

[[nodiscard]] inline std::string cluster_id(const Call& call) {
  return call.store().id().to_string();
}
[[nodiscard]] inline std::string node_of(const Call& call) {
  return std::to_string(call.service().options().node_id);
}
[[nodiscard]] inline std::string cluster_path(const Call& call) {
  return "/v3/clusters/" + cluster_id(call);
}

/// 404: the path names another cluster.
[[nodiscard]] inline Reply<void> check_cluster(const Call& call) {
  if (call.path("cluster") == cluster_id(call)) return {};
  return refuse(404, "Cluster " + call.path("cluster") + " cannot be found: this is the cluster " +
                         cluster_id(call));
}

/// `{"kind":...,"metadata":{...}`, to be gone on with and closed.
[[nodiscard]] inline std::string thing(const Call& call, std::string_view kind,
                                       const std::string& path) {
  std::string name = "crn:///kafka=" + path.substr(path.find("/v3/clusters/") + 13);
  return "{\"kind\":\"" + std::string(kind) +
         "\",\"metadata\":{\"self\":" + protocol::json_string(base_of(call) + path) +
         ",\"resource_name\":" + protocol::json_string(name) + "}";
}

/// `,"name":{"related":...}`
[[nodiscard]] inline std::string related(const Call& call, std::string_view name,
                                         const std::string& path) {
  return ",\"" + std::string(name) +
         "\":{\"related\":" + protocol::json_string(base_of(call) + path) + "}";
}

/// `all`: things with commas between them.
[[nodiscard]] inline std::string list_of_things(const Call& call, std::string_view kind,
                                                const std::string& path, const std::string& all) {
  return "{\"kind\":\"" + std::string(kind) +
         "\",\"metadata\":{\"self\":" + protocol::json_string(base_of(call) + path) +
         ",\"next\":null},\"data\":[" + all + "]}";
}

}  // namespace runnel::broker::http
