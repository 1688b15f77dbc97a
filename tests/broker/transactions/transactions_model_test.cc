// Random producers under a few transactional ids, among them zombies, with lost answers, repeats,
// failing commits, restarts and timeouts; topics are deleted and made anew, and positions committed
// beside the transactions. Every record and position has its own number, so that afterwards it is
// known of each whether a reader of committed records may see it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/broker/transactions/fake_transaction_store.h"
#include "tests/support/seeds.h"

namespace runnel::broker {
namespace {

constexpr int kIds = 3;
constexpr int kPartitions = 4;
constexpr int kSteps = 400;

/// What became of a transaction, as far as its producer knows.
enum class Fate { kOpen, kCommitted, kAborted, kUnknown };

struct ModelTransaction {
  std::vector<std::pair<int, std::int64_t>> records;  ///< partition and value, acknowledged
  std::set<std::int64_t> unsure;                      ///< values never acknowledged
  std::optional<std::int64_t> position;
  /// Commits of the same position beside the transaction, since it has set its own.
  std::vector<std::pair<std::int64_t, std::shared_ptr<TransactionWorld::Answer>>> beside;
  Fate fate = Fate::kOpen;
};

/// One process of a client: it knows what it was told, and may have been replaced.
struct Producer {
  std::string id;
  ProducerIdentity who{kNoProducer, kNoEpoch};
  bool joins = false;  ///< speaks KIP-890
  bool alive = true;
  bool broken = false;  ///< must start anew
  std::map<int, std::int32_t> sequences;
  std::set<int> added;
  std::size_t transaction = 0;
  bool begun = false;
};

class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  void run() {
    for (int step = 0; step < kSteps && !::testing::Test::HasFatalFailure(); ++step) {
      act();
      check_always();
    }
    settle();
    check_at_end();
  }

 private:
  std::uint64_t pick(std::uint64_t n) { return random_.next() % n; }

  void act() {
    const auto what = pick(100);
    if (what < 12 || producers_.empty()) return start();
    if (what < 15) return restart();
    if (what < 18) return w_.pass(std::chrono::seconds(1 + pick(40)));
    if (what < 22) {
      w_.disk.failing = pick(2) == 0 ? ErrorCode::kOk : ErrorCode::kLowSpace;
      return;
    }
    if (what < 26) {
      hold_ = !hold_;
      if (!hold_) w_.disk.complete_all();
      w_.disk.at_once = !hold_;
      return;
    }
    if (what < 28) return make_anew(static_cast<int>(pick(kPartitions)));
    if (what < 31) return commit_beside();
    if (what < 40 && !w_.disk.pending.empty()) return complete_one();
    Producer& p = producers_[pick(producers_.size())];
    if (what < 70) return write(p);
    if (what < 80) return put_offset(p);
    end(p, pick(3) != 0);
  }

  /// A batch may be overtaken by others, when it has to be compressed anew.
  void complete_one() {
    const auto& pending = w_.disk.pending;
    const bool overtaken =
        pending.size() > 1 && !pending.front().request.appends.empty() && pick(3) == 0;
    w_.disk.complete_one(overtaken ? 1 : 0);
  }
  /// The topic's records and positions are gone, also those of open transactions.
  void make_anew(int partition) {
    w_.disk.remove(orders(partition));
    w_.disk.create("orders", partition);
    for (ModelTransaction& t : transactions_) {
      std::erase_if(t.records, [&](const auto& record) { return record.first == partition; });
    }
    if (partition >= kIds) return;
    for (const Producer& p : producers_) {
      if (position_of(p).of == orders(partition) && p.begun) {
        transactions_[p.transaction].position.reset();
      }
    }
    last_positions_.erase(partition);
  }
  void commit_beside() {
    if (beside_ && !beside_->has_value()) return;  // one at a time
    const int of = static_cast<int>(pick(kIds));
    const std::int64_t position = ++last_value_;
    // The other position is there so that its topic's deletion makes the commit fail.
    beside_ = w_.commit_beside({{"g", orders(of)}, {"other", orders(kPartitions - 1)}}, position);
    beside_positions_.insert(position);
    if (ok(beside_)) {
      last_positions_[of] = position;
    } else {
      last_positions_.erase(of);
    }
    for (const Producer& p : producers_) {
      if (!p.begun || position_of(p).of != orders(of)) continue;
      ModelTransaction& t = transactions_[p.transaction];
      if (t.position) t.beside.emplace_back(position, beside_);
    }
  }

  // Nothing but success is believed, and an answer that does not come at once is as good as lost.
  static bool ok(const std::shared_ptr<TransactionWorld::Answer>& answer) {
    return answer->has_value() && **answer == ErrorCode::kOk;
  }

  void start() {
    Producer p;
    p.id = std::string(1, static_cast<char>('a' + pick(kIds)));
    p.joins = pick(2) == 0;
    const auto answer = w_.start_init(p.id);
    if (!answer->has_value() || !**answer) return;
    p.who = ***answer;
    // The state that the start found open is aborted, and with it what others wrote.
    for (Producer& other : producers_) {
      if (other.id == p.id && other.begun) give_up(other);
    }
    EXPECT_TRUE(given_.insert({p.who.id.value(), p.who.epoch.value()}).second)
        << "an identity was given twice";
    producers_.push_back(p);
    if (producers_.size() > 8) producers_.erase(producers_.begin());
  }
  void give_up(Producer& p) {
    if (!p.begun) return;
    ModelTransaction& t = transactions_[p.transaction];
    if (t.fate == Fate::kOpen) t.fate = Fate::kAborted;
    p.begun = false;
    p.broken = true;
  }
  ModelTransaction& transaction_of(Producer& p) {
    if (!p.begun) {
      p.begun = true;
      p.transaction = transactions_.size();
      p.added.clear();
      transactions_.emplace_back();
    }
    return transactions_[p.transaction];
  }

  void write(Producer& p) {
    if (p.broken) return;
    const int to = static_cast<int>(pick(kPartitions));
    if (!p.joins && !p.added.contains(to)) {
      if (!ok(w_.add(p.id, p.who, {orders(to)}))) return;
      transaction_of(p);
      p.added.insert(to);
    }
    const std::int64_t value = ++last_value_;
    ModelTransaction& t = transaction_of(p);
    const auto answer = w_.write(p.id, p.who, orders(to), p.sequences[to], value, p.joins);
    if (!ok(answer)) {
      // Refused, or the answer was lost: the client gives the transaction up.
      t.unsure.insert(value);
      p.broken = true;
      return;
    }
    ++p.sequences[to];
    t.records.emplace_back(to, value);
    if (pick(6) == 0) {  // the answer is lost, the client repeats itself
      const auto again = w_.write(p.id, p.who, orders(to), p.sequences[to] - 1, value, p.joins);
      if (!ok(again)) p.broken = true;
    }
  }

  void put_offset(Producer& p) {
    if (p.broken) return;
    if (!p.joins && !ok(w_.add_group(p.id, p.who, "g"))) return;
    ModelTransaction& t = transaction_of(p);
    const std::int64_t position = ++last_value_;
    if (!ok(w_.put_offset(p.id, p.who, p.joins, position_of(p), position))) {
      p.broken = true;
      t.unsure.insert(position);
      return;
    }
    t.position = position;
    t.beside.clear();
  }
  static OffsetKey position_of(const Producer& p) {
    return {"g", {"orders", PartitionIndex(p.id[0] - 'a')}};
  }

  void end(Producer& p, bool commit) {
    if (!p.begun) return;
    ModelTransaction& t = transactions_[p.transaction];
    if (p.broken && commit) commit = false;  // no client commits after an error
    const ProducerIdentity before = p.who;
    const int tries = pick(4) == 0 ? 2 : 1;  // the first answer may be lost
    for (int i = 0; i < tries; ++i) {
      const auto answer = w_.start_end(p.id, before, commit, p.joins);
      if (!answer->has_value()) {
        t.fate = Fate::kUnknown;
        p.broken = true;
        p.begun = false;
        waiting_.push_back({p.transaction, commit, answer});
        return;
      }
      if (!**answer) {
        // Not now, or never: what is not committed is not visible.
        if (i > 0) ADD_FAILURE() << "a repeat was refused: " << (**answer).error().to_string();
        const bool again = (**answer).error().code() == ErrorCode::kConcurrentTransactions;
        if (!again) {
          if (t.fate == Fate::kOpen) t.fate = Fate::kAborted;
          p.broken = true;
          p.begun = false;
        }
        return;
      }
      p.who = ***answer;
    }
    t.fate = commit ? Fate::kCommitted : Fate::kAborted;
    if (commit && t.position) check_position(position_of(p), t);
    p.begun = false;
    if (p.joins) p.sequences.clear();
  }

  /// Of a transaction that was just committed.
  void check_position(const OffsetKey& key, const ModelTransaction& t) {
    std::int64_t expected = *t.position;
    for (const auto& [position, answer] : t.beside) {
      ASSERT_TRUE(answer->has_value()) << "committed before it was known which position holds";
      if (**answer == ErrorCode::kOk) expected = position;
    }
    EXPECT_EQ(w_.offset(key), Offset(expected));
    last_positions_[key.of.partition.value()] = expected;
  }

  void restart() {
    w_.disk.at_once = true;
    hold_ = false;
    w_.disk.failing = ErrorCode::kOk;
    w_.restart();
    // Nobody knows what became of those on their way.
    for (Producer& p : producers_) p.broken = p.broken || pick(2) == 0;
  }

  void settle() {
    w_.disk.failing = ErrorCode::kOk;
    w_.disk.at_once = true;
    w_.disk.complete_all();
    for (int i = 0; i < kIds; ++i) {
      for (int tries = 0;; ++tries) {
        ASSERT_LT(tries, 5) << "an id is wedged";
        const auto answer = w_.start_init(std::string(1, static_cast<char>('a' + i)));
        if (answer->has_value() && **answer) break;
        w_.pass(std::chrono::seconds(2));
      }
    }
  }

  std::set<std::int64_t> visible() {
    std::set<std::int64_t> all;
    for (int i = 0; i < kPartitions; ++i) {
      for (const std::int64_t value : w_.partition(i).committed()) {
        EXPECT_TRUE(all.insert(value).second) << "record " << value << " is there twice";
      }
    }
    return all;
  }
  void check_always() {
    const auto all = visible();
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      const ModelTransaction& t = transactions_[i];
      for (const auto& [partition, value] : t.records) {
        if (t.fate == Fate::kUnknown) continue;
        ASSERT_EQ(all.contains(value), t.fate == Fate::kCommitted)
            << "record " << value << " of transaction " << i;
      }
      if (t.fate == Fate::kCommitted || t.fate == Fate::kUnknown) continue;
      for (const std::int64_t value : t.unsure) ASSERT_FALSE(all.contains(value)) << value;
    }
  }
  void check_at_end() {
    const auto all = visible();
    for (int i = 0; i < kPartitions; ++i) EXPECT_FALSE(w_.partition(i).has_open()) << i;
    for (const ModelTransaction& t : transactions_) {  // those of unknown fate: all or nothing
      std::size_t seen = 0;
      for (const auto& [partition, value] : t.records) seen += all.count(value);
      EXPECT_TRUE(seen == 0 || seen == t.records.size());
    }
    for (const auto& [transaction, commit, answer] : waiting_) {
      const ModelTransaction& t = transactions_[transaction];
      if (!answer->has_value() || !**answer || t.records.empty()) continue;
      EXPECT_EQ(all.contains(t.records.front().second), commit) << "what was answered late holds";
    }
    for (const auto& [key, value] : w_.disk.state) {
      EXPECT_TRUE(key.starts_with("txn/")) << key << " was left behind";
    }
    for (const auto& [partition, position] : last_positions_) {
      const bool unsure = std::ranges::any_of(transactions_, [](const ModelTransaction& t) {
        return t.fate == Fate::kUnknown && t.position;
      });
      const OffsetKey key{"g", orders(partition)};
      if (unsure) continue;
      EXPECT_EQ(w_.offset(key), Offset(position));
    }
    for (const auto& [key, offset] : w_.disk.offsets) {
      if (beside_positions_.contains(offset.value())) continue;
      bool known = false;
      for (const ModelTransaction& t : transactions_) {
        if (t.position != offset.value()) continue;
        known = true;
        EXPECT_TRUE(t.fate == Fate::kCommitted || t.fate == Fate::kUnknown);
        const bool records = std::ranges::all_of(
            t.records, [&](const auto& record) { return all.contains(record.second); });
        EXPECT_TRUE(records) << "a position without its records";
      }
      EXPECT_TRUE(known) << "position " << offset.value() << " was never acknowledged";
    }
  }

  struct Late {
    std::size_t transaction;
    bool commit;
    std::shared_ptr<TransactionWorld::Identity> answer;
  };

  storage::SeededRandom random_;
  TransactionWorld w_;
  std::vector<Producer> producers_;
  std::vector<ModelTransaction> transactions_;
  std::vector<Late> waiting_;
  std::map<int, std::int64_t> last_positions_;  ///< by partition: what is certainly there
  std::set<std::int64_t> beside_positions_;
  std::shared_ptr<TransactionWorld::Answer> beside_;
  std::set<std::pair<std::int64_t, std::int16_t>> given_;
  std::int64_t last_value_ = 0;
  bool hold_ = false;
};

TEST(TransactionsModel, CommittedOnceAbortedNever) {
  storage::for_each_seed(1, 300, [](std::uint64_t seed) { Model(seed).run(); });
}

}  // namespace
}  // namespace runnel::broker
