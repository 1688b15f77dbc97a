#include "tools/options/usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace runnel::tools {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// What a small command line of the same shape as the real one says to `words`.
std::string said(std::vector<std::string> words) {
  CLI::App app("A test.", "runnel");
  app.require_subcommand(1);
  std::string broker, config;
  std::vector<std::string> topics;
  int partitions = 0;
  CLI::App* topic = app.add_subcommand("topic", "");
  topic->require_subcommand(1);
  for (const char* name : {"create", "list", "delete"}) {
    CLI::App* command = topic->add_subcommand(name, "");
    command->add_option("-b,--broker", broker, "");
    if (command->get_name() == "list") continue;
    command->add_option("topic", topics, "")->required();
    command->add_option("-p,--partitions", partitions, "")->check(CLI::Range(1, 10));
  }
  app.add_subcommand("produce", "")->add_option("topic", topics, "")->required();
  app.add_subcommand("serve", "")->add_option("--config", config, "");
  const std::vector<std::string> arguments = words;
  std::reverse(words.begin(), words.end());  // what CLI11 wants
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error, arguments);
  }
  return "no error";
}

TEST(Usage, AnUnknownCommandIsNamedWithTheNearestOne) {
  EXPECT_EQ(said({"topics", "list"}),
            "runnel: `runnel` has no command 'topics'; did you mean 'topic'?\n"
            "Run `runnel --help` for what it takes.");
  EXPECT_THAT(said({"prodcue", "x"}), HasSubstr("did you mean 'produce'?"));
  EXPECT_THAT(said({"topic", "ls"}), HasSubstr("`runnel topic` has no command 'ls'; did you mean "
                                               "'list'?"));
  EXPECT_THAT(said({"frobnicate"}), HasSubstr("there are: topic, produce, serve"));
  EXPECT_THAT(said({"help"}), HasSubstr("`runnel --help`"));
}

TEST(Usage, AMissingCommandIsAskedFor) {
  EXPECT_THAT(said({}), HasSubstr("`runnel` needs a command: topic, produce, serve"));
  EXPECT_THAT(said({"topic"}), HasSubstr("`runnel topic` needs a command: create, list, delete"));
}

TEST(Usage, FlagsOfKafkaAreAnsweredWithWhatDoesItHere) {
  EXPECT_THAT(said({"produce", "--bootstrap-server", "localhost:9092", "--topic", "orders"}),
              AllOf(HasSubstr("`runnel produce` takes no '--bootstrap-server'; the broker is named "
                              "with -b"),
                    HasSubstr("takes no '--topic'; the topic is given without a flag, as in "
                              "`runnel produce orders`"),
                    Not(HasSubstr("takes no 'orders'"))));
  EXPECT_THAT(said({"topic", "--list"}), HasSubstr("that is a command: `runnel topic list`"));
  EXPECT_THAT(said({"serve", "server.properties"}), HasSubstr("--config FILE names a TOML file"));
}

TEST(Usage, TheBrokerBelongsBehindTheCommand) {
  EXPECT_THAT(said({"-b", "localhost:9092", "topic", "list"}),
              HasSubstr("takes no '-b'; it belongs behind the command"));
}

TEST(Usage, AMistypedFlagIsNamedWithTheNearestOne) {
  EXPECT_THAT(said({"topic", "create", "a", "--partition=3"}),
              HasSubstr("takes no '--partition'; did you mean --partitions?"));
  EXPECT_THAT(said({"produce", "--from-beginnin", "a"}), HasSubstr("where consume begins anyway"));
  EXPECT_THAT(said({"serve", "--config"}), StartsWith("runnel: --config needs a value behind it"));
  EXPECT_THAT(said({"topic", "create", "a", "--frobnicate"}),
              StartsWith("runnel: `runnel topic create` takes no '--frobnicate'\nRun"));
}

TEST(Usage, OtherMistakesKeepTheParsersWords) {
  EXPECT_THAT(
      said({"topic", "create", "a", "-p", "0"}),
      AllOf(StartsWith("runnel: --partitions: "), HasSubstr("Run `runnel topic create --help`")));
  EXPECT_THAT(said({"topic", "create"}), StartsWith("runnel: `runnel topic create` needs 'topic'"));
}

}  // namespace
}  // namespace runnel::tools
