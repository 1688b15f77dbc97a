// Kafka clients, a coordinator, a disk and a clock played at random: members join, sync, commit,
// leave, die, come back, lose connections; saves are late or lost with a restart. The clients are
// correct ones whose leader shares out partitions, so what they work on shows whether the
// coordinator is correct.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "broker/groups/classic_group.h"
#include "broker/groups/coordinator.h"
#include "tests/broker/groups/model_driver.h"

namespace runnel::broker {
namespace {

using namespace std::chrono_literals;
using Time = std::chrono::nanoseconds;

constexpr std::int32_t kSessionMs = 6'000;
constexpr int kPartitions = 7;

/// One client process.
struct Client {
  std::string name;
  std::optional<std::string> instance_id;
  bool alive = true;
  bool new_protocol = true;  ///< JoinGroup v9; else v3
  std::string member_id;
  std::int32_t generation = -1;
  std::int32_t told = -2;  ///< the generation it last got a share in
  bool joined = false;     ///< has a generation, and has to sync or has synced
  bool synced = false;     ///< works on its partitions
  bool leads = false;
  std::vector<std::string> members;  ///< the leader's list
  std::set<int> working;
  Time lease{};  ///< silence has put it out by then, so it stops by itself
  ReplyTicket waiting = 0;
  bool waits = false;
  std::uint64_t request = 0;                           ///< replies to older requests are ignored
  std::set<std::pair<std::string, std::int32_t>> old;  ///< identities it must not commit with
};

class World : private ModelWorld<Client> {
 public:
  explicit World(std::uint64_t seed) : ModelWorld(seed) {
    config_.initial_rebalance_delay = std::chrono::milliseconds(pick(3) * 500);
    start_coordinator();
  }

  void step() {
    advance(std::chrono::milliseconds(pick(500)));
    switch (pick(20)) {
      case 0:
      case 1:
        if (alive() < 6) start_client();
        break;
      case 2:
        with_random_client([&](Client& c) { kill(c); });
        break;
      case 3:
        with_random_client([&](Client& c) { leave(c); });
        break;
      case 4:
        if (pick(4) == 0) restart_coordinator();
        break;
      case 5:
        with_random_client([&](Client& c) { disconnect(c); });
        break;
      case 6:
        with_random_client([&](Client& c) { rejoin(c); });
        break;
      case 7:
      case 8:
        if (!disk_.pending.empty()) disk_.complete_one();
        break;
      case 9:
        coordinator_->tick(now_);
        break;
      default:
        with_random_client([&](Client& c) { act(c); });
    }
    check();
  }

  /// No more mishaps: every partition has its one owner.
  void calm_down() {
    if (alive() == 0) start_client();
    for (int round = 0; round < 300; ++round) {
      advance(200ms);
      for (auto& client : clients_) {
        if (client.alive) act(client);
      }
      disk_.complete_all();
      check();
    }
    std::set<int> owned;
    for (const auto& client : clients_) owned.insert(client.working.begin(), client.working.end());
    EXPECT_EQ(owned.size(), static_cast<std::size_t>(kPartitions)) << "some have no owner";
    const auto group = coordinator_->describe_classic("g");
    ASSERT_TRUE(group);
    EXPECT_EQ(group->state, "Stable");
    EXPECT_EQ(group->members.size(), static_cast<std::size_t>(alive()));
  }

  /// Everybody goes; nothing is left behind.
  void end() {
    for (auto& client : clients_) kill(client);
    advance(10min);
    disk_.complete_all();
    for (int i = 0; i < 3; ++i) {
      advance(kEmptyGroupLinger);
      coordinator_->tick(now_);
      disk_.complete_all();
    }
    EXPECT_TRUE(coordinator_->list_all().value().empty());
    EXPECT_TRUE(disk_.stored.empty());
    EXPECT_EQ(coordinator_->next_deadline(), ClassicGroup::kNever);
    EXPECT_EQ(asked_, answered_ + cancelled_ + lost_) << "a reply is missing, or came twice";
  }

 private:
  void advance(Time time) {
    const Time end = now_ + time;
    while (now_ < end) {
      now_ = std::min<Time>(end, now_ + kDeadlineStep);
      for (auto& client : clients_) {
        if (client.synced && now_ >= client.lease) {
          stop_working(client);
          client.synced = false;  // it asks again what it may work on
        }
      }
      coordinator_->run_deadlines(now_);
    }
  }

  void start_coordinator() {
    auto opened = Coordinator::open(
        std::make_unique<FakeGroupStore>(disk_), random_, [](std::string_view) { return 0; }, now_,
        config_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    coordinator_ = std::move(*opened);
  }
  void restart_coordinator() {
    // What was not stored is lost, and so are the replies that waited.
    coordinator_.reset();
    disk_.pending.clear();
    lost_ = asked_ - answered_ - cancelled_;
    for (auto& client : clients_) client.waits = false;
    start_coordinator();
    // A generation whose shares nobody was told may be given again.
    last_generation_ = told_generation_;
  }

  void start_client() {
    Client client;
    client.name = "c" + std::to_string(clients_.size());
    client.new_protocol = pick(2) == 0;
    maybe_static(client);
    clients_.push_back(std::move(client));
  }
  static void stop_working(Client& client) { client.working.clear(); }
  /// Before it takes another generation. One it never got a share in may come again, after a
  /// restart that forgot it.
  static void remember(Client& client) {
    if (client.told == client.generation) client.old.emplace(client.member_id, client.generation);
  }
  static void forget(Client& client) {
    remember(client);
    stop_working(client);
    client.member_id.clear();
    client.generation = -1;
    client.joined = client.synced = client.leads = false;
  }
  void kill(Client& client) {
    if (!client.alive) return;
    disconnect(client);
    client.alive = false;
    stop_working(client);
  }
  void leave(Client& client) {
    kill(client);
    if (client.member_id.empty()) return;
    const std::vector<classic::LeavingMember> leaving{{client.member_id, client.instance_id}};
    EXPECT_EQ(coordinator_->leave("g", leaving, now_).size(), 1u);
  }
  void disconnect(Client& client) {
    if (!std::exchange(client.waits, false)) return;
    ++client.request;
    if (coordinator_->cancel(client.waiting)) ++cancelled_;
  }

  /// What a correct client does next.
  void act(Client& client) {
    if (client.waits) return;
    if (!client.joined) return join(client);
    if (!client.synced) return sync(client);
    heartbeat(client);
    if (client.synced && pick(3) == 0) commit(client);
  }
  void rejoin(Client& client) {
    if (client.waits || !client.joined) return;
    client.joined = client.synced = false;
    join(client);
  }

  void join(Client& client) {
    stop_working(client);  // an eager consumer gives up everything before it joins
    classic::JoinRequest request;
    request.group = "g";
    request.member_id = client.member_id;
    request.instance_id = client.instance_id;
    request.client_id = client.name;
    request.protocol_type = "consumer";
    request.protocols = {{pick(4) == 0 ? "sticky" : "range", client.name}, {"common", client.name}};
    request.session_timeout_ms = kSessionMs;
    request.rebalance_timeout_ms = 5'000;
    request.needs_known_id = request.can_skip_assignment = client.new_protocol;
    ++asked_;
    client.waits = true;
    const std::uint64_t number = ++client.request;
    const ReplyTicket ticket = coordinator_->join(
        request, now_,
        [this, &client, number, newest = last_generation_](classic::JoinReply reply) {
          ++answered_;
          if (client.request != number) return;
          client.waits = false;
          take(client, reply, newest);
        });
    if (client.request == number) client.waiting = ticket;
  }

  /// `newest`: when it asked. A reply that waited for the disk may be behind by now.
  void take(Client& client, const classic::JoinReply& reply, std::int32_t newest) {
    if (reply.error == ErrorCode::kMemberIdRequired) {
      client.member_id = reply.member_id;
      return;
    }
    if (reply.error != ErrorCode::kOk) return failed(client, reply.error);
    EXPECT_GE(reply.generation, newest) << "generations went back";
    last_generation_ = std::max(last_generation_, reply.generation);
    if (client.generation != reply.generation) remember(client);
    client.member_id = reply.member_id;
    client.generation = reply.generation;
    client.joined = true;
    client.synced = false;
    client.leads = reply.leader == reply.member_id && !reply.skip_assignment;
    client.members.clear();
    for (const auto& member : reply.members) client.members.push_back(member.member_id);
    EXPECT_TRUE(!client.leads || !client.members.empty());
  }

  void sync(Client& client) {
    classic::SyncRequest request;
    request.group = "g";
    request.member_id = client.member_id;
    request.instance_id = client.instance_id;
    request.generation = client.generation;
    if (client.leads) {
      std::vector<std::string> shares(client.members.size());
      for (int p = 0; p < kPartitions; ++p) {
        shares[static_cast<std::size_t>(p) % shares.size()] += static_cast<char>('0' + p);
      }
      for (std::size_t i = 0; i < shares.size(); ++i) {
        request.assignments.emplace_back(client.members[i], shares[i]);
      }
    }
    ++asked_;
    client.waits = true;
    const std::uint64_t number = ++client.request;
    const Time lease = now_ + std::chrono::milliseconds(kSessionMs);
    const ReplyTicket ticket =
        coordinator_->sync(request, now_, [this, &client, number, lease](classic::SyncReply reply) {
          ++answered_;
          if (client.request != number) return;
          client.waits = false;
          if (reply.error != ErrorCode::kOk) return failed(client, reply.error);
          told_generation_ = std::max(told_generation_, client.generation);
          client.told = client.generation;
          if (now_ >= lease) return;  // too late to be sure of it
          client.synced = true;
          client.lease = lease;
          for (const char p : reply.assignment) client.working.insert(p - '0');
        });
    if (client.request == number) client.waiting = ticket;
  }

  void heartbeat(Client& client) {
    const ErrorCode error = coordinator_->classic_heartbeat(
        "g", {client.member_id, client.instance_id, client.generation}, now_);
    if (error == ErrorCode::kOk) {
      client.lease = now_ + std::chrono::milliseconds(kSessionMs);
      return;
    }
    failed(client, error);
  }

  void commit(Client& client) {
    const ErrorCode error = coordinator_->commit_as(
        "g", {client.member_id, client.instance_id, client.generation}, {}, now_, [] {});
    if (error == ErrorCode::kOk) {
      EXPECT_GE(client.generation, told_generation_) << "a newer generation is at work";
    } else {
      failed(client, error);
    }
  }

  /// What clients do about errors.
  static void failed(Client& client, ErrorCode error) {
    switch (error) {
      case ErrorCode::kRebalancing:
        client.joined = client.synced = false;
        stop_working(client);
        return;
      case ErrorCode::kNotAvailable:
        return;
      case ErrorCode::kUnknownMember:
      case ErrorCode::kIllegalGeneration:
        return forget(client);
      case ErrorCode::kFencedInstanceId:  // the process before this one is meant; start anew
        return forget(client);
      default:
        ADD_FAILURE() << client.name << " got " << name_of(error);
    }
  }

  void check() {
    std::map<int, std::string> owners;
    for (const auto& client : clients_) {
      for (const int partition : client.working) {
        const auto [place, fresh] = owners.emplace(partition, client.name);
        EXPECT_TRUE(fresh) << partition << " has " << place->second << " and " << client.name;
      }
      for (const auto& [member_id, generation] : client.old) {
        // A restart brings the last stable generation back, if a newer one had no shares yet.
        if (generation >= told_generation_) continue;
        EXPECT_NE(coordinator_->commit_as("g", {member_id, std::nullopt, generation}, {true, true},
                                          now_, [] {}),
                  ErrorCode::kOk)
            << client.name << " may commit in its old generation " << generation;
      }
    }
  }

  GroupConfig config_;
  std::int32_t last_generation_ = 0;
  std::int32_t told_generation_ = 0;  ///< the newest whose shares a member was told
  std::size_t asked_ = 0;
  std::size_t answered_ = 0;
  std::size_t cancelled_ = 0;
  std::size_t lost_ = 0;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST(ClassicModel, APartitionHasOneOwnerWhateverHappens) {
  play<World>(1'000, [](World& world) {
    world.calm_down();
    if (!::testing::Test::HasFailure()) world.end();
  });
}

}  // namespace
}  // namespace runnel::broker
