#include <map>

#include "tools/backup/repository.h"

namespace runnel::tools {
namespace {

/// What is wrong with a stored stretch; nothing if it is as it should be.
std::string problem_of(const std::string& path, const BackupPart& part, const Did& did) {
  const auto file = storage::FileSystem::posix().open(path, {});
  if (!file) return file.error().message();
  const auto size = (*file)->size();
  if (!size) return size.error().message();
  if (*size != part.bytes) {
    return path + " has " + std::to_string(*size) + " bytes instead of " +
           std::to_string(part.bytes);
  }
  const auto hash = copy_stretch({file->get(), 0, part.bytes}, nullptr, 0, did);
  if (!hash) return hash.error().message();
  return *hash == part.xxh3 ? std::string() : path + " is not what was backed up";
}

}  // namespace

Result<std::vector<std::string>> Repository::verify(const Contents& contents,
                                                    const BackupProgress& progress) const {
  struct Stored {
    BackupPart part;
    std::vector<std::string> backups;
  };
  std::map<std::string, Stored> stored;
  std::uint64_t total = 0;
  for (const Backup& backup : contents.backups) {
    for (const BackupFile& file : backup.files) {
      std::uint64_t at = 0;
      for (const BackupPart& part : file.parts) {
        const auto [it, is_new] = stored.try_emplace(part_path(file.name, at, part));
        if (is_new) total += part.bytes;
        it->second.part = part;
        it->second.backups.push_back(backup.id);
        at += part.bytes;
      }
    }
  }
  std::vector<std::string> wrong = contents.problems;
  std::uint64_t done = 0;
  const Did did = [&](std::uint64_t bytes) { progress(done += bytes, total); };
  for (const auto& [path, one] : stored) {
    std::string problem = problem_of(path, one.part, did);
    if (problem.empty()) continue;
    problem += "; needed by backup ";
    problem += one.backups.front();
    if (one.backups.size() > 1) {
      problem += " and " + std::to_string(one.backups.size() - 1) + " later ones";
    }
    wrong.push_back(std::move(problem));
  }
  return wrong;
}

}  // namespace runnel::tools
