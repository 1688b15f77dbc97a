// Members, a coordinator and a disk played at random: members join, work, stop, die, start again,
// lose replies; topics grow; the coordinator restarts with what was stored. The members are
// correct clients, so what they work on shows whether the coordinator is correct.
#include <gtest/gtest.h>

#include <algorithm>

#include "broker/groups/coordinator.h"
#include "tests/broker/groups/model_driver.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using protocol::native::GroupHeartbeat;
using protocol::native::GroupHeartbeatReply;
using protocol::native::TopicPartition;
using Time = std::chrono::nanoseconds;

constexpr std::uint32_t kSessionMs = 5'000;

/// One client process.
struct Client {
  std::string name;
  std::string instance_id;
  bool alive = true;
  std::string member_id;
  std::int32_t epoch = 0;
  std::vector<TopicPartition> working;
  Time lease{};            ///< it stops working by itself here: silence has put it out
  std::uint64_t sent = 0;  ///< number of its latest heartbeat; older replies are ignored
  bool waiting = false;
  std::vector<std::int32_t> old_epochs;
};

class World : private ModelWorld<Client> {
 public:
  explicit World(std::uint64_t seed) : ModelWorld(seed) {
    topics_["t0"] = 1 + pick(6);
    topics_["t1"] = pick(4);
    start_coordinator();
  }

  void step() {
    now_ += std::chrono::milliseconds(pick(400));
    for (auto& client : clients_) stop_if_silent(client);
    switch (pick(20)) {
      case 0:
        if (alive() < 6) start_client();
        break;
      case 1:
        with_random_client([&](Client& c) { kill(c); });
        break;
      case 2:
        with_random_client([&](Client& c) { leave(c); });
        break;
      case 3:
        if (pick(8) == 0) topics_[pick(2) ? "t0" : "t1"] += pick(3);
        break;
      case 4:
        if (pick(4) == 0) restart_coordinator();
        break;
      case 5:
        with_random_client([&](Client& c) { c.waiting = false; });  // gives up on the reply
        break;
      case 6:
      case 7:
        coordinator_->tick(now_);
        break;
      case 8:
      case 9:
      case 10:
        if (!disk_.pending.empty()) disk_.complete_one();
        break;
      default:
        with_random_client([&](Client& c) { heartbeat(c); });
    }
    check();
  }

  /// No more mishaps: in the end every partition has its one owner, evenly.
  void calm_down() {
    if (alive() == 0) start_client();
    for (int round = 0; round < 200; ++round) {
      now_ += 200ms;
      for (auto& client : clients_) {
        stop_if_silent(client);
        if (client.alive && !client.waiting) heartbeat(client);
        check();
      }
      disk_.complete_all();
      coordinator_->tick(now_);
      check();
      for (auto& client : clients_) client.waiting = false;
    }
    std::size_t total = 0;
    std::size_t low = SIZE_MAX;
    std::size_t high = 0;
    for (const auto& client : clients_) {
      if (!client.alive) continue;
      total += client.working.size();
      low = std::min(low, client.working.size());
      high = std::max(high, client.working.size());
    }
    std::size_t expected = 0;
    for (const auto& [topic, count] : topics_) expected += static_cast<std::size_t>(count);
    EXPECT_EQ(total, expected) << "after quiet, some partitions have no owner";
    EXPECT_LE(high - low, 1u);
    EXPECT_EQ(coordinator_->describe("g")->state, "stable");
  }

 private:
  void start_coordinator() {
    auto opened = Coordinator::open(
        std::make_unique<FakeGroupStore>(disk_), random_,
        [this](std::string_view topic) {
          const auto found = topics_.find(topic);
          return found == topics_.end() ? 0 : found->second;
        },
        now_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    coordinator_ = std::move(*opened);
  }
  void restart_coordinator() {
    coordinator_.reset();
    disk_.pending.clear();  // what was not stored is lost, and so are the replies that waited
    for (auto& client : clients_) client.waiting = false;
    start_coordinator();
  }

  void start_client() {
    Client client;
    client.name = "c" + std::to_string(clients_.size());
    maybe_static(client);
    if (pick(2) == 0) client.member_id = "own-" + client.name;
    clients_.push_back(std::move(client));
    heartbeat(clients_.back());
  }
  static void kill(Client& client) {
    client.alive = false;
    client.working.clear();
  }
  void stop_if_silent(Client& client) {
    if (client.working.empty() || now_ < client.lease) return;
    client.working.clear();
    client.epoch = protocol::native::kEpochJoin;
  }

  GroupHeartbeat request_of(const Client& client) {
    GroupHeartbeat request;
    request.group = "g";
    request.member_id = client.member_id;
    request.member_epoch = client.epoch;
    request.instance_id = client.instance_id;
    request.topics = {"t0", "t1"};
    request.owned = client.working;
    request.session_timeout_ms = kSessionMs;
    return request;
  }

  void heartbeat(Client& client) {
    if (client.waiting) return;
    client.waiting = true;
    const std::uint64_t number = ++client.sent;
    const Time lease = now_ + std::chrono::milliseconds(kSessionMs);
    coordinator_->heartbeat(request_of(client), client.name, now_,
                            [&client, number, lease](Result<GroupHeartbeatReply> reply) {
                              if (!client.alive || !client.waiting || client.sent != number) return;
                              client.waiting = false;
                              take(client, reply, lease);
                            });
  }

  static void take(Client& client, const Result<GroupHeartbeatReply>& reply, Time lease) {
    if (!reply) {
      EXPECT_NE(reply.error().code(), ErrorCode::kInvalidArgument) << reply.error().message();
      client.working.clear();
      client.epoch = protocol::native::kEpochJoin;
      return;
    }
    if (client.epoch > 0 && client.epoch != reply->member_epoch) {
      client.old_epochs.push_back(client.epoch);
    }
    client.member_id = reply->member_id;
    client.epoch = reply->member_epoch;
    client.working = reply->assignment;
    client.lease = lease;
  }

  void leave(Client& client) {
    GroupHeartbeat request = request_of(client);
    kill(client);
    if (request.member_epoch == protocol::native::kEpochJoin) return;
    const bool for_a_while = !client.instance_id.empty() && pick(2) == 0;
    request.owned.clear();
    request.member_epoch =
        for_a_while ? protocol::native::kEpochLeaveStatic : protocol::native::kEpochLeave;
    coordinator_->heartbeat(request, client.name, now_, [](Result<GroupHeartbeatReply>) {});
  }

  void check() {
    std::map<TopicPartition, std::string> owners;
    for (const auto& client : clients_) {
      for (const auto& partition : client.working) {
        const auto [place, fresh] = owners.emplace(partition, client.name);
        EXPECT_TRUE(fresh) << partition.topic << "/" << partition.partition.value() << " has "
                           << place->second << " and " << client.name;
      }
      for (const std::int32_t epoch : client.old_epochs) {
        EXPECT_FALSE(coordinator_->check_commit("g", client.member_id, epoch))
            << client.name << " may commit at its old epoch " << epoch;
      }
    }
  }

  std::map<std::string, std::int32_t, std::less<>> topics_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST(GroupModel, APartitionHasOneOwnerWhateverHappens) {
  play<World>(300, [](World& world) { world.calm_down(); });
}

}  // namespace
}  // namespace runnel::broker
