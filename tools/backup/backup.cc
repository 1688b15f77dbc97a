// runnel backup create|list|verify|restore|delete: copies of a data directory, incremental.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string_view>
#include <thread>

#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "storage/store.h"
#include "tools/backup/chain.h"
#include "tools/backup/held_snapshot.h"
#include "tools/backup/moment.h"
#include "tools/backup/offline.h"
#include "tools/backup/repository.h"
#include "tools/cli.h"
#include "tools/text/json.h"
#include "tools/text/progress.h"
#include "tools/text/table.h"

namespace runnel::tools {
namespace {

constexpr int kNiceness = 10;
constexpr std::string_view kLatest = "latest";

struct BackupArguments {
  std::string broker;
  std::string output;
  std::string repository;
  std::string data;
  std::string rate;
  std::string id{kLatest};
  std::string into;
  std::string to_time;
  std::vector<std::string> to_offsets;
  bool dry_run = false;
};
using Arguments = std::shared_ptr<BackupArguments>;

std::string size_text(std::uint64_t bytes) {
  return protocol::human_size(static_cast<double>(bytes));
}

/// Shown once it is known how much there is to do.
class LateProgress {
 public:
  explicit LateProgress(std::string label) : label_(std::move(label)) {}
  void update(std::uint64_t done, std::uint64_t total) {
    if (!shown_) shown_ = std::make_unique<Progress>(label_, total, "bytes");
    shown_->update(done);
  }
  [[nodiscard]] BackupProgress callback() {
    return [this](std::uint64_t done, std::uint64_t total) { update(done, total); };
  }

 private:
  const std::string label_;
  std::unique_ptr<Progress> shown_;
};

/// "50MiB/s"; 0 for nothing.
Result<std::uint64_t> bytes_per_second(std::string_view text) {
  if (text.empty()) return 0;
  const auto bytes = text.ends_with("/s") ? protocol::parse_size(text.substr(0, text.size() - 2))
                                          : Result<std::uint64_t>(0);
  if (bytes && *bytes > 0) return *bytes;
  return fail(ErrorCode::kInvalidArgument,
              "--rate: '" + std::string(text) + "' is no rate like 50MiB/s");
}

Result<ExitCode> copy_snapshot(const BackupArguments& arguments, const std::string& store,
                               const std::string& directory) {
  RUNNEL_TRY_ASSIGN(const auto held, HeldSnapshot::hold(directory));
  RUNNEL_TRY_ASSIGN(const auto snapshot,
                    storage::read_snapshot(storage::FileSystem::posix(), directory));
  RUNNEL_TRY(held->take_over(snapshot));
  RUNNEL_TRY_ASSIGN(const std::uint64_t rate, bytes_per_second(arguments.rate));
  RUNNEL_TRY_ASSIGN(auto repository, Repository::open_or_create(arguments.repository));
  Backup backup;
  {
    LateProgress progress("copied");
    const auto began = std::chrono::steady_clock::now();
    const auto told = [&](std::uint64_t done, std::uint64_t total) {
      progress.update(done, total);
      if (rate == 0) return;
      const std::chrono::duration<double> due(static_cast<double>(done) /
                                              static_cast<double>(rate));
      std::this_thread::sleep_until(
          began + std::chrono::duration_cast<std::chrono::steady_clock::duration>(due));
    };
    auto made = repository.create(snapshot, store, told);
    if (!made && !std::filesystem::exists(directory + "/SNAPSHOT")) {
      return fail(
          made.error().within("the broker started anew meanwhile and let go of its files; "
                              "try again"));
    }
    if (!made) return fail(made.error());
    backup = std::move(*made);
  }
  RUNNEL_TRY(write_out("backup " + backup.id + " of " + size_text(backup.bytes()) + ", of which " +
                       size_text(backup.added) + " were copied\n"));
  return ExitCode::kOk;
}

/// Of a store that no broker has open.
Result<ExitCode> create_offline(const BackupArguments& arguments) {
  if (!std::filesystem::exists(arguments.data + "/FORMAT")) {
    return fail(ErrorCode::kNotFound, arguments.data + " is no data directory");
  }
  RUNNEL_TRY_ASSIGN(const auto store, storage::Store::open(options_for_copy(arguments.data)));
  RUNNEL_TRY_ASSIGN(const auto taken, store->take_snapshot());
  auto done = copy_snapshot(arguments, store->id().to_string(), taken.directory);
  const Status closed = store->close();
  if (done && !closed) return fail(closed.error());
  return done;
}

Result<ExitCode> create(const BackupArguments& arguments) {
  RUNNEL_TRY(bytes_per_second(arguments.rate));
  if (!arguments.data.empty()) return create_offline(arguments);
  // Before the broker does anything for it.
  RUNNEL_TRY(Repository::open_or_create(arguments.repository));
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  // Whoever waits for the broker goes first. Where that is not granted it is only less polite.
  (void)::setpriority(PRIO_PROCESS, 0, kNiceness);
  RUNNEL_TRY_ASSIGN(const auto taken, settle(client.admin().take_snapshot().get()));
  return copy_snapshot(arguments, client.server().cluster_id, taken.directory);
}

/// What can be read of a repository, the rest said on standard error.
Result<Repository::Contents> read_contents(const Repository& repository) {
  RUNNEL_TRY_ASSIGN(auto contents, repository.contents());
  for (const std::string& problem : contents.problems) note(problem);
  for (std::size_t i = 1; i < contents.backups.size(); ++i) {
    const Backup& before = contents.backups[i - 1];
    if (!contents.list_is_whole || before.taken <= contents.backups[i].taken) continue;
    note("the broker's clock was set back between backup " + before.id +
         " and the one made after "
         "it, " +
         contents.backups[i].id);
  }
  return contents;
}

Result<ExitCode> list(const BackupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const auto repository, Repository::open(arguments.repository));
  RUNNEL_TRY_ASSIGN(const auto held, repository.lock_for_reading());
  RUNNEL_TRY_ASSIGN(const auto contents, read_contents(repository));
  const ExitCode code = contents.problems.empty() ? ExitCode::kOk : ExitCode::kDamaged;
  if (arguments.output == "json") {
    std::string out = "[";
    for (const Backup& backup : contents.backups) {
      out += (out.size() > 1 ? ",\n" : "\n") + std::string("{\"id\":") + json_string(backup.id) +
             ",\"taken\":" + std::to_string(backup.taken) +
             ",\"bytes\":" + std::to_string(backup.bytes()) +
             ",\"added\":" + std::to_string(backup.added) + "}";
    }
    RUNNEL_TRY(write_out(out + "\n]\n"));
    return code;
  }
  std::vector<std::vector<std::string>> rows{{"BACKUP", "TAKEN", "SIZE", "COPIED"}};
  for (const Backup& backup : contents.backups) {
    rows.push_back({backup.id, protocol::format_time(backup.taken), size_text(backup.bytes()),
                    size_text(backup.added)});
  }
  RUNNEL_TRY(write_out(format_table(rows)));
  return code;
}

Result<ExitCode> verify(const BackupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const auto repository, Repository::open(arguments.repository));
  RUNNEL_TRY_ASSIGN(const auto held, repository.lock_for_reading());
  RUNNEL_TRY_ASSIGN(const auto contents, repository.contents());
  std::vector<std::string> wrong;
  {
    LateProgress progress("verified");
    RUNNEL_TRY_ASSIGN(wrong, repository.verify(contents, progress.callback()));
  }
  for (const std::string& line : wrong) RUNNEL_TRY(write_out("damaged: " + line + "\n"));
  std::string out = std::to_string(contents.backups.size()) +
                    (contents.backups.size() == 1 ? " backup, " : " backups, ");
  out += wrong.empty()
             ? "all is well"
             : std::to_string(wrong.size()) + (wrong.size() == 1 ? " problem" : " problems");
  RUNNEL_TRY(write_out(out + "\n"));
  return wrong.empty() ? ExitCode::kOk : ExitCode::kDamaged;
}

Result<Moment> moment_of(const BackupArguments& arguments) {
  Moment moment;
  if (!arguments.to_time.empty()) {
    const auto time = protocol::parse_time(arguments.to_time);
    if (!time) return fail(time.error().within("--to-time"));
    moment.time = *time;
  }
  for (const std::string& text : arguments.to_offsets) {
    const auto limit = parse_limit(text);
    if (!limit) return fail(limit.error().within("--to-offset"));
    moment.limits.push_back(*limit);
  }
  return moment;
}

Chain as_it_is(const Backup& backup) {
  Chain chain;
  chain.backup = backup;
  return chain;
}

Result<Chain> chosen(const BackupArguments& arguments, const Moment& moment,
                     const Repository::Contents& contents) {
  const bool named = arguments.id != kLatest;
  const auto none = contents.backups.end();
  const auto first = named ? std::find_if(contents.backups.begin(), none,
                                          [&](const Backup& b) { return b.id == arguments.id; })
                           : contents.backups.begin();
  if (named && !moment.is_given() && first != none) return as_it_is(*first);
  if (!contents.problems.empty()) {
    return fail(ErrorCode::kCorrupt,
                "some backups can't be read (see above); choose one that can with --id");
  }
  if (first == none) {
    return fail(ErrorCode::kNotFound, "there is no backup " + arguments.id + " in " +
                                          arguments.repository +
                                          "; `runnel backup list` shows them");
  }
  if (!moment.is_given()) return as_it_is(contents.backups.back());
  const std::vector<Backup> on_from(first, none);
  const Passage passage = named ? Passage::kFirst : Passage::kOnly;
  if (moment.time) return chain_to_time(on_from, *moment.time, passage);
  return chain_to_limits(on_from, moment.limits, passage);
}

std::string doubts_of(const Chain& chain) {
  if (!chain.broken.empty()) return "It may not lead there: " + chain.broken + "\n";
  if (chain.is_passed) return "";
  return "It may not lead there: no backup is known to have such a record\n";
}

Result<ExitCode> restore(const BackupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(const Moment moment, moment_of(arguments));
  RUNNEL_TRY_ASSIGN(const auto repository, Repository::open(arguments.repository));
  RUNNEL_TRY_ASSIGN(const auto held, repository.lock_for_reading());
  RUNNEL_TRY_ASSIGN(const auto contents, read_contents(repository));
  RUNNEL_TRY_ASSIGN(const Chain chain, chosen(arguments, moment, contents));
  const Backup& backup = chain.backup;
  const std::string what =
      "backup " + backup.id + " (" + size_text(backup.bytes()) + ", taken " +
      protocol::format_time(backup.taken) + ")" +
      (moment.is_given() ? " and what later ones have of what followed, " + moment.text() : "");
  if (arguments.dry_run) {
    RUNNEL_TRY(write_out(what + " would be restored to " + arguments.into + "\n" +
                         doubts_of(chain) + "Dry run: nothing was written.\n"));
    return ExitCode::kOk;
  }
  MomentReport report;
  {
    LateProgress progress("restored");
    const auto prepare = [&](const std::string& directory) -> Status {
      if (!moment.is_given()) return {};
      RUNNEL_TRY_ASSIGN(report, bring_to(directory, chain, moment));
      return {};
    };
    RUNNEL_TRY(repository.restore(backup, arguments.into, prepare, progress.callback()));
  }
  std::string out = what + " was restored to " + arguments.into + "\n";
  if (report.commits > 0) {
    out += std::to_string(report.commits) + " commits follow the backup, the last one of " +
           protocol::format_time(report.last) + "\n";
  }
  if (!moment.limits.empty() && !report.reached) {
    out += "No backup has a record there: what was committed after the last one, " + chain.last +
           " of " + protocol::format_time(chain.taken) + ", is not in it\n";
  }
  RUNNEL_TRY(write_out(out + "`runnel serve --data " + arguments.into + "` serves it\n"));
  return ExitCode::kOk;
}

Result<ExitCode> remove(const BackupArguments& arguments) {
  RUNNEL_TRY_ASSIGN(auto repository, Repository::open(arguments.repository));
  if (arguments.dry_run) {
    RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, repository.removable(arguments.id));
    RUNNEL_TRY(write_out("backup " + arguments.id + " would be deleted, " + size_text(bytes) +
                         " freed\nDry run: nothing was deleted.\n"));
    return ExitCode::kOk;
  }
  RUNNEL_TRY_ASSIGN(const std::uint64_t freed, repository.remove(arguments.id));
  RUNNEL_TRY(write_out("deleted backup " + arguments.id + ", " + size_text(freed) + " freed\n"));
  return ExitCode::kOk;
}

CLI::App* subcommand(Cli& cli, CLI::App& parent, const char* name, const char* text,
                     const Arguments& arguments, Result<ExitCode> (*work)(const BackupArguments&)) {
  CLI::App* command = add_command(cli, parent, name, text, arguments, work);
  command->add_option("repository", arguments->repository, "Directory of the backups")
      ->required()
      ->type_name("DIR");
  return command;
}

void add_restore(Cli& cli, CLI::App& backup) {
  const auto arguments = std::make_shared<BackupArguments>();
  CLI::App* command =
      subcommand(cli, backup, "restore", "Make a data directory of a backup", arguments, restore);
  command->add_option("--into", arguments->into, "Data directory to make, empty or not there")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--id", arguments->id,
                   "Which one; with a moment: the first one it is looked for behind")
      ->default_str(std::string(kLatest))
      ->type_name("BACKUP");
  auto* time = command
                   ->add_option("--to-time", arguments->to_time,
                                "All that was committed up to this time, between two backups")
                   ->type_name("TIME");
  command
      ->add_option("--to-offset", arguments->to_offsets,
                   "The whole store as it was just before this record was committed; repeatable")
      ->excludes(time)
      ->allow_extra_args(false)
      ->type_name("TOPIC[P]=OFFSET");
  command->add_flag("--dry-run", arguments->dry_run, "Say what would be restored");
}

}  // namespace

void add_backup(Cli& cli) {
  CLI::App* backup = cli.app.add_subcommand("backup", "Copies of the data directory, incremental");
  backup->require_subcommand(1);

  auto arguments = std::make_shared<BackupArguments>();
  CLI::App* command =
      subcommand(cli, *backup, "create", "Copy what is new; on the broker's machine, while it runs",
                 arguments, create);
  add_broker_option(*command, arguments->broker);
  command->add_option("--data", arguments->data, "This data directory, of a broker that is stopped")
      ->type_name("DIR");
  command->add_option("--rate", arguments->rate, "Copy no faster, e.g. 100MiB/s")
      ->type_name("BYTES/s");

  arguments = std::make_shared<BackupArguments>();
  command = subcommand(cli, *backup, "list", "Show the backups", arguments, list);
  add_output_option(*command, arguments->output);

  arguments = std::make_shared<BackupArguments>();
  subcommand(cli, *backup, "verify", "Read every byte and compare checksums", arguments, verify);

  add_restore(cli, *backup);

  arguments = std::make_shared<BackupArguments>();
  command = subcommand(cli, *backup, "delete", "Forget a backup and what only it needs", arguments,
                       remove);
  command->add_option("--id", arguments->id, "Which one")->required()->type_name("BACKUP");
  command->add_flag("--dry-run", arguments->dry_run, "Say what would be freed");
}

}  // namespace runnel::tools
