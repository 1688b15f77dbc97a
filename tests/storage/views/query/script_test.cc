// Runs scripts/*.test against a real store and its views.
#include "tests/storage/views/query/script.h"

namespace runnel::storage::views {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(RUNNEL_SOURCE_DIR) / "tests/storage/views/query/scripts";

std::vector<std::filesystem::path> scripts() {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".test") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

class SqlScript : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(SqlScript, EveryBlockHolds) {
  ScriptRunner runner;
  runner.run(GetParam());
  EXPECT_GT(runner.checked(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Scripts, SqlScript, testing::ValuesIn(scripts()),
                         [](const testing::TestParamInfo<std::filesystem::path>& script) {
                           return script.param.stem().string();
                         });

TEST(SqlScripts, AreMany) {
  std::size_t blocks = 0;
  for (const std::filesystem::path& path : scripts()) {
    for (const ScriptBlock& block : read_script(path)) {
      blocks += block.head.front() == "statement" || block.head.front() == "query" ? 1 : 0;
    }
  }
  EXPECT_GE(blocks, 300u);
}

}  // namespace
}  // namespace runnel::storage::views
