// The page docs/formats/kafka.md says what the code does.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/codec.h"
#include "protocol/kafka/offset_fetch.h"
#include "tests/protocol/record_batch/hex.h"

namespace runnel::protocol::kafka {
namespace {

std::string page() {
  std::ifstream file(RUNNEL_SOURCE_DIR "/docs/formats/kafka.md");
  EXPECT_TRUE(file) << "docs/formats/kafka.md cannot be read";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The bytes of a worked example; every line must begin with its own position.
Buffer example(const std::string& name) {
  std::istringstream lines(page());
  std::string line, digits;
  while (std::getline(lines, line) && line != "```hex " + name) continue;
  while (std::getline(lines, line) && line != "```") {
    const std::size_t at = from_hex(digits).size();
    EXPECT_EQ(std::stoul(line.substr(0, 4), nullptr, 16), at) << line;
    digits += line.substr(4, line.find('|') - 4);
  }
  return from_hex(digits);
}

OffsetFetchRequest example_request() {
  OffsetFetchRequest request;
  auto& group = request.groups.emplace_back();
  group.group_id = "billing";
  auto& topic = group.topics.emplace().emplace_back();
  topic.name = "orders";
  topic.partitions = {PartitionIndex(0), PartitionIndex(1)};
  return request;
}

TEST(KafkaPage, RequestExampleIsWhatItSays) {
  const Buffer frame = example("request");
  ASSERT_EQ(*frame_size(frame.bytes()), frame.size());
  const auto received = decode_request_header(frame.bytes().subspan(kLengthBytes));
  ASSERT_TRUE(received) << received.error().to_string();
  EXPECT_EQ(received->header.key, ApiKey::kOffsetFetch);
  EXPECT_EQ(received->header.version, 8);
  EXPECT_EQ(received->header.correlation_id, 7);
  EXPECT_EQ(received->header.client_id, "app");
  ASSERT_TRUE(decode<OffsetFetchRequest>(received->body, 8));
  const Frame made = encode_request(received->header, example_request());
  EXPECT_TRUE(std::ranges::equal(made.head.bytes(), frame.bytes()));
}

TEST(KafkaPage, ResponseExampleIsWhatItSays) {
  const Buffer frame = example("response");
  ASSERT_EQ(*frame_size(frame.bytes()), frame.size());
  ApiVersionsResponse response;
  response.error = KafkaError::kUnsupportedVersion;
  response.apis = {{18, 0, 4}};
  const Frame made = encode_response(7, 0, response);
  EXPECT_TRUE(std::ranges::equal(made.head.bytes(), frame.bytes()));
}

TEST(KafkaPage, TableHasEveryApi) {
  const std::string text = page();
  const std::regex row(R"(\n\| (\d+) \| (\w+) \| (\d+)–(\d+) \| (\d+|never) \|)");
  std::map<int, std::string> rows;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
    rows[std::stoi((*it)[1])] =
        (*it)[2].str() + " " + (*it)[3].str() + " " + (*it)[4].str() + " " + (*it)[5].str();
  }
  std::map<int, std::string> expected;
  for (const ApiInfo& api : apis()) {
    const std::string flexible =
        api.first_flexible == kNeverFlexible ? "never" : std::to_string(api.first_flexible);
    expected[static_cast<int>(api.key)] = std::string(api.name) + " " +
                                          std::to_string(api.min_version) + " " +
                                          std::to_string(api.max_version) + " " + flexible;
  }
  EXPECT_EQ(rows, expected);
}

}  // namespace
}  // namespace runnel::protocol::kafka
