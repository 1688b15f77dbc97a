// Sessions over a store in memory: what the tests of the native protocol share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "broker/native/native_session.h"
#include "broker/native/service.h"
#include "storage/env/clock.h"
#include "storage/env/random.h"
#include "tests/broker/native/fake_connection.h"
#include "tests/broker/native/fake_store.h"

namespace runnel::broker {

class FakeGroupStore final : public GroupStore {
 public:
  void save(std::string, std::optional<std::string>, Done done) override { done({}); }
  Result<storage::StateEntries> load(std::string_view) const override {
    return storage::StateEntries{};
  }
  void set_active(std::string_view, bool) override {}
  Result<bool> has_offsets(std::string_view) const override { return false; }
  Result<std::vector<std::string>> groups_with_offsets() const override {
    return std::vector<std::string>();
  }
  Status delete_offsets(std::string_view) override { return {}; }
};

inline std::string batch_of(std::size_t value_bytes = 10, int records = 1) {
  protocol::BatchBuilder builder;
  const std::string value(value_bytes, 'v');
  for (int i = 0; i < records; ++i) builder.add({Timestamp(1000 + i), "key", value});
  return std::string(as_text(builder.finish().value().bytes()));
}

struct World {
  explicit World(std::uint64_t memory = 64u << 20, NativeOptions options = {},
                 storage::Clock& clock = storage::Clock::system())
      : store(memory),
        coordinator(
            std::move(Coordinator::open(
                          std::make_unique<FakeGroupStore>(), storage::Random::system(),
                          [](std::string_view) { return 4; }, storage::Clock::system().monotonic()))
                .value()),
        service(store, *coordinator, clock, std::move(options)),
        client(std::make_unique<TestClient>(service.factory())) {
    EXPECT_TRUE(store.create_topic({"orders", 4, {}}));
  }
  native::Append append_to(std::int32_t partition, std::size_t bytes) const {
    native::Append append;
    append.partitions.resize(1);
    append.partitions[0].target = {"orders", PartitionIndex(partition)};
    append.partitions[0].bytes = static_cast<std::uint32_t>(bytes);
    return append;
  }
  native::AppendReply append(std::uint64_t id, std::int32_t partition, const std::string& batches) {
    return client->call<native::AppendReply>(id, append_to(partition, batches.size()), batches);
  }

  storage::FakeStore store;
  std::unique_ptr<Coordinator> coordinator;
  NativeService service;
  std::unique_ptr<TestClient> client;
};

inline native::Fetch fetch_of(std::int32_t partition, Offset offset, std::uint32_t wait_ms = 0) {
  native::Fetch fetch;
  fetch.partitions = {{{"orders", PartitionIndex(partition)}, offset, 1u << 20}};
  fetch.max_wait_ms = wait_ms;
  return fetch;
}

}  // namespace runnel::broker
