// What the models of both kinds of groups share: a dice, a disk that is late, a clock, and client
// processes that are started and die.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "tests/broker/groups/fake_group_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {

/// `Client` has a `name`, an `instance_id` and `alive`. Clients stay where they are.
template <class Client>
class ModelWorld {
 protected:
  using Time = std::chrono::nanoseconds;

  explicit ModelWorld(std::uint64_t seed) : random_(seed) { disk_.at_once = false; }
  ~ModelWorld() = default;

  std::int32_t pick(std::int32_t below) {
    return static_cast<std::int32_t>(random_.next() % static_cast<std::uint64_t>(below));
  }
  [[nodiscard]] std::ptrdiff_t alive() const {
    return std::ranges::count_if(clients_, [](const Client& c) { return c.alive; });
  }
  template <class Action>
  void with_random_client(Action action) {
    std::vector<Client*> living;
    for (auto& client : clients_) {
      if (client.alive) living.push_back(&client);
    }
    if (!living.empty()) action(*living[random_.next() % living.size()]);
  }
  /// Half of the clients are static members: one living process an instance id.
  void maybe_static(Client& client) {
    if (pick(2) != 0) return;
    const std::string instance = "i" + std::to_string(pick(3));
    const bool taken = std::ranges::any_of(
        clients_, [&](const Client& c) { return c.alive && c.instance_id == instance; });
    if (!taken) client.instance_id = instance;
  }

  storage::SeededRandom random_;
  FakeDisk disk_;
  Time now_ = std::chrono::seconds(1);
  std::list<Client> clients_;
};

/// 400 random steps of a World for each seed, then what it does at the end.
template <class World, class End>
void play(int seeds, End end) {
  storage::for_each_seed(1, seeds, [&](std::uint64_t seed) {
    World world(seed);
    for (int i = 0; i < 400 && !::testing::Test::HasFailure(); ++i) world.step();
    if (!::testing::Test::HasFailure()) end(world);
  });
}

}  // namespace runnel::broker
