// Schemas in a registry, and records that name them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "broker/schemas/registry.h"

namespace runnel::broker::schemas {

/// The new id.
inline SchemaId register_in(Registry& registry, const std::string& subject, std::string text,
                            SchemaType type = SchemaType::kJson) {
  SchemaId id(0);
  const auto done = registry.write([&](const RegistryState& state) -> Reply<Registry::Change> {
    NewSchema schema;
    schema.schema = {type, text, {}};
    RUNNEL_ANSWER_ASSIGN(auto registered, register_schema(state, subject, std::move(schema)));
    id = registered.id;
    return std::move(registered.records);
  });
  EXPECT_TRUE(done) << done.error().message;
  return id;
}

/// As serializers write: a zero byte, the id, the rest.
inline std::string with_schema(SchemaId id, std::string_view rest) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += static_cast<char>(static_cast<std::uint32_t>(id.value()) >> shift);
  }
  return out.append(rest);
}

}  // namespace runnel::broker::schemas
