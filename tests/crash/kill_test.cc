// kill -9 of the real binary under load, again and again on one directory. Producers and consumers
// are the C++ client's and ride over each restart; what they were told must hold for ever.
//
// RUNNEL_KILLS sets the number of kills (default 20), RUNNEL_SEED the seed.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "runnel/client.h"
#include "tests/crash/broker_process.h"
#include "tests/crash/history.h"

namespace runnel {
namespace {

using namespace std::chrono_literals;

constexpr std::int32_t kPartitions = 6;
constexpr std::uint32_t kProducers = 4;
constexpr std::uint64_t kInFlight = 64;  // records of one producer
constexpr auto kPatience = 60s;
constexpr auto kReadyBar = 1000ms;
constexpr const char* kTopic = "kills";
constexpr const char* kGroup = "readers";

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TopicPartition target(std::int32_t partition) {
  return {kTopic, partition};
}

/// Counts acknowledgements; waits for a number of them.
class Progress {
 public:
  void add() {
    std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  /// False if `more` did not come in time.
  bool wait_for(std::uint64_t more) {
    std::unique_lock lock(mutex_);
    const std::uint64_t goal = count_ + more;
    return changed_.wait_for(lock, kPatience, [&] { return count_ >= goal; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

/// An idempotent producer on a connection and a thread of its own, until it is told to stop.
class LoadProducer {
 public:
  LoadProducer(std::uint32_t name, const std::string& address, std::uint64_t seed, History& history,
               Progress& progress)
      : name_(name),
        address_(address),
        rng_(seed),
        history_(history),
        progress_(progress),
        thread_([this] { run(); }) {}
  ~LoadProducer() { stop(); }
  LoadProducer(const LoadProducer&) = delete;
  LoadProducer& operator=(const LoadProducer&) = delete;

  /// Sends no more, waits for every outcome. Returns how many records were sent.
  std::uint64_t stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return number_;
  }

 private:
  void run() {
    auto client = connect(address_);
    if (!client) {
      history_.contradict_with("a producer can't connect: " + client.error().to_string());
      return;
    }
    ProducerOptions options;
    options.batch_bytes = 4096;
    auto producer = client->producer(std::move(options));
    while (!stopping_) {
      {
        std::unique_lock lock(mutex_);
        if (!answered_.wait_for(lock, kPatience, [&] { return in_flight_ < kInFlight; })) {
          history_.contradict_with("a producer waits for ever");
          return;
        }
        ++in_flight_;
      }
      send(producer);
    }
    if (const auto closed = producer.close(kPatience); !closed) {
      history_.contradict_with("a producer can't finish: " + closed.error().to_string());
    }
  }

  void send(Producer& producer) {
    const WrittenValue value{name_, ++number_};
    const auto partition = static_cast<std::int32_t>(rng_() % kPartitions);
    const std::string text = value.text(rng_() % 10 == 0 ? rng_() % 8000 : rng_() % 200);
    Message message;
    message.topic = kTopic;
    message.value = text;
    message.partition = partition;
    producer.send(message, [this, value, partition](Outcome<Delivery> outcome) {
      if (!outcome) {
        history_.contradict_with("a producer gave up on " + value.text(0) + ": " +
                                 outcome.error().to_string());
      } else if (outcome->target.partition != partition) {
        history_.contradict_with(value.text(0) + " went to another partition");
      } else {
        history_.told(static_cast<std::size_t>(partition), outcome->offset, value, true);
        progress_.add();
      }
      std::lock_guard lock(mutex_);
      --in_flight_;
      answered_.notify_all();
    });
  }

  const std::uint32_t name_;
  const std::string address_;
  std::mt19937_64 rng_;
  History& history_;
  Progress& progress_;
  std::atomic<bool> stopping_{false};
  std::uint64_t number_ = 0;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::uint64_t in_flight_ = 0;
  std::thread thread_;
};

/// Reads everything once, in order, over all restarts, and commits as it goes.
class LoadConsumer {
 public:
  LoadConsumer(const std::string& address, History& history)
      : address_(address),
        history_(history),
        reader_(history, kPartitions, "consumer"),
        acknowledged_(kPartitions, -1),
        attempted_(kPartitions, -1),
        thread_([this] { run(); }) {}
  ~LoadConsumer() { stop(); }
  LoadConsumer(const LoadConsumer&) = delete;
  LoadConsumer& operator=(const LoadConsumer&) = delete;

  std::uint64_t stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return commits_;
  }
  [[nodiscard]] std::vector<std::int64_t> acknowledged() const {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  [[nodiscard]] std::vector<std::int64_t> attempted() const {
    std::lock_guard lock(mutex_);
    return attempted_;
  }

 private:
  void run() {
    auto client = connect(address_);
    if (!client) {
      history_.contradict_with("the consumer can't connect: " + client.error().to_string());
      return;
    }
    ConsumerOptions options;
    options.group = kGroup;
    auto consumer = client->consumer(std::move(options));
    std::vector<std::pair<TopicPartition, Position>> all;
    for (std::int32_t p = 0; p < kPartitions; ++p) all.emplace_back(target(p), Position::at(0));
    if (const auto assigned = consumer.assign(all).get(); !assigned) {
      history_.contradict_with("the consumer can't assign: " + assigned.error().to_string());
      return;
    }
    while (!stopping_) {
      const auto batch = consumer.poll(20ms).get();
      if (!batch) {
        history_.contradict_with("poll: " + batch.error().to_string());
        return;
      }
      for (const Record& r : *batch) {
        reader_.saw(static_cast<std::size_t>(r.partition), r.offset, r.value.value_or(""));
      }
      if (!batch->empty()) commit(consumer);
    }
  }

  void commit(Consumer& consumer) {
    std::vector<GroupOffset> offsets;
    {
      std::lock_guard lock(mutex_);
      for (std::int32_t p = 0; p < kPartitions; ++p) {
        const auto i = static_cast<std::size_t>(p);
        attempted_[i] = reader_.next(i);
        offsets.push_back({target(p), attempted_[i], "", {}});
      }
    }
    const auto done = consumer.commit(offsets).get();
    if (!done) return;  // the connection went; the next commit says it again
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < offsets.size(); ++i) acknowledged_[i] = offsets[i].offset;
    ++commits_;
  }

  const std::string address_;
  History& history_;
  LogReader reader_;
  mutable std::mutex mutex_;
  std::vector<std::int64_t> acknowledged_;
  std::vector<std::int64_t> attempted_;
  std::uint64_t commits_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class Kills : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "runnel-kills-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    broker_.reset();
    if (!HasFailure()) {
      std::filesystem::remove_all(directory_);
    } else {
      std::cout << "the directory is kept: " << directory_ << "\n";
    }
  }

  /// Every other time the log is written past the page cache.
  void launch() {
    std::vector<std::string> more;
    if (starts_++ % 2 == 0) more = {"--page-cache", "0"};
    broker_ = std::make_unique<BrokerProcess>(RUNNEL_BINARY, directory_, address_, more);
  }

  /// Starts the broker and waits for its first answer; the time from exec to it.
  void start() {
    launch();
    const std::string address = broker_->wait_for_address(kPatience);
    ASSERT_NE(address, "") << broker_->log();
    auto client = connect(address);
    ASSERT_TRUE(client) << client.error().to_string() << "\n" << broker_->log();
    ASSERT_TRUE(client->admin().list_topics().get());
    const auto ready = BrokerProcess::Clock::now() - broker_->started();
    slowest_start_ = std::max(slowest_start_, ready);
    address_ = address;  // the same port from now on, so that clients find it again
    admin_ = std::make_unique<Client>(*client);
  }

  /// Reads on to the end and compares with what was told before the kill.
  void verify(History& history, LogReader& reader, const std::vector<std::int64_t>& told) {
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      const auto i = static_cast<std::size_t>(p);
      const auto end =
          admin_->admin().list_offsets({{target(p), OffsetLookup::Kind::latest, {}}}).get();
      ASSERT_TRUE(end) << end.error().to_string();
      ASSERT_FALSE((*end)[0].error);
      EXPECT_GE((*end)[0].offset, told[i]) << "partition " << p << " lost its end";
      while (reader.next(i) < (*end)[0].offset) {
        FetchRequest request;
        request.items.push_back({target(p), reader.next(i)});
        const auto fetched = admin_->fetch(request).get();
        ASSERT_TRUE(fetched) << fetched.error().to_string();
        ASSERT_FALSE((*fetched)[0].error) << (*fetched)[0].error->to_string();
        const auto records = (*fetched)[0].decode(reader.next(i));
        ASSERT_TRUE(records) << records.error().to_string();
        ASSERT_FALSE(records->empty());
        for (const Record& r : *records) reader.saw(i, r.offset, r.value.value_or(""));
      }
    }
    EXPECT_EQ(history.contradictions(), std::vector<std::string>());
  }

  void verify_group(const std::vector<std::int64_t>& acknowledged, const LoadConsumer& consumer) {
    const auto offsets = admin_->admin().group_offsets(kGroup).get();
    ASSERT_TRUE(offsets) << offsets.error().to_string();
    const auto attempted = consumer.attempted();
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      const auto i = static_cast<std::size_t>(p);
      std::int64_t now = -1;
      for (const GroupOffset& o : *offsets) {
        if (o.target == target(p)) now = o.offset;
      }
      EXPECT_GE(now, acknowledged[i]) << "the committed offset of partition " << p << " went back";
      EXPECT_LE(now, attempted[i]) << "partition " << p;
    }
  }

  std::string directory_;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<BrokerProcess> broker_;
  std::unique_ptr<Client> admin_;
  std::uint64_t starts_ = 0;
  BrokerProcess::Clock::duration slowest_start_{0};
};

TEST_F(Kills, NothingToldToAClientIsEverTakenBack) {
  const std::uint64_t kills = number_from("RUNNEL_KILLS", 20);
  const std::uint64_t seed = number_from("RUNNEL_SEED", std::random_device()());
  std::cout << "to repeat: RUNNEL_KILLS=" << kills << " RUNNEL_SEED=" << seed << "\n";
  SCOPED_TRACE("RUNNEL_SEED=" + std::to_string(seed));
  std::mt19937_64 rng(seed);

  ASSERT_NO_FATAL_FAILURE(start());
  const auto made = admin_->admin().create_topic({kTopic, kPartitions, {}, false}).get();
  ASSERT_TRUE(made) << made.error().to_string();
  History history(kPartitions);
  Progress progress;
  std::vector<std::unique_ptr<LoadProducer>> producers;
  for (std::uint32_t p = 1; p <= kProducers; ++p) {
    producers.push_back(std::make_unique<LoadProducer>(p, address_, rng(), history, progress));
  }
  LoadConsumer consumer(address_, history);
  auto reader = std::make_unique<LogReader>(history, kPartitions, "check");

  std::uint64_t in_start = 0;
  for (std::uint64_t kill = 1; kill <= kills; ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    ASSERT_TRUE(progress.wait_for(1 + rng() % 4000)) << "no acknowledgements any more\n"
                                                     << broker_->log();
    const auto committed = consumer.acknowledged();
    admin_.reset();
    broker_->kill_now();
    const auto told = history.ends();
    if (rng() % 4 == 0) {  // and once more while it starts
      launch();
      broker_->watch(std::chrono::milliseconds(rng() % 60));
      broker_->kill_now();
      ++in_start;
    }
    ASSERT_NO_FATAL_FAILURE(start());
    // From the first record every few kills, else from where the last look ended.
    if (kill % 10 == 0) reader = std::make_unique<LogReader>(history, kPartitions, "check");
    ASSERT_NO_FATAL_FAILURE(verify(history, *reader, told));
    ASSERT_NO_FATAL_FAILURE(verify_group(committed, consumer));
    if (HasFailure()) break;
  }

  std::uint64_t sent = 0;
  for (auto& producer : producers) sent += producer->stop();
  const std::uint64_t commits = consumer.stop();
  EXPECT_EQ(history.acknowledged(), sent);
  EXPECT_GT(commits, 0U);
  LogReader all(history, kPartitions, "last check");
  ASSERT_NO_FATAL_FAILURE(verify(history, all, history.ends()));
  EXPECT_EQ(all.records(), sent) << "each record once, and nothing else";
  admin_.reset();
  EXPECT_EQ(broker_->end(SIGTERM), 0) << broker_->log();
  using Seconds = std::chrono::duration<double>;
  std::cout << kills << " kills under load, " << in_start << " while starting, " << sent
            << " records, " << commits << " offset commits; slowest start "
            << Seconds(slowest_start_).count() << " s\n";
  EXPECT_LE(slowest_start_, kReadyBar);
}

}  // namespace
}  // namespace runnel
