// runnel completion bash | zsh | fish: scripts made from the commands themselves.
#include <algorithm>
#include <functional>
#include <memory>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

/// Calls `visit` with each command's path ("", "topic", "topic create") and the command.
void walk(const CLI::App& app, const std::string& path,
          const std::function<void(const std::string&, const CLI::App&)>& visit) {
  visit(path, app);
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    walk(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), visit);
  }
}

/// The values that an option takes, where they are few; CLI11 tells them as "KIND:{a,b}".
std::string choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t begin = type.find('{');
  const std::size_t end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return "";
  std::string choices = type.substr(begin + 1, end - begin - 1);
  std::replace(choices.begin(), choices.end(), ',', ' ');
  return choices;
}

/// "--in" and "-i", each behind the command's path, as a pattern of bash's case.
std::string flag_pattern(const CLI::Option& option, const std::string& path) {
  std::string out;
  const auto add = [&](const std::string& flag) {
    out += (out.empty() ? "\"" : "|\"") + path + " " + flag + "\"";
  };
  for (const std::string& name : option.get_lnames()) add("--" + name);
  for (const std::string& name : option.get_snames()) add("-" + name);
  return out;
}

/// What follows flags that take one of a few values, or a file: nothing but that.
std::string value_cases(const CLI::App& command, const std::string& path) {
  std::string out;
  for (const CLI::Option* option : command.get_options()) {
    const std::string type = option->get_type_name();
    const std::string choices = choices_of(*option);
    const bool file = type.starts_with("FILE") || type.starts_with("DIR");
    const std::string pattern = flag_pattern(*option, path);
    if (pattern.empty() || (choices.empty() && !file)) continue;
    out += "    " + pattern + ") words=\"" + choices + "\" ;;\n";
  }
  return out;
}

std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(child->get_name());
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    const std::string choices = option->get_positional() ? choices_of(*option) : "";
    if (!choices.empty()) words.push_back(choices);
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string bash_script(const CLI::App& app) {
  std::string commands, cases, values;
  walk(app, "", [&](const std::string& path, const CLI::App& command) {
    if (!path.empty()) commands += (commands.empty() ? "\"" : "|\"") + path + "\"";
    cases += "    \"" + path + "\") words=\"" + joined(words_of(command)) + "\" ;;\n";
    values += value_cases(command, path);
  });
  return "_runnel() {\n"
         "  local path=\"\" next word words=\"\" current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    next=\"${path:+$path }$word\"\n"
         "    case \"$next\" in " +
         commands +
         ") path=\"$next\" ;; esac\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  case \"$path ${COMP_WORDS[COMP_CWORD-1]}\" in\n" +
         values +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "}\n"
         "complete -F _runnel runnel\n";
}

std::string fish_script(const CLI::App& app) {
  std::string out;
  walk(app, "", [&](const std::string& path, const CLI::App& command) {
    const std::string condition =
        path.empty() ? "__fish_use_subcommand"
                     : "__fish_seen_subcommand_from " + path.substr(path.rfind(' ') + 1);
    for (const CLI::App* child : command.get_subcommands([](const CLI::App*) { return true; })) {
      out += "complete -c runnel -f -n '" + condition + "' -a " + child->get_name() + " -d '" +
             child->get_description() + "'\n";
    }
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        out += "complete -c runnel -n '" + condition + "' -l " + name + "\n";
      }
    }
  });
  return out;
}

std::string script_for(const std::string& shell, const CLI::App& app) {
  if (shell == "fish") return fish_script(app);
  const std::string bash = bash_script(app);
  return shell == "bash" ? bash : "autoload -U +X bashcompinit && bashcompinit\n" + bash;
}

}  // namespace

void add_completion(Cli& cli) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = cli.app.add_subcommand(
      "completion", "Print a completion script, e.g. source <(runnel completion bash)");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("SHELL");
  command->callback([&cli, shell] {
    cli.action = [&cli, shell]() -> Result<ExitCode> {
      RUNNEL_TRY(write_out(script_for(*shell, cli.app)));
      return ExitCode::kOk;
    };
  });
}

}  // namespace runnel::tools
