// runnel dev: a broker to try things on, with a directory that goes away with it.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "broker/net/sockets.h"
#include "tools/broker_process.h"
#include "tools/cli.h"
#include "tools/server_options.h"

namespace runnel::tools {
namespace {

/// A directory that is removed, with everything in it, at the end.
class TemporaryDirectory {
 public:
  static Result<std::unique_ptr<TemporaryDirectory>> make() {
    std::error_code error;
    auto base = std::filesystem::temp_directory_path(error);
    if (error) base = "/tmp";
    std::string path = (base / "runnel-dev-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) {
      return fail(ErrorCode::kIo, "cannot make a directory in " + base.string() + ": " +
                                      std::strerror(errno) + "; set TMPDIR to another place");
    }
    return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(std::move(path)));
  }
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (error) log_error("cannot remove " + path_ + ": " + error.message());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// This program, as it can be typed from the current directory.
std::string program_path() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "runnel";
  const auto relative = std::filesystem::relative(self, error);
  const std::string text = relative.string();
  if (error || text.empty() || text.starts_with("..")) return self.string();
  return text.find('/') == std::string::npos ? "./" + text : text;
}

std::string welcome(const std::string& address, const std::string& directory) {
  const std::string program = program_path();
  return "Runnel " + std::string(program_version()) + " is ready at " + address +
         "\nIts data is in " + directory + ".\nThe console is at http://" + address +
         "/\n\nIn another terminal:\n\n"
         "  export RUNNEL_BROKER=" +
         address + "\n  " + program + " topic create greetings\n  echo 'hello, world' | " +
         program + " produce greetings\n  " + program +
         " consume greetings -e\n\nCtrl-C, or closing this terminal, stops it.\n";
}

Result<ExitCode> run(ServerFlags& flags) {
  std::unique_ptr<TemporaryDirectory> temporary;
  if (!flags.values.contains("data")) {
    RUNNEL_TRY_ASSIGN(temporary, TemporaryDirectory::make());
    flags.values["data"] = {temporary->path()};
  }
  if (!flags.values.contains("listen")) flags.values["listen"] = {"127.0.0.1:0"};
  if (!flags.values.contains("log-level")) flags.values["log-level"] = {"warning"};
  RUNNEL_TRY_ASSIGN(const auto settings, resolve_settings(flags));
  start_log(settings.text("log-level"));
  RUNNEL_TRY_ASSIGN(auto broker, BrokerProcess::start(settings));
  const std::string kept =
      temporary ? settings.text("data") + ", removed when it stops" : settings.text("data");
  RUNNEL_TRY(write_out(welcome(broker::to_string(broker->endpoints().front()), kept)));
  broker->run(nullptr);  // a closed terminal ends it
  RUNNEL_TRY(broker->close());
  return ExitCode::kOk;
}

}  // namespace

void add_dev(Cli& cli) {
  const auto flags = std::make_shared<ServerFlags>();
  CLI::App* command = cli.app.add_subcommand(
      "dev", "Run a throw-away broker: temporary directory, free port, lines to copy");
  add_server_options(*command, *flags);
  command->footer(
      "The options and defaults are those of serve, but for: --data, a temporary directory that "
      "is\n"
      "removed at the end; --listen, a free port of 127.0.0.1; --log-level, warning.");
  command->callback([&cli, flags] { cli.action = [flags] { return run(*flags); }; });
}

}  // namespace runnel::tools
