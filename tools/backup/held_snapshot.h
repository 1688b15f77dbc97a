// A snapshot that stays where it is while it is copied.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "storage/snapshot.h"

namespace runnel::tools {

/// Which directory it is said whoever listens at the broker's address, which may be anybody while
/// the broker is down: only what is a snapshot by all signs is touched. Not thread safe.
class HeldSnapshot {
 public:
  /// kInvalidArgument: `directory` is not called as snapshots are. kIo: it can't be reached or is
  /// being removed.
  [[nodiscard]] static Result<std::unique_ptr<HeldSnapshot>> hold(const std::string& directory);
  /// What `snapshot` names is removed when this ends, with the files and directories that hold it
  /// together; without this call nothing is. kMalformed: it names what no snapshot has.
  [[nodiscard]] Status take_over(const storage::Snapshot& snapshot);
  ~HeldSnapshot();
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;

 private:
  /// Closes what it holds.
  class Descriptor {
   public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor& operator=(Descriptor&&) = delete;
    [[nodiscard]] int get() const { return fd_; }

   private:
    int fd_;
  };
  struct Folder {
    std::string name;
    Descriptor directory;
    std::vector<std::string> files;
  };

  HeldSnapshot(std::string path, Descriptor directory, Descriptor lock)
      : path_(std::move(path)), directory_(std::move(directory)), lock_(std::move(lock)) {}
  /// kMalformed: a link, a directory, a device.
  [[nodiscard]] Status check_file(int folder, const std::string& name) const;

  const std::string path_;
  const Descriptor directory_;
  const Descriptor lock_;
  std::vector<std::string> files_;  ///< beside the folders
  std::vector<Folder> folders_;
  bool taken_over_ = false;
};

}  // namespace runnel::tools
