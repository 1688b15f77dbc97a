// Requests of every API and version, changed at random: nothing crashes, what is refused costs no
// more memory than was received, what is answered is answered with a whole message of the right
// kind and of bounded size, and nobody but the connection that sent it notices.
//
// RUNNEL_MALFORMED_FRAMES=1000000 makes the campaign long; RUNNEL_SEED repeats one seed.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <future>
#include <iostream>
#include <map>
#include <new>

#include "broker/kafka/dispatch.h"
#include "protocol/base/bytes.h"
#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/messages.h"
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

/// What an answer may have: lists of all that a world has, and some for each byte of the question.
constexpr std::size_t kAnswerBytes = 256u << 10;
constexpr std::size_t kAnswerFactor = 16;
constexpr std::size_t kAnswerBytesOfAPartition = 128;
/// Memory that making an answer may take, beside what it has.
constexpr std::int64_t kAnswerMemoryFactor = 8;

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
  /// The most that an answer to a question of `asked` bytes may have.
  std::size_t largest_answer(std::size_t asked) const {
    std::size_t partitions = 0;
    for (const std::string& name : store_->topic_names()) {
      const auto info = store_->describe_topic(name);
      if (info) partitions += info->partitions.size();
    }
    return kAnswerBytes + kAnswerFactor * asked + kAnswerBytesOfAPartition * partitions;
  }
  /// Until the one worker has done what it was asked before, but for jobs of many steps.
  void let_workers_finish() {
    std::promise<void> reached;
    workers_->run(lane_, [&] {
      reached.set_value();
      return true;
    });
    reached.get_future().wait();
  }

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
  std::unique_ptr<Workers> workers_ = std::make_unique<Workers>(1);
  const std::shared_ptr<Workers::Lane> lane_ = workers_->make_lane();
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
  std::uint64_t answers = 0;
  std::size_t most_answer = 0;
  std::int64_t most_answer_memory = 0;
  double most_growth = 0;  ///< of a refused frame, in its bytes, beyond the slack
};

// ---------------------------------------------------------------- answers
struct Asked {
  kafka::ApiKey key{};
  std::int16_t version = 0;
  std::int32_t correlation = 0;
};

/// What a broker reads in `bytes`: frames as long as their lengths say, the last one maybe cut off.
std::deque<Asked> requests_in(Bytes bytes) {
  constexpr std::size_t kHead = kafka::kLengthBytes + 8;
  std::deque<Asked> all;
  while (bytes.size() >= kHead) {
    all.push_back({static_cast<kafka::ApiKey>(load_be<std::int16_t>(bytes.data() + 4)),
                   load_be<std::int16_t>(bytes.data() + 6),
                   load_be<std::int32_t>(bytes.data() + 8)});
    const auto size = kafka::frame_size(bytes, kafka::kMinRequestBytes, INT32_MAX);
    if (!size || !*size || **size > bytes.size()) break;
    bytes = bytes.subspan(**size);
  }
  return all;
}

/// Whether `body` is a whole response of that API.
Status check_body(kafka::ApiKey key, std::int16_t version, Bytes body) {
  using Check = Status (*)(std::int16_t, Bytes);
  static const std::map<kafka::ApiKey, Check> checks = [] {
    std::map<kafka::ApiKey, Check> all;
    kafka::for_each_exchange([&]<class E>() {
      using Response = typename E::Response;
      all[Response::kApi] = [](std::int16_t v, Bytes bytes) -> Status {
        RUNNEL_TRY(kafka::decode<Response>(bytes, v));
        return {};
      };
    });
    return all;
  }();
  const auto check = checks.find(key);
  if (check == checks.end()) return fail(ErrorCode::kMalformed, "an answer to no known API");
  return check->second(version, body);
}

/// One answer to one of `asked`, which loses it and those before it. Only Produce has no answer.
Status check_answer(Bytes frame, std::deque<Asked>& asked) {
  const Bytes message = frame.subspan(kafka::kLengthBytes);
  if (message.size() < sizeof(std::int32_t)) return fail(ErrorCode::kMalformed, "no header");
  const auto correlation = load_be<std::int32_t>(message.data());
  while (!asked.empty() && asked.front().correlation != correlation) {
    if (asked.front().key != kafka::ApiKey::kProduce) break;
    asked.pop_front();
  }
  if (asked.empty() || asked.front().correlation != correlation) {
    return fail(ErrorCode::kMalformed, "an answer that nobody asked for");
  }
  Asked to = asked.front();
  asked.pop_front();
  const KafkaApi* api = find_kafka_api(to.key);
  const bool offered =
      api != nullptr && to.version >= api->min_version && to.version <= api->max_version;
  if (!offered && to.key != kafka::ApiKey::kApiVersions) {
    return fail(ErrorCode::kMalformed, "an answer in a version that is not offered");
  }
  if (!offered) to.version = 0;
  RUNNEL_TRY_ASSIGN(const auto response,
                    kafka::decode_response_header(message, to.key, to.version));
  return check_body(to.key, to.version, response.body);
}

/// All that was sent.
void check_answers(const World& world, std::string_view frame, const std::string& sent,
                   Totals& totals) {
  std::deque<Asked> asked = requests_in(as_bytes(frame));
  const std::int16_t first = asked.empty() ? -1 : static_cast<std::int16_t>(asked.front().key);
  Bytes rest = as_bytes(sent);
  while (!rest.empty()) {
    const auto size = kafka::frame_size(rest, sizeof(std::int32_t), INT32_MAX);
    ASSERT_TRUE(size && *size && **size <= rest.size()) << "a cut answer, of API " << first;
    const Status whole = check_answer(rest.first(**size), asked);
    ASSERT_TRUE(whole) << whole.error().to_string() << ", after API " << first;
    rest = rest.subspan(**size);
    ++totals.answers;
  }
  totals.most_answer = std::max(totals.most_answer, sent.size());
  if (sent.size() <= kAnswerBytes) return;
  EXPECT_LE(sent.size(), world.largest_answer(frame.size())) << "of API " << first;
}

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
  if (!client.connection.sent.empty()) {
    totals.most_answer_memory = std::max(totals.most_answer_memory, growth);
    if (growth > kAnswerMemoryFactor * static_cast<std::int64_t>(kAnswerBytes)) {
      const auto allowed = static_cast<std::int64_t>(world.largest_answer(frame.size()));
      EXPECT_LE(growth, kAnswerMemoryFactor * allowed)
          << "for an answer to API " << static_cast<int>(frame[5]);
    }
  } else if (!client.connection.closed) {
    world.let_workers_finish();
    client.run_posted();
  }
  if (!client.connection.sent.empty()) {
    ++totals.answered;
    return check_answers(world, frame, client.connection.sent, totals);
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
              << totals.answered << " answered, with " << totals.answers << " messages and up to "
              << totals.most_answer << " bytes, for which up to " << totals.most_answer_memory
              << " bytes were taken; most growth of a refused frame: "
              << std::max(0.0, totals.most_growth) << " x its bytes and the slack; seed " << seed
              << '\n';
    EXPECT_GT(totals.closed, totals.frames / 20);
    EXPECT_GT(totals.answered, totals.frames / 4);
  });
}

}  // namespace
}  // namespace runnel::broker
