// A GroupStore in memory whose saves become durable when the test says so.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/groups/coordinator.h"

namespace runnel::broker {

/// What is on the "disk", and outlives coordinators. One thread only.
struct FakeDisk {
  struct Save {
    std::string key;
    std::optional<std::string> value;
    GroupStore::Done done;
  };
  std::map<std::string, std::string> stored;
  std::deque<Save> pending;
  std::map<std::string, bool> active;
  std::set<std::string> with_offsets;
  bool at_once = true;  ///< saves are durable inside save()
  ErrorCode failing = ErrorCode::kOk;
  std::function<void()> while_deleting;  ///< runs while a group's offsets are being deleted
  int saves = 0;

  /// Makes the oldest pending save durable and answers it.
  void complete_one() {
    Save save = std::move(pending.front());
    pending.pop_front();
    if (failing != ErrorCode::kOk) return save.done(fail(failing, "the disk is full (test)"));
    if (save.value) {
      stored[save.key] = *save.value;
    } else {
      stored.erase(save.key);
    }
    save.done({});
  }
  void complete_all() {
    while (!pending.empty()) complete_one();
  }
};

class FakeGroupStore final : public GroupStore {
 public:
  explicit FakeGroupStore(FakeDisk& disk) : disk_(disk) {}
  void save(std::string key, std::optional<std::string> value, Done done) override {
    ++disk_.saves;
    disk_.pending.push_back({std::move(key), std::move(value), std::move(done)});
    if (disk_.at_once) disk_.complete_all();
  }
  Result<std::vector<std::pair<std::string, std::string>>> load(
      std::string_view prefix) const override {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [key, value] : disk_.stored) {
      if (key.starts_with(prefix)) found.emplace_back(key, value);
    }
    return found;
  }
  void set_active(std::string_view group, bool active) override {
    disk_.active[std::string(group)] = active;
  }
  Result<bool> has_offsets(std::string_view group) const override {
    return disk_.with_offsets.contains(std::string(group));
  }
  Result<std::vector<std::string>> groups_with_offsets() const override {
    return std::vector<std::string>{disk_.with_offsets.begin(), disk_.with_offsets.end()};
  }
  Status delete_offsets(std::string_view group) override {
    if (disk_.failing != ErrorCode::kOk) return fail(disk_.failing, "the disk is full (test)");
    if (disk_.while_deleting) disk_.while_deleting();
    disk_.with_offsets.erase(std::string(group));
    return {};
  }

 private:
  FakeDisk& disk_;
};

}  // namespace runnel::broker
