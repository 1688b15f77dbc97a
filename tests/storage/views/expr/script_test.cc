// Runs scripts/*.txt: an expression, =>, and its value. See README.md there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/storage/views/expr/row.h"

namespace runnel::storage::views {
namespace {

/// What is expected may leave the type out, and of an error everything but a part.
bool agrees(const std::string& outcome, const std::string& expected) {
  if (expected.starts_with("error: ")) {
    return outcome.starts_with("error: ") && outcome.find(expected.substr(7)) != std::string::npos;
  }
  if (outcome.starts_with("error: ") || outcome.starts_with("row error: ")) {
    return outcome == expected;
  }
  return outcome == expected || outcome.substr(0, outcome.rfind(' ')) == expected;
}

struct Script {
  std::filesystem::path path;
};
void PrintTo(const Script& script, std::ostream* out) {
  *out << script.path.filename().string();
}

class ScriptTest : public testing::TestWithParam<Script> {};

TEST_P(ScriptTest, EveryLineHolds) {
  std::ifstream file(GetParam().path);
  ASSERT_TRUE(file);
  std::string zone = "UTC";
  std::string line;
  std::size_t number = 0;
  std::size_t checked = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.empty() || line.starts_with("#")) continue;
    if (line.starts_with("zone ")) {
      zone = line.substr(5);
      continue;
    }
    const std::size_t arrow = line.find(" => ");
    ASSERT_NE(arrow, std::string::npos) << "line " << number << ": " << line;
    const std::string outcome = test_outcome(line.substr(0, arrow), zone);
    EXPECT_TRUE(agrees(outcome, line.substr(arrow + 4)))
        << GetParam().path.filename().string() << ":" << number << ": " << line << "\n  gives "
        << outcome;
    ++checked;
  }
  EXPECT_GT(checked, 10u);
}

std::vector<Script> scripts() {
  std::vector<Script> found;
  const std::filesystem::path folder =
      std::filesystem::path(RUNNEL_SOURCE_DIR) / "tests/storage/views/expr/scripts";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") found.push_back({entry.path()});
  }
  std::sort(found.begin(), found.end(),
            [](const Script& a, const Script& b) { return a.path < b.path; });
  return found;
}

INSTANTIATE_TEST_SUITE_P(Scripts, ScriptTest, testing::ValuesIn(scripts()),
                         [](const testing::TestParamInfo<Script>& script) {
                           return script.param.path.stem().string();
                         });

TEST(ScriptTest, ThereAreScripts) {
  EXPECT_GE(scripts().size(), 7u);
}

}  // namespace
}  // namespace runnel::storage::views
