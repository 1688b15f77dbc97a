#include "tools/text/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::tools {
namespace {

TEST(BrokerAddress, TakesNamesNumbersAndBrackets) {
  for (const char* good :
       {"localhost", "localhost:9092", "127.0.0.1:1", "[::1]", "[::1]:65535", "a:1,[::1]:2,c"}) {
    EXPECT_TRUE(check_broker_address(good).has_value()) << good;
  }
}

TEST(BrokerAddress, Parts) {
  const auto all = broker_addresses("a:1,[::1]:2,b,[::2]").value();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].host + " " + std::to_string(all[0].port), "a 1");
  EXPECT_EQ(all[1].host + " " + std::to_string(all[1].port), "::1 2");
  EXPECT_EQ(all[2].host + " " + std::to_string(all[2].port), "b 9092");
  EXPECT_EQ(all[3].host + " " + std::to_string(all[3].port), "::2 9092");
  EXPECT_EQ(broker_addresses("").value().at(0).host, "127.0.0.1");
  EXPECT_FALSE(broker_addresses("a:0"));
}

TEST(BrokerAddress, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "has no host"},
      {":9092", "has no host"},
      {"localhost:", "has a port that is no number"},
      {"localhost:kafka", "has a port that is no number"},
      {"127.0.0.1:99999", "has a port outside 1 to 65535"},
      {"127.0.0.1:0", "has a port outside 1 to 65535"},
      {"127.0.0.1:-1", "has a port outside 1 to 65535"},
      {"::1:9092", "IPv6 needs brackets"},
      {"[::1", "lacks a host in its brackets"},
      {"[]:9092", "lacks a host in its brackets"},
      {"a:1,", "has no host"},
      {"a:1,b:0", "has a port outside 1 to 65535"},
      {"[::1]9092", "has no ':' behind its brackets"},
  };
  for (const auto& [address, why] : cases) {
    const Status status = check_broker_address(address);
    ASSERT_FALSE(status.has_value()) << address;
    EXPECT_THAT(status.error().message(), testing::HasSubstr(why)) << address;
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace runnel::tools
