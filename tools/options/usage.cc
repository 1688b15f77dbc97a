#include "tools/options/usage.h"

#include <algorithm>
#include <string_view>

#include "protocol/text/units.h"

namespace runnel::tools {
namespace {

struct Habit {
  std::string_view word;
  std::string_view instead;
};

/// Flags of other tools. One that a command has too never comes here. COMMAND is the one given.
constexpr Habit kForeignFlags[] = {
    {"--topic", "the topic is given without a flag, as in `COMMAND orders`"},
    {"--port", "the port is part of HOST:PORT: --listen for `serve`, -b for all others"},
    {"--bootstrap-server", "the broker is named with -b HOST:PORT or RUNNEL_BROKER"},
    {"--broker-list", "the broker is named with -b HOST:PORT or RUNNEL_BROKER"},
    {"--zookeeper", "there is none; the broker is named with -b HOST:PORT"},
    {"--from-beginning", "that is where consume begins anyway; --from names another place"},
    {"--offset", "--from takes an offset, a time, start or end"},
    {"--max-messages", "-n N stops after N records"},
    {"--timeout-ms", "-e stops at the end of the topic"},
    {"--replication-factor", "there is one node and nothing to replicate to; leave it away"},
    {"--property", "-f FORMAT shows keys and more when reading, -K : splits them off when writing"},
    {"--compression-codec", "-z CODEC compresses"},
    {"--add-config", "-c KEY=VALUE sets a config"},
    {"--delete-config", "--unset KEY sets a config back to its default"},
    {"--reset-offsets", "`runnel group seek GROUP --to PLACE` moves a group"},
    {"--to-earliest", "--to start"},
    {"--to-latest", "--to end"},
    {"--to-offset", "--to takes an offset"},
    {"--to-datetime", "--to takes a time"},
    {"--all-topics", "without --topic, every topic the group has offsets in is moved"},
};

/// Words for commands that go by another name here. Only offered where the command exists.
constexpr Habit kCommandNames[] = {
    {"ls", "list"},    {"rm", "delete"},        {"remove", "delete"},    {"show", "describe"},
    {"add", "create"}, {"new", "create"},       {"start", "serve"},      {"server", "serve"},
    {"run", "dev"},    {"consumer", "consume"}, {"producer", "produce"}, {"reset", "seek"},
};

std::string in_quotes(std::string_view word) {
  return "'" + std::string(word) + "'";
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(child->get_name());
  }
  return names;
}

const CLI::App* child_named(const CLI::App& app, const std::string& name) {
  const auto children =
      app.get_subcommands([&](const CLI::App* child) { return child->get_name() == name; });
  return children.empty() ? nullptr : children.front();
}

std::string_view nearest_of(std::string_view word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  return protocol::nearest(word, views);
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

/// The command that the leading words name, and the word behind them that names none.
struct Reached {
  const CLI::App* command;
  std::string path;  ///< "runnel topic"
  std::string unknown;
};

Reached reached_by(const CLI::App& app, const std::vector<std::string>& arguments) {
  Reached at{&app, app.get_name(), ""};
  for (const std::string& word : arguments) {
    if (word.starts_with("-") || command_names(*at.command).empty()) break;
    const CLI::App* next = child_named(*at.command, word);
    if (next == nullptr) {
      at.unknown = word;
      break;
    }
    at.command = next;
    at.path += " " + word;
  }
  return at;
}

std::string unknown_command(const Reached& at) {
  const std::vector<std::string> names = command_names(*at.command);
  std::string_view meant = nearest_of(at.unknown, names);
  for (const Habit& habit : kCommandNames) {
    const bool there = std::find(names.begin(), names.end(), habit.instead) != names.end();
    if (habit.word == at.unknown && there) meant = habit.instead;
  }
  const std::string said = "runnel: `" + at.path + "` has no command " + in_quotes(at.unknown);
  return said + (meant.empty() ? "; there are: " + joined(names)
                               : "; did you mean " + in_quotes(meant) + "?");
}

/// What does the work of another tool's flag; empty if `word` is none.
std::string habit_hint(const Reached& at, std::string_view word) {
  constexpr std::string_view kCommand = "COMMAND";
  for (const Habit& habit : kForeignFlags) {
    if (habit.word != word) continue;
    std::string hint(habit.instead);
    const std::size_t place = hint.find(kCommand);
    if (place != std::string::npos) hint.replace(place, kCommand.size(), at.path);
    return hint;
  }
  return "";
}

std::string hint_for(const Reached& at, std::string_view word) {
  const std::vector<std::string> commands = command_names(*at.command);
  if (word.starts_with("--") && std::count(commands.begin(), commands.end(), word.substr(2)) > 0) {
    return "that is a command: `" + at.path + " " + std::string(word.substr(2)) + "`";
  }
  if ((word == "-b" || word == "--broker") && !commands.empty()) {
    return "it belongs behind the command, as in `runnel topic list -b HOST:PORT`";
  }
  if (const std::string hint = habit_hint(at, word); !hint.empty()) return hint;
  std::vector<std::string> flags;
  for (const CLI::Option* option : at.command->get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  if (word.starts_with("--")) {
    if (const auto meant = nearest_of(word, flags); !meant.empty()) {
      return "did you mean " + std::string(meant) + "?";
    }
    std::vector<std::string> foreign;
    for (const Habit& habit : kForeignFlags) foreign.emplace_back(habit.word);
    return habit_hint(at, nearest_of(word, foreign));
  }
  const bool has_config = std::count(flags.begin(), flags.end(), "--config") > 0;
  const bool is_file = word.ends_with(".properties") || word.ends_with(".toml");
  return has_config && is_file ? "--config FILE names a TOML file" : "";
}

/// One line for each argument that nothing took; of words, only if there are no flags among them.
std::string unexpected(const Reached& at, const std::vector<std::string>& remaining) {
  const auto is_flag = [](const std::string& word) { return word.starts_with("-"); };
  const bool flags_only = std::any_of(remaining.begin(), remaining.end(), is_flag);
  std::string out;
  for (const std::string& argument : remaining) {
    if (flags_only && !is_flag(argument)) continue;
    const std::string word = argument.substr(0, argument.find('='));
    const std::string hint = hint_for(at, word);
    out += (out.empty() ? "runnel: `" : "\nrunnel: `") + at.path + "` takes no " + in_quotes(word) +
           (hint.empty() ? "" : "; " + hint);
  }
  return out;
}

/// The parser's message, in our words where its own say little.
std::string parser_words(const Reached& at, const CLI::ParseError& error,
                         const std::vector<std::string>& arguments) {
  std::string text = error.what();
  if (error.get_name() == "RequiredError") {
    for (const CLI::Option* option : at.command->get_options()) {
      if (!option->get_required() || option->count() > 0) continue;
      return "`" + at.path + "` needs " + in_quotes(option->get_name()) + ", as in `" + at.path +
             " " + option->get_type_name() + "`";
    }
  }
  if (error.get_name() == "ArgumentMismatch") {
    const std::size_t colon = text.find(": 1 required ");
    if (colon != std::string::npos) return text.substr(0, colon) + " needs a value behind it";
  }
  // As kcat has it.
  const bool place = std::count(arguments.begin(), arguments.end(), "beginning") > 0 ||
                     std::count(arguments.begin(), arguments.end(), "end") > 0;
  if (place && text.starts_with("--output")) text += "; --from start or --from end names the place";
  return text;
}

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error,
                        const std::vector<std::string>& arguments) {
  const Reached at = reached_by(app, arguments);
  const std::vector<std::string> remaining = app.remaining(true);
  const std::string help = "\nRun `" + at.path + " --help` for what it takes.";
  if (at.unknown == "help") return "runnel: `" + at.path + " --help` is what helps";
  if (!at.unknown.empty()) return unknown_command(at) + help;
  if (!remaining.empty()) return unexpected(at, remaining) + help;
  const std::vector<std::string> commands = command_names(*at.command);
  if (!commands.empty()) {
    return "runnel: `" + at.path + "` needs a command: " + joined(commands) + help;
  }
  return "runnel: " + parser_words(at, error, arguments) + help;
}

}  // namespace runnel::tools
