// kill -9 of a process that runs transactions on a store, again and again on one directory. Each
// spans partitions, a consumer offset and state. After each kill another process opens the store:
// what was acknowledged has ended, and whatever has ended has ended everywhere. Topics come and go
// meanwhile, and the index is saved between checkpoints.
//
// Stores live in child processes only: this one forks, and threads do not survive that.
//
// RUNNEL_KILLS sets the number of kills (default 12), RUNNEL_SEED the first seed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "storage/log/log_store.h"
#include "storage/store.h"
#include "tests/storage/log/committed_reader.h"

namespace runnel::storage {
namespace {

constexpr int kPartitions = 4;
constexpr std::string_view kTopic = "t";

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What transaction `number` does follows from its number.
bool commits(std::int64_t number) {
  return number % 3 != 0;
}
bool writes_to(std::int64_t number, int partition) {
  return ((number * 2'654'435'761) >> (partition + 5)) % 2 != 0 ||
         number % kPartitions == partition;
}
std::string value_of(std::int64_t number, int partition) {
  return std::to_string(number) + "/" + std::to_string(partition) +
         std::string(static_cast<std::size_t>(number % 50) * 20, '.');
}

/// In a child process. Returns why it can't go on.
class Worker {
 public:
  explicit Worker(const std::string& directory) {
    StoreOptions options;
    options.directory = directory;
    options.memory_bytes = 64u << 20;
    options.segment_bytes = 1u << 20;
    options.low_space_bytes = 0;
    options.ballast_bytes = 0;
    auto opened = Store::open(std::move(options));
    if (!opened) die("open", opened.error());
    store_ = std::move(*opened);
    if (store_->topic_names().empty()) {
      const auto made =
          store_->create_topic({std::string(kTopic), kPartitions, {{"retention.ms", "-1"}}});
      if (!made) die("create", made.error());
    }
    for (int i = 0; i < kPartitions; ++i) {
      partitions_.push_back(store_->partition(kTopic, PartitionIndex(i)).value());
    }
    const auto state = store_->read_state("txn");
    if (!state) die("state", state.error());
    ended_ = state->empty() ? 0 : std::stoll(state->front().second);
  }

  [[noreturn]] static void die(const std::string& what, const Error& error) {
    std::fprintf(stderr, "%s: %s\n", what.c_str(), error.to_string().c_str());
    std::_Exit(1);
  }

  /// Runs transactions until it is killed; writes the number of each acknowledged end.
  [[noreturn]] void run(int acknowledged) {
    end_what_hangs();
    const auto me = store_->new_producer();
    if (!me) die("producer", me.error());
    std::map<int, std::int32_t> sequences;
    for (std::int64_t number = ended_ + 1;; ++number) {
      CommitRequest end;
      for (int p = 0; p < kPartitions; ++p) {
        if (!writes_to(number, p)) continue;
        protocol::BatchOptions options;
        options.producer_id = me->id;
        options.producer_epoch = me->epoch;
        options.base_sequence = sequences[p]++;
        options.transactional = true;
        protocol::BatchBuilder builder(options);
        const std::string value = value_of(number, p);
        builder.add({Timestamp(number), std::nullopt, value});
        CommitRequest request;
        request.appends.push_back({partition(p), *builder.finish(), {}, std::nullopt});
        store_->commit(std::move(request), [](const CommitOutcome& outcome) {
          if (!outcome.result) die("write", outcome.result.error());
        });
        end.markers.push_back({partition(p), *me, commits(number), 0});
      }
      end.offsets.push_back(
          {"g", std::string(kTopic), PartitionIndex(0), Offset(number), LeaderEpoch(0), ""});
      end.state.push_back({"txn", std::to_string(number)});
      store_->commit(std::move(end), [number, acknowledged](const CommitOutcome& outcome) {
        if (!outcome.result) die("end", outcome.result.error());
        if (::write(acknowledged, &number, sizeof number) != sizeof number) std::_Exit(1);
      });
      if (number % 8 == 0) (void)store_->commit_and_wait({});
      if (number % 64 == 0) pass_by(number / 64);
    }
  }

  /// A topic comes, is written to and goes again, and the index gets ahead of its checkpoint.
  void pass_by(std::int64_t pass) {
    const auto passing = store_->partition("passing", PartitionIndex(0));
    if (!passing) {
      if (const auto made = store_->create_topic({"passing", 1, {}}); !made) {
        die("create", made.error());
      }
    } else if (pass % 4 == 0) {
      if (const auto gone = store_->delete_topic("passing"); !gone) die("delete", gone.error());
    } else {
      protocol::BatchBuilder builder(protocol::BatchOptions{});
      builder.add({Timestamp(pass), std::nullopt, "passing"});
      CommitRequest request;
      request.appends.push_back({*passing, *builder.finish(), {}, std::nullopt});
      const auto done = store_->commit_and_wait(std::move(request));
      if (!done.result) die("write", done.result.error());
    }
    const auto saved = static_cast<LogStore&>(*store_).flush_index();
    if (!saved) die("save the index", saved.error());
  }

  /// The number of promises that do not hold.
  int verify(std::int64_t acknowledged) {
    int broken = 0;
    const auto expect = [&](bool holds, const std::string& what) {
      if (holds) return;
      if (++broken < 10) std::fprintf(stderr, "%s\n", what.c_str());
    };
    expect(ended_ >= acknowledged, "transaction " + std::to_string(acknowledged) +
                                       " was acknowledged, " + std::to_string(ended_) +
                                       " is the last that ended");
    const auto found = store_->committed_offset("g", kTopic, PartitionIndex(0));
    if (!found) die("offset", found.error());
    const std::optional<CommittedOffset>& offset = *found;
    expect((offset ? offset->offset.value() : 0) == ended_, "the offset is not the last one's");
    for (const bool cleaned : {false, true}) {
      if (cleaned) end_what_hangs();
      for (int p = 0; p < kPartitions; ++p) {
        bool readable = false;
        std::set<std::string> seen;
        for (auto& [at, value] :
             read_committed(*store_, partition(p), Offset(0), 1u << 20, readable)) {
          expect(seen.insert(value).second, "twice: " + value);
        }
        expect(readable, "partition " + std::to_string(p) + " can't be read");
        std::size_t expected = 0;
        for (std::int64_t number = 1; number <= ended_; ++number) {
          if (!writes_to(number, p) || !commits(number)) continue;
          ++expected;
          expect(seen.contains(value_of(number, p)), "lost: " + value_of(number, p));
        }
        expect(seen.size() == expected,
               "partition " + std::to_string(p) + " shows what was not committed");
        const auto info = store_->partition_info(partition(p));
        expect(!cleaned || info.last_stable == info.high_watermark, "something is still open");
      }
    }
    // Every other time the next life begins at a checkpoint.
    if (ended_ % 2 == 0) {
      if (const Status closed = store_->close(); !closed) die("close", closed.error());
    }
    return broken;
  }

 private:
  const PartitionRef& partition(int i) { return partitions_[static_cast<std::size_t>(i)]; }

  /// As a coordinator does with what a producer left open.
  void end_what_hangs() {
    std::map<std::int64_t, CommitRequest> requests;  // by producer
    for (const PartitionRef& p : partitions_) {
      const auto known = store_->producers(p);
      if (!known) die("producers", known.error());
      for (const ProducerInfo& info : *known) {
        if (info.transaction_first == kNoOffset) continue;
        requests[info.id.value()].markers.push_back({p, {info.id, info.epoch + 1}, false, 0});
      }
    }
    for (auto& [id, request] : requests) {
      const auto done = store_->commit_and_wait(std::move(request));
      if (!done.result) die("abort", done.result.error());
    }
  }

  std::unique_ptr<Store> store_;
  std::vector<PartitionRef> partitions_;
  std::int64_t ended_ = 0;
};

/// Runs `work` in a process of its own.
template <class F>
pid_t in_child(F work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    std::_Exit(0);
  }
  return child;
}

/// Runs and kills a worker; gives the last transaction that it acknowledged, at least `before`.
std::int64_t run_and_kill(const std::string& directory, std::chrono::microseconds life,
                          std::int64_t before) {
  int ends[2];
  if (::pipe(ends) != 0) return before;
  const pid_t child = in_child([&] {
    ::close(ends[0]);
    Worker(directory).run(ends[1]);
  });
  ::close(ends[1]);
  std::thread killer([child, life] {
    std::this_thread::sleep_for(life);
    ::kill(child, SIGKILL);
  });
  std::int64_t number = 0;
  while (::read(ends[0], &number, sizeof number) == sizeof number) before = number;
  killer.join();
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it ended by itself";
  return before;
}

TEST(TransactionKill, WhatHasEndedHasEndedEverywhere) {
  std::string directory =
      (std::filesystem::temp_directory_path() / "runnel-transactions-XXXXXX").string();
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::uint64_t seed = number_from("RUNNEL_SEED", 1);
  const std::uint64_t kills = number_from("RUNNEL_KILLS", 12);
  SCOPED_TRACE("RUNNEL_SEED=" + std::to_string(seed));
  std::mt19937_64 rng(seed);
  std::int64_t acknowledged = 0;
  for (std::uint64_t i = 0; i < kills && !::testing::Test::HasFailure(); ++i) {
    // Also while it starts.
    const std::chrono::microseconds life(rng() % (i % 4 == 3 ? 30'000 : 400'000));
    acknowledged = run_and_kill(directory, life, acknowledged);
    const pid_t child =
        in_child([&] { std::_Exit(Worker(directory).verify(acknowledged) == 0 ? 0 : 1); });
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "after kill " << i;
  }
  EXPECT_GT(acknowledged, 0) << "no transaction ever ended";
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

}  // namespace
}  // namespace runnel::storage
