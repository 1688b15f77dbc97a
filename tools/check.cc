// runnel check DIR: verifies every checksum of a data directory that no broker has open.
#include <filesystem>
#include <memory>

#include "protocol/text/units.h"
#include "storage/check.h"
#include "storage/store.h"
#include "tools/cli.h"
#include "tools/text/progress.h"

namespace runnel::tools {
namespace {

constexpr const char* kNextStep =
    "Put the directory back from a backup. Or go on without what is damaged: `runnel repair DIR\n"
    "--dry-run` says what would be lost, and without --dry-run everything else is served.\n";

std::string describe(const storage::Damage& damage) {
  std::string records;
  for (const std::string& some : damage.records) records += "  within it: " + some + "\n";
  std::string place = damage.file;
  if (damage.position != 0 || damage.length != 0) {
    place += " at byte " + std::to_string(damage.position) + ", " + std::to_string(damage.length) +
             " bytes";
  }
  return "damaged: " + place + ": " + damage.what + "\n" + records;
}

Result<ExitCode> run(const std::string& directory) {
  if (std::error_code ignored; !std::filesystem::exists(directory, ignored)) {
    return fail(ErrorCode::kNotFound, "there is no directory " + directory);
  }
  auto progress = std::make_unique<Progress>("checking", 0, "bytes");
  std::uint64_t known_total = 0;
  RUNNEL_TRY_ASSIGN(const auto report,
                    storage::check_directory(directory, storage::FileSystem::posix(),
                                             [&](std::uint64_t done, std::uint64_t total) {
                                               if (total != known_total) {
                                                 known_total = total;
                                                 progress = std::make_unique<Progress>(
                                                     "checking", total, "bytes");
                                               }
                                               progress->update(done);
                                             }));
  progress.reset();
  std::string out;
  if (std::error_code ignored; std::filesystem::exists(directory + "/views", ignored)) {
    out +=
        "note: views/ is not looked at: it is computed from the records, and can be removed "
        "while no broker runs\n";
  }
  for (const std::string& note : report.notes) out += "note: " + note + "\n";
  for (const storage::Damage& damage : report.damages) out += describe(damage);
  out += "checked " + protocol::human_size(static_cast<double>(report.bytes)) + ": " +
         std::to_string(report.frames) + " frames, " + std::to_string(report.batches) +
         " batches, " + std::to_string(report.records) + " records; ";
  out += report.damages.empty() ? "all is well\n"
                                : std::to_string(report.damages.size()) + " damaged place" +
                                      (report.damages.size() == 1 ? "\n" : "s\n") + kNextStep;
  RUNNEL_TRY(write_out(out));
  return report.damages.empty() ? ExitCode::kOk : ExitCode::kDamaged;
}

}  // namespace

void add_check(Cli& cli) {
  const auto directory = std::make_shared<std::string>();
  CLI::App* command =
      cli.app.add_subcommand("check", "Verify a data directory offline; changes nothing");
  command->add_option("directory", *directory, "Data directory")->required()->type_name("DIR");
  command->callback([&cli, directory] { cli.action = [directory] { return run(*directory); }; });
}

}  // namespace runnel::tools
