// Requests of every API and version, changed at random: nothing crashes, what is refused costs no
// more memory than was received, and nobody but the connection that sent it notices.
//
// RUNNEL_MALFORMED_FRAMES=1000000 makes the campaign long; RUNNEL_SEED repeats one seed.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <new>

#include "broker/kafka/dispatch.h"
#include "protocol/base/bytes.h"
#include "protocol/kafka/api_versions.h"
#include "tests/broker/kafka/kafka_fixture.h"
#include "tests/broker/kafka/plausible.h"

namespace {
/// What this thread holds, and the most it held since this was last set. Frees of what another
/// thread has allocated count too, which is why only differences over one call mean something.
thread_local std::int64_t held_bytes = 0;
thread_local std::int64_t most_held_bytes = 0;

void* counted(void* p) {
  if (p == nullptr) throw std::bad_alloc();
  held_bytes += static_cast<std::int64_t>(malloc_usable_size(p));
  most_held_bytes = std::max(most_held_bytes, held_bytes);
  return p;
}
void release(void* p) noexcept {
  if (p != nullptr) held_bytes -= static_cast<std::int64_t>(malloc_usable_size(p));
  std::free(p);
}
}  // namespace

void* operator new(std::size_t size) {
  return counted(std::malloc(size));
}
void operator delete(void* p) noexcept {
  release(p);
}
void operator delete(void* p, std::size_t) noexcept {
  release(p);
}

namespace runnel::broker {
namespace {

using storage::SeededRandom;

constexpr std::uint64_t kFramesOfAShortRun = 20'000;
/// A world is used for so many frames: what is valid makes topics and groups, and these stay.
constexpr std::uint64_t kFramesOfAWorld = 20'000;
constexpr std::uint64_t kFramesBetweenGood = 250;
/// The first piece of a frame's memory, which is taken for what a length announces, and a message
/// about what is wrong.
constexpr std::int64_t kSlackBytes = (128 << 10) + (64 << 10);
/// From this size on a frame may hold enough empty elements to use up the slack that decoding
/// promises to keep to.
constexpr std::int64_t kLargeFrameBytes = 4096;

std::uint64_t frames_to_send() {
  const char* chosen = std::getenv("RUNNEL_MALFORMED_FRAMES");
  return chosen == nullptr ? kFramesOfAShortRun : std::strtoull(chosen, nullptr, 10);
}

/// A broker without sockets on a real store.
class World {
 public:
  World() {
    std::string name =
        (std::filesystem::temp_directory_path() / "runnel-malformed-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    storage::StoreOptions options;
    options.directory = directory_;
    options.segment_bytes = 16u << 20;
    store_ = std::move(storage::Store::open(options)).value();
    EXPECT_TRUE(store_->create_topic({"orders", 4, {}}));
    coordinator_ =
        std::move(Coordinator::open(
                      make_group_store(*store_), random_,
                      [this](std::string_view topic) {
                        const auto info = store_->describe_topic(topic);
                        return info ? static_cast<std::int32_t>(info->partitions.size()) : 0;
                      },
                      clock_.monotonic(), {}, [this] { return store_->topic_names(); }))
            .value();
    service_ = std::make_unique<KafkaService>(
        *store_, *coordinator_, clock_,
        KafkaService::Shared{
            gate(),
            [this](const auto& session, auto retry) { gate_->wait(session, std::move(retry)); },
            *workers_},
        KafkaWorld::quick_options());
    EXPECT_TRUE(service_->start());
  }
  ~World() {
    workers_.reset();
    service_.reset();
    coordinator_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  KafkaClient connect() { return KafkaClient(service_->factory()); }

 private:
  std::shared_ptr<MemoryGate> gate() {
    gate_ = std::make_shared<MemoryGate>(store_->memory());
    return gate_;
  }

  std::string directory_;
  std::unique_ptr<storage::Store> store_;
  storage::ManualClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<Coordinator> coordinator_;
  std::shared_ptr<MemoryGate> gate_;
  std::unique_ptr<Workers> workers_ = std::make_unique<Workers>(2);
  std::unique_ptr<KafkaService> service_;
};

/// Frames of the offered APIs, and what may become of them.
class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {
    for (const PlausibleRequest& request : plausible_requests()) {
      const KafkaApi* api = find_kafka_api(request.api);
      if (api == nullptr) continue;
      for (std::int16_t v = api->min_version; v <= api->max_version; ++v) {
        choices_.push_back({&request, v});
      }
    }
  }
  std::size_t choices() const { return choices_.size(); }
  /// Every version of every API in turn.
  std::string next() {
    std::string frame = valid(choices_[turn_++ % choices_.size()]);
    switch (below(8)) {
      case 0:
        break;  // as it is: what is behind it must be understood
      case 1:
      case 2:
      case 3:
        overwrite(frame, lie());
        break;
      case 4:
        for (std::uint64_t i = 0; i <= below(6); ++i) flip(frame);
        break;
      case 5:
        frame.resize(kafka::kLengthBytes + below(frame.size() - kafka::kLengthBytes));
        break;
      case 6: {
        const std::string other = valid(choices_[below(choices_.size())]);
        frame = frame.substr(0, below(frame.size())) + other.substr(below(other.size()));
        break;
      }
      default:
        frame.insert(place(frame), swell());
        break;
    }
    if (frame.size() >= kafka::kLengthBytes && below(16) != 0) {
      store_be(reinterpret_cast<std::byte*>(frame.data()),
               static_cast<std::int32_t>(frame.size() - kafka::kLengthBytes));
    }
    return frame;
  }
  std::uint64_t below(std::uint64_t limit) { return random_.next() % limit; }

 private:
  struct Choice {
    const PlausibleRequest* request;
    std::int16_t version;
  };
  std::string valid(const Choice& choice) { return choice.request->frame(random_, choice.version); }
  /// Most often behind the first bytes of the header, so that the request is still known.
  std::size_t place(const std::string& frame) {
    const std::size_t from = frame.size() > 12 && below(10) != 0 ? 12 : 0;
    return from + below(frame.size() - from);
  }
  void flip(std::string& frame) {
    char& byte = frame[place(frame)];
    byte = static_cast<char>(byte ^ (1 << below(8)));
  }
  void overwrite(std::string& frame, const std::string& by) {
    const std::size_t at = place(frame);
    frame.replace(at, std::min(by.size(), frame.size() - at), by);
  }
  std::string lie() {
    static constexpr std::int32_t kLies[] = {0, -1, -2, INT32_MAX, INT32_MIN, 20'000'000, 60'000};
    const std::int32_t lie = kLies[below(std::size(kLies))];
    switch (below(4)) {
      case 0:
        return ByteWriter().uvarint(static_cast<std::uint32_t>(lie)).take();
      case 1:
        return ByteWriter().be(static_cast<std::int16_t>(lie)).take();
      case 2:
        return std::string(5 + below(12), '\xff');
      default:
        return ByteWriter().be(lie).take();
    }
  }
  /// Now and then as much as a lie needs to look true for a while.
  std::string swell() {
    const std::size_t size = below(500) == 0 ? 1u << 20 : below(64);
    std::string bytes = lie();
    const char filler = static_cast<char>(below(3));
    bytes.resize(bytes.size() + size, filler);
    return bytes;
  }

  SeededRandom random_;
  std::vector<Choice> choices_;
  std::size_t turn_ = 0;
};

struct Totals {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t closed = 0;
  std::uint64_t answered = 0;
  double most_growth = 0;  ///< of a refused frame, in its bytes, beyond the slack
};

/// One frame on a connection of its own, in one piece or two.
void send_one(World& world, Mutator& mutator, Totals& totals) {
  const std::string frame = mutator.next();
  KafkaClient client = world.connect();
  const std::int64_t before = held_bytes;
  most_held_bytes = held_bytes;
  const std::size_t cut = mutator.below(4) == 0 ? mutator.below(frame.size() + 1) : frame.size();
  client.feed(std::string_view(frame).substr(0, cut));
  client.feed(std::string_view(frame).substr(cut));
  const std::int64_t growth = most_held_bytes - before;
  ++totals.frames;
  totals.bytes += frame.size();
  if (!client.connection.sent.empty()) {  // an answer may be much larger than its question
    ++totals.answered;
    return;
  }
  if (!client.connection.closed) return;
  ++totals.closed;
  const auto size = static_cast<std::int64_t>(std::max<std::size_t>(frame.size(), 1));
  const std::int64_t slack =
      kSlackBytes +
      (size < kLargeFrameBytes ? 0 : static_cast<std::int64_t>(kafka::kDecodeSlackBytes));
  totals.most_growth =
      std::max(totals.most_growth, static_cast<double>(growth - slack) / static_cast<double>(size));
  EXPECT_LE(growth, 2 * size + slack)
      << "for " << size << " bytes of API " << static_cast<int>(frame.size() > 5 ? frame[5] : -1);
}

TEST(KafkaMalformed, TheConnectionAlonePays) {
  storage::for_each_seed(1, 1, [](std::uint64_t seed) {
    Mutator mutator(seed);
    Totals totals;
    const std::uint64_t frames = frames_to_send();
    while (totals.frames < frames && !::testing::Test::HasFailure()) {
      World world;
      KafkaClient good = world.connect();
      for (std::uint64_t i = 0; i < kFramesOfAWorld && totals.frames < frames; ++i) {
        send_one(world, mutator, totals);
        if (i % kFramesBetweenGood == 0) {
          const auto answer = good.call<kafka::ApiVersionsResponse>(0, kafka::ApiVersionsRequest{});
          ASSERT_EQ(answer.error, kafka::KafkaError::kNone);
          ASSERT_FALSE(good.connection.closed);
        }
        if (::testing::Test::HasFailure()) return;
      }
    }
    std::cout << totals.frames << " frames, " << totals.bytes << " bytes, of " << mutator.choices()
              << " versions of APIs; " << totals.closed << " connections closed, "
              << totals.answered << " answered at once; most growth of a refused frame: "
              << std::max(0.0, totals.most_growth) << " x its bytes and the slack; seed " << seed
              << '\n';
    EXPECT_GT(totals.closed, totals.frames / 20);
    EXPECT_GT(totals.answered, totals.frames / 20);
  });
}

}  // namespace
}  // namespace runnel::broker
