// runnel repair DIR: goes on without what is damaged in a data directory that no broker has open.
#include <filesystem>
#include <memory>

#include "protocol/text/units.h"
#include "storage/repair.h"
#include "tools/cli.h"
#include "tools/text/progress.h"

namespace runnel::tools {
namespace {

struct RepairArguments {
  std::string directory;
  bool dry_run = false;
};

std::string describe(const storage::Quarantined& q) {
  std::string text = q.file;
  if (q.length != 0) {
    text += " at byte " + std::to_string(q.position) + ", " + std::to_string(q.length) + " bytes";
  }
  text += ": " + q.reason + "\n";
  for (const storage::LostRange& lost : q.lost) text += "  lost: " + lost.to_string() + "\n";
  if (!q.bytes.empty()) text += "  kept: quarantine/" + q.bytes + "\n";
  return text;
}

std::string summary(const storage::RepairReport& report, const RepairArguments& arguments) {
  std::string out;
  for (const storage::Quarantined& q : report.quarantined) out += describe(q);
  std::uint64_t offsets = 0;
  for (const storage::LostRange& lost : report.lost) {
    offsets += static_cast<std::uint64_t>(lost.last - lost.first + 1);
  }
  for (const std::string& note : report.notes) out += "note: " + note + "\n";
  if (report.index_rebuilt) {
    out += arguments.dry_run ? "note: the index would be built anew from the segments; what they "
                               "no longer hold shows only then\n"
                             : "note: the index was built anew from the segments\n";
  }
  const std::string places = std::to_string(report.quarantined.size()) + " damaged place" +
                             (report.quarantined.size() == 1 ? "" : "s");
  out += places + ", " + std::to_string(report.lost.size()) + " lost range" +
         (report.lost.size() == 1 ? "" : "s") + " of " + std::to_string(offsets) +
         " offsets in all";
  out += arguments.dry_run
             ? "; nothing was changed. Without --dry-run the damaged bytes are copied to " +
                   arguments.directory + "/quarantine, and everything else is served\n"
             : "; `runnel serve` starts and serves everything else\n";
  return out;
}

Result<ExitCode> run(const RepairArguments& arguments) {
  if (std::error_code ignored; !std::filesystem::exists(arguments.directory, ignored)) {
    return fail(ErrorCode::kNotFound, "there is no directory " + arguments.directory);
  }
  auto progress = std::make_unique<Progress>("checking", 0, "bytes");
  std::uint64_t known_total = 0;
  storage::RepairOptions options;
  options.dry_run = arguments.dry_run;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (total != known_total) {
      known_total = total;
      progress = std::make_unique<Progress>("checking", total, "bytes");
    }
    progress->update(done);
  };
  auto report =
      storage::repair_directory(arguments.directory, storage::FileSystem::posix(), options);
  progress.reset();
  if (!report) return fail(report.error());
  if (report->found.damages.empty()) {
    RUNNEL_TRY(write_out("checked " +
                         protocol::human_size(static_cast<double>(report->found.bytes)) +
                         ": nothing is damaged, nothing was changed\n"));
    return ExitCode::kOk;
  }
  RUNNEL_TRY(write_out(summary(*report, arguments)));
  return arguments.dry_run ? ExitCode::kDamaged : ExitCode::kOk;
}

}  // namespace

void add_repair(Cli& cli) {
  const auto arguments = std::make_shared<RepairArguments>();
  CLI::App* command = cli.app.add_subcommand(
      "repair", "Put what is damaged in a data directory aside, so that all else is served");
  command->add_option("directory", arguments->directory, "Data directory")
      ->required()
      ->type_name("DIR");
  command->add_flag("--dry-run", arguments->dry_run, "Change nothing, say what would be lost");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
