#include "tools/options/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tools/options/settings.h"

namespace runnel::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string message_of(const SettingSources& sources) {
  const auto settings = Settings::resolve(sources);
  return settings ? "no error" : settings.error().message();
}

SettingSources file(const std::string& text) {
  SettingSources sources;
  sources.file_name = "r.toml";
  sources.file_text = text;
  return sources;
}

TEST(OptionTable, EveryDefaultIsValid) {
  for (const OptionRow& row : option_table()) {
    EXPECT_TRUE(row.default_value.empty() || check_value(row, row.default_value)) << row.name;
    EXPECT_FALSE(row.text.empty()) << row.name;
    EXPECT_LE(row.min, row.max) << row.name;
  }
}

TEST(OptionTable, TheReferencePageIsCurrent) {
  const auto page =
      read_text_file(std::string(RUNNEL_SOURCE_DIR) + "/docs/reference/configuration.md");
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(*page, reference_page())
      << "run: build/runnel config reference > docs/reference/configuration.md";
}

TEST(Settings, DefaultsFileEnvironmentFlagsInThisOrder) {
  SettingSources sources = file("net = 'epoll'\nloops = 2\nlow-space = '1GiB'\n");
  sources.environment = {{"RUNNEL_LOOPS", "3"}, {"RUNNEL_LOW_SPACE", "2GiB"}};
  sources.flags = {{"low-space", {"3GiB"}}};
  const auto settings = Settings::resolve(sources);
  ASSERT_TRUE(settings.has_value()) << settings.error().message();
  EXPECT_EQ(settings->text("log-level"), "info");
  EXPECT_EQ(settings->setting("log-level").source, "default");
  EXPECT_EQ(settings->setting("net").source, "r.toml line 1");
  EXPECT_EQ(settings->count("loops"), 3u);
  EXPECT_EQ(settings->setting("loops").source, "RUNNEL_LOOPS");
  EXPECT_EQ(settings->bytes("low-space"), 3ULL << 30);
  EXPECT_EQ(settings->setting("low-space").source, "--low-space");
}

TEST(Settings, ListsComeFromEveryPlace) {
  SettingSources sources = file("listen = ['127.0.0.1:1', '[::1]:2']\n");
  EXPECT_THAT(Settings::resolve(sources)->list("listen"), ElementsAre("127.0.0.1:1", "[::1]:2"));
  sources.environment = {{"RUNNEL_LISTEN", "localhost:3,localhost:4"}};
  EXPECT_THAT(Settings::resolve(sources)->list("listen"),
              ElementsAre("localhost:3", "localhost:4"));
}

TEST(Settings, AssignmentsFromAllPlacesAreOneListNameByName) {
  SettingSources sources =
      file("net = 'auto'\n[kafka]\nnum.partitions = 3\n\"group.max.size\" = 5\n");
  sources.environment = {{"RUNNEL_SET", "log.cleanup.policy=delete,compact,num.partitions=4"}};
  sources.flags = {{"set", {"num.partitions=5", "node.id=2"}}};
  const auto settings = Settings::resolve(sources);
  ASSERT_TRUE(settings.has_value()) << settings.error().message();
  const Setting& set = settings->setting("set");
  EXPECT_THAT(set.values, ElementsAre("group.max.size=5", "log.cleanup.policy=delete,compact",
                                      "node.id=2", "num.partitions=5"));
  EXPECT_THAT(set.sources, ElementsAre("r.toml line 4", "RUNNEL_SET", "--set", "--set"));
  EXPECT_THAT(Settings::resolve({})->list("set"), ElementsAre());
}

TEST(Settings, AnAssignmentHasANameAndStandsOnceInAPlace) {
  SettingSources sources;
  sources.flags = {{"set", {"num.partitions"}}};
  EXPECT_THAT(message_of(sources), HasSubstr("is not NAME=VALUE"));
  sources.flags = {{"set", {"=3"}}};
  EXPECT_THAT(message_of(sources), HasSubstr("is not NAME=VALUE"));
  sources.flags = {{"set", {"a=1", "a=2"}}};
  EXPECT_EQ(message_of(sources), "--set: a was given more than once");
  EXPECT_THAT(message_of(file("[kafka]\na = {}\nb = 1.5\n")), HasSubstr("r.toml line 3"));
}

TEST(Settings, MemoryIsAQuarterOfRamWithinBounds) {
  constexpr std::uint64_t kMiB = 1 << 20;
  for (const auto& [machine, expected] :
       {std::pair{128 * kMiB, 64 * kMiB}, {1024 * kMiB, 256 * kMiB}, {65536 * kMiB, 1024 * kMiB}}) {
    SettingSources sources;
    sources.machine_memory_bytes = machine;
    EXPECT_EQ(Settings::resolve(sources)->bytes("memory"), expected);
    EXPECT_EQ(Settings::resolve(sources)->bytes("page-cache"),
              std::max<std::uint64_t>(machine / 4, 256 * kMiB));
  }
}

TEST(Settings, UnknownKeysNameTheNearestOne) {
  EXPECT_EQ(message_of(file("net = 'auto'\nmemroy = '64MiB'\n")),
            "r.toml line 2: unknown key 'memroy'; did you mean 'memory'?");
  EXPECT_THAT(message_of(file("[server]\nport = 1\n")), HasSubstr("unknown key 'server'"));
  SettingSources sources;
  sources.environment = {{"RUNNEL_MEMORI", "64MiB"}};
  EXPECT_EQ(message_of(sources),
            "unknown environment variable RUNNEL_MEMORI; did you mean RUNNEL_MEMORY?");
}

TEST(Settings, VariablesThatOthersSetAreLeftAlone) {
  SettingSources sources;
  sources.environment = {{"RUNNEL_BROKER", "host:9092"},
                         {"RUNNEL_SERVICE_HOST", "10.0.0.1"},
                         {"RUNNEL_PORT_9092_TCP", "tcp://10.0.0.1:9092"}};
  EXPECT_TRUE(Settings::resolve(sources).has_value());
}

/// The variables that the page of promises tells people to set must not keep a broker from
/// starting.
TEST(Settings, VariablesOfTheTestsAreLeftAlone) {
  const auto page = read_text_file(std::string(RUNNEL_SOURCE_DIR) + "/docs/guarantees.md");
  ASSERT_TRUE(page.has_value());
  const std::regex name("RUNNEL_[A-Z_]+");
  SettingSources sources;
  for (std::sregex_iterator it(page->begin(), page->end(), name), end; it != end; ++it) {
    if (it->str() != "RUNNEL_SANITIZE") sources.environment[it->str()] = "5";  // CMake's
  }
  EXPECT_GE(sources.environment.size(), 6u);
  EXPECT_TRUE(Settings::resolve(sources).has_value()) << message_of(sources);
}

TEST(Settings, AFarOffVariableGetsNoSuggestion) {
  SettingSources sources;
  sources.environment = {{"RUNNEL_FOO", "1"}};
  EXPECT_EQ(message_of(sources),
            "unknown environment variable RUNNEL_FOO; `runnel config reference` lists them all");
}

TEST(Settings, FlagsAndVariablesNameTheirOptionOnce) {
  SettingSources sources;
  sources.flags = {{"memory", {"1MB"}}};
  EXPECT_THAT(message_of(sources), StartsWith("--memory: '1MB' is not a size"));
  sources = {};
  sources.environment = {{"RUNNEL_LOOPS", "x"}};
  EXPECT_EQ(message_of(sources), "RUNNEL_LOOPS: 'x' is not a whole number");
}

TEST(Settings, ADirectoryIsNoFile) {
  EXPECT_THAT(read_text_file("/").error().message(), HasSubstr("/ is a directory"));
}

TEST(Settings, BadValuesSayWhereWhatAndWhatWouldBeRight) {
  EXPECT_EQ(message_of(file("memory = '1MiB'")),
            "r.toml line 1: memory: '1MiB' is out of range; it has to be 64MiB to 1TiB");
  EXPECT_EQ(message_of(file("net = 'kqueue'")),
            "r.toml line 1: net: 'kqueue' is none of auto, io_uring or epoll");
  EXPECT_THAT(message_of(file("loops = -1")), HasSubstr("out of range; it has to be 0 to 64"));
  EXPECT_THAT(message_of(file("listen = '9092'")), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(message_of(file("listen = ':70000'")), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(message_of(file("data = ''")), HasSubstr("may not be empty"));
  EXPECT_THAT(message_of(file("insecure-allow-remote = 'yes'")),
              HasSubstr("neither true nor false"));
  EXPECT_THAT(message_of(file("loops = 1.5")), HasSubstr("r.toml line 1"));
  EXPECT_THAT(message_of(file("memory = ")), HasSubstr("r.toml line 1: not TOML"));
  EXPECT_THAT(message_of(file("net = ['auto', 'epoll']")), HasSubstr("more than once"));
}

TEST(Settings, AFileIsCheckedByItself) {
  EXPECT_TRUE(check_config_text("r.toml", "memory = '256MiB'\n"));
  EXPECT_FALSE(check_config_text("r.toml", "memory = '256MB'\n"));
}

}  // namespace
}  // namespace runnel::tools
