// The worked example of docs/formats/view-definitions.md, byte by byte; and what is no such entry.
#include "storage/views/service/definition_entry.h"

#include <gtest/gtest.h>

#include "tests/storage/views/service/first_format.h"
#include "tests/support/format_page.h"

namespace runnel::storage::views {
namespace {

StoredDefinition example() {
  StoredDefinition made;
  made.number = 42;
  made.name = "totals";
  made.kind = sql::ObjectKind::kView;
  made.created = Timestamp(1'700'000'000'000);
  StoredVersion version;
  version.generation = 3;
  version.built = true;
  version.sql = "CREATE ...";
  version.inputs = {"CREATE SOURCE s ..."};
  version.altered = {{"late", "drop"}};
  for (std::size_t i = 0; i < version.topic.bytes.size(); ++i) {
    version.topic.bytes[i] = static_cast<std::uint8_t>(i);
  }
  version.start = {{1, 300}};
  version.skipped = 10;
  version.failure = Error(ErrorCode::kOffsetOutOfRange, "gone");
  version.begun = Timestamp(1'700'000'000'000);
  version.zone_rules = "2026a 0123456789abcdef";
  made.versions = {version};
  return made;
}

TEST(DefinitionEntry, TheWorkedExample) {
  const std::string page =
      hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/view-definitions.md", "view-definition");
  EXPECT_EQ(to_hex(definition_key(42)) + to_hex(example().encode()), page);
  StoredDefinition read;
  ASSERT_TRUE(read.decode(example().encode()));
  EXPECT_EQ(read.encode(), example().encode());
  EXPECT_EQ(definition_number("view/0000002a"), 42u);
}

TEST(DefinitionEntry, TheFirstFormatMeansWhatItMeant) {
  const StoredVersion version = example().versions[0];
  const std::string old = as_first_format(example().encode(), version);
  StoredDefinition read;
  ASSERT_TRUE(read.decode(old));
  EXPECT_EQ(read.versions[0].defaults, kDefaultsWithoutMaxAhead);
  EXPECT_EQ(read.versions[0].begun, example().created) << "it has not begun before";
  EXPECT_EQ(read.versions[0].zone_rules, "");
  EXPECT_EQ(read.versions[0].failure->message(), "gone");
  std::string newer = example().encode();
  newer[newer.size() - version.zone_rules.size() - 10] = kNewestDefaults + 1;
  StoredDefinition known;
  EXPECT_EQ(known.decode(newer).error().code(), ErrorCode::kFormatTooNew);
}

/// Versions before this one read everything below "view/", and `built` as yes or no.
TEST(DefinitionEntry, WhatOlderVersionsWouldMisreadTheyRefuse) {
  EXPECT_FALSE(kGonePrefix.starts_with(kDefinitionPrefix));
  StoredDefinition lost = example();
  lost.versions[0].built = false;
  lost.versions[0].lost = true;
  EXPECT_GT(lost.encode()[0], 1) << "a format that they say is newer";
}

TEST(DefinitionEntry, WhatIsNoEntryIsSaidToBeNone) {
  const std::string good = example().encode();
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    StoredDefinition read;
    EXPECT_FALSE(read.decode(good.substr(0, cut))) << cut;
  }
  StoredDefinition read;
  EXPECT_FALSE(read.decode(good + "x"));
  std::string newer = good;
  newer[0] = 3;
  StoredDefinition known;
  const Status refused = known.decode(newer);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kFormatTooNew);
  EXPECT_EQ(known.name, "totals") << "it is not lost";
  for (const char* key :
       {"view/next", "view/2a", "view/0000002a0", "view/0000002g", "txn/0000002a"}) {
    EXPECT_FALSE(definition_number(key)) << key;
  }
}

}  // namespace
}  // namespace runnel::storage::views
