// runnel completion bash | zsh | fish: scripts made from the commands themselves.
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

std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(child->get_name());
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string bash_script(const CLI::App& app) {
  std::string commands, cases;
  walk(app, "", [&](const std::string& path, const CLI::App& command) {
    if (!path.empty()) commands += (commands.empty() ? "\"" : "|\"") + path + "\"";
    cases += "    \"" + path + "\") words=\"" + joined(words_of(command)) + "\" ;;\n";
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
