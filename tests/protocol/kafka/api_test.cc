#include "protocol/kafka/api.h"

#include <gtest/gtest.h>

#include <set>

#include "protocol/kafka/errors.h"

namespace runnel::protocol::kafka {
namespace {

TEST(KafkaApi, RowsAscendAndAreFoundByKey) {
  std::int16_t last = -1;
  std::set<std::string_view> names;
  for (const ApiInfo& api : apis()) {
    const auto key = static_cast<std::int16_t>(api.key);
    EXPECT_GT(key, last);
    last = key;
    EXPECT_EQ(find_api(key), &api);
    EXPECT_EQ(&api_info(api.key), &api);
    EXPECT_EQ(name_of(api.key), api.name);
    EXPECT_TRUE(names.insert(api.name).second) << api.name;
    EXPECT_LE(api.min_version, api.max_version) << api.name;
    EXPECT_GE(api.min_version, 0) << api.name;
  }
}

TEST(KafkaApi, OtherKeysAreNotFound) {
  for (const int key : {-32768, -1, 4, 7, 38, 52, 74, 76, 1000, 32767}) {
    EXPECT_EQ(find_api(static_cast<std::int16_t>(key)), nullptr) << key;
    EXPECT_EQ(name_of(static_cast<ApiKey>(key)), "unknown API");
  }
}

TEST(KafkaApi, FlexibleFromItsFirstFlexibleVersionOn) {
  const ApiInfo& produce = api_info(ApiKey::kProduce);
  EXPECT_FALSE(produce.is_flexible(8));
  EXPECT_TRUE(produce.is_flexible(9));
  EXPECT_TRUE(produce.has(13));
  EXPECT_FALSE(produce.has(14));
  EXPECT_FALSE(produce.has(-1));
  EXPECT_FALSE(api_info(ApiKey::kSaslHandshake).is_flexible(1));
  EXPECT_FALSE(api_info(ApiKey::kOffsetDelete).is_flexible(0));
}

TEST(KafkaErrors, HaveKafkasNumbersAndNames) {
  EXPECT_EQ(static_cast<int>(KafkaError::kOffsetOutOfRange), 1);
  EXPECT_EQ(static_cast<int>(KafkaError::kUnsupportedVersion), 35);
  EXPECT_EQ(static_cast<int>(KafkaError::kMemberIdRequired), 79);
  EXPECT_EQ(static_cast<int>(KafkaError::kInvalidRecord), 87);
  EXPECT_EQ(name_of(KafkaError::kNone), "NONE");
  EXPECT_EQ(name_of(KafkaError::kOffsetOutOfRange), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(name_of(KafkaError::kProducerFenced), "PRODUCER_FENCED");
  EXPECT_EQ(name_of(static_cast<KafkaError>(9999)), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(name_of(static_cast<KafkaError>(-2)), "UNKNOWN_SERVER_ERROR");
}

TEST(KafkaErrors, RetriableAsInTheJavaClients) {
  for (const KafkaError error :
       {KafkaError::kNotLeaderOrFollower, KafkaError::kKafkaStorageError,
        KafkaError::kCoordinatorLoadInProgress, KafkaError::kConcurrentTransactions}) {
    EXPECT_TRUE(is_retriable(error)) << name_of(error);
  }
  for (const KafkaError error : {KafkaError::kNone, KafkaError::kMessageTooLarge,
                                 KafkaError::kUnknownServerError, KafkaError::kProducerFenced}) {
    EXPECT_FALSE(is_retriable(error)) << name_of(error);
  }
}

}  // namespace
}  // namespace runnel::protocol::kafka
