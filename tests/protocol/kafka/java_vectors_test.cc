// Messages as Apache Kafka's own classes write them, made while the test runs.
//
// Needs a JDK and RUNNEL_KAFKA_CLASSPATH, a Java class path with kafka-clients; skipped without.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>

#include "tests/protocol/kafka/any_message.h"
#include "tests/protocol/record_batch/hex.h"

namespace runnel::protocol::kafka {
namespace {

/// What the program prints; empty if it cannot be run.
std::string output_of(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string out;
  char part[1 << 16];
  for (std::size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) out.append(part, n);
  return pclose(pipe) == 0 ? out : std::string();
}

struct Vector {
  int key = 0;
  std::int16_t version = 0;
  std::string side;
  std::string hex;
};

const AnyMessage* find_message(const Vector& v) {
  const Side side = v.side == "request" ? Side::kRequest : Side::kResponse;
  for (const AnyMessage& m : all_messages()) {
    if (static_cast<int>(m.api) == v.key && m.side == side) return &m;
  }
  return nullptr;
}

TEST(KafkaJavaVectors, AreReadAndWrittenByteForByte) {
  const char* const classpath = std::getenv("RUNNEL_KAFKA_CLASSPATH");
  if (classpath == nullptr || *classpath == 0) GTEST_SKIP() << "RUNNEL_KAFKA_CLASSPATH is not set";
  const char* const chosen = std::getenv("RUNNEL_SEED");
  const std::string seed = chosen != nullptr ? chosen : "1";
  SCOPED_TRACE("to repeat: RUNNEL_SEED=" + seed);
  std::istringstream lines(
      output_of("java -cp '" + std::string(classpath) +
                "' " RUNNEL_SOURCE_DIR "/tests/protocol/kafka/KafkaVectors.java " + seed + " 10"));
  std::set<std::string> covered;
  std::size_t checked = 0;
  for (Vector v; lines >> v.key >> v.version >> v.side >> v.hex;) {
    const AnyMessage* const message = find_message(v);
    if (message == nullptr || !message->info().has(v.version)) continue;
    const Buffer body = from_hex(v.hex == "-" ? "" : v.hex);
    const auto again = message->recode(body.bytes(), v.version);
    ASSERT_TRUE(again) << message->name() << " v" << v.version << ": " << again.error().to_string()
                       << "\n"
                       << v.hex;
    ASSERT_TRUE(std::ranges::equal(as_bytes(*again), body.bytes()))
        << message->name() << " v" << v.version << "\n"
        << v.hex << "\n"
        << testing::PrintToString(*again);
    covered.insert(message->name() + " v" + std::to_string(v.version));
    ++checked;
  }
  ASSERT_GT(checked, 0u) << "java printed nothing";
  EXPECT_GE(covered.size(), 440u) << "a release from 3.9 on has more";
  std::printf("%zu messages, %zu kinds and versions\n", checked, covered.size());
  // No release has them all: 4.0 has dropped the oldest versions.
  for_each_message([&](const AnyMessage& message, std::int16_t version) {
    const std::string name = message.name() + " v" + std::to_string(version);
    if (!covered.contains(name)) std::printf("not covered: %s\n", name.c_str());
  });
}

}  // namespace
}  // namespace runnel::protocol::kafka
