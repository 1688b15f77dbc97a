// A directory of backups. Each backup is whole; what two of them have in common lies there once,
// and nothing that lies there is ever changed.
//
//   REPOSITORY            text: what this is, and the ids of the backups in it
//   backups/ID.jsonl      what a backup consists of (manifest.h)
//   data/NAME.FROM-XXH3   a stretch of the file NAME that begins at byte FROM
//   data/incoming         a stretch that is being copied
//   LOCK                  held by whoever reads (shared) or changes the repository
//
// A backup counts once REPOSITORY names it, which is done last. docs/formats/backup.md is the page.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tools/backup/copy.h"
#include "tools/backup/manifest.h"

namespace runnel::tools {

using BackupProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Not thread safe. Several programs may use one at the same time: many read or one writes.
class Repository {
 public:
  /// What can be read of it.
  struct Contents {
    /// In the order in which they were made, whatever the clock said. By id if REPOSITORY is
    /// damaged.
    std::vector<Backup> backups;
    std::vector<std::string> listed;    ///< ids that REPOSITORY names
    std::vector<std::string> problems;  ///< what is damaged or missing, a line each
    bool list_is_whole = true;          ///< REPOSITORY is not damaged
  };

  /// kNotFound: there is none. kFormatTooNew. What is damaged keeps nobody from reading the rest.
  [[nodiscard]] static Result<Repository> open(const std::string& path);
  /// open(), or a new one where nothing is. kInvalidArgument: something else is there. kCorrupt:
  /// REPOSITORY is damaged.
  [[nodiscard]] static Result<Repository> open_or_create(const std::string& path);

  /// kLocked: somebody changes it.
  [[nodiscard]] Result<std::shared_ptr<void>> lock_for_reading() const;
  /// kIo; to be called with the lock.
  [[nodiscard]] Result<Contents> contents() const;

  /// Copies what is new in `source`, a snapshot of `store`. kLocked: another one is at it. kIo,
  /// kLowSpace: there is no new backup; the next one goes on with what was copied.
  [[nodiscard]] Result<Backup> create(const storage::Snapshot& source, const std::string& store,
                                      const BackupProgress& progress);
  /// Reads all that `contents` consists of, each byte once: what is wrong, a line each.
  [[nodiscard]] Result<std::vector<std::string>> verify(const Contents& contents,
                                                        const BackupProgress& progress) const;
  /// Called with the files of a data directory before they are put in their places.
  using Prepare = std::function<Status(const std::string& directory)>;
  /// Makes `to`, which is missing or empty, a data directory, and verifies what it copies.
  /// kCorrupt: the file that is not what was backed up; kLowSpace. After an error `to` is as it was
  /// before.
  [[nodiscard]] Status restore(const Backup& backup, const std::string& to, const Prepare& prepare,
                               const BackupProgress& progress) const;
  /// Forgets a backup, and what no other one needs unless one of those can't be read. kNotFound,
  /// kLocked, kCorrupt: REPOSITORY is damaged. The bytes that went.
  [[nodiscard]] Result<std::uint64_t> remove(const std::string& id);
  /// What remove() would free.
  [[nodiscard]] Result<std::uint64_t> removable(const std::string& id) const;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Where the stretch of `name` lies that begins at `from`.
  [[nodiscard]] std::string part_path(const std::string& name, std::uint64_t from,
                                      const BackupPart& part) const;

 private:
  explicit Repository(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<std::shared_ptr<void>> lock(bool alone) const;
  [[nodiscard]] Status write_list(const std::vector<std::string>& ids) const;
  /// kCorrupt: REPOSITORY, which is about to be written anew, is damaged.
  [[nodiscard]] Status check_list(const Contents& known) const;
  /// Paths of the stretches that the backups need.
  [[nodiscard]] std::set<std::string> needed(const std::vector<Backup>& backups) const;
  /// Paths below data/.
  [[nodiscard]] Result<std::vector<std::string>> stored() const;
  /// Removes what no backup needs. The bytes that went.
  [[nodiscard]] Result<std::uint64_t> sweep(const std::vector<Backup>& backups) const;

  std::string path_;
};

}  // namespace runnel::tools
