// Coordinator's storage on a storage::Store.
#include "broker/groups/coordinator.h"
#include "storage/store.h"

namespace runnel::broker {
namespace {

class StoreOnStore final : public GroupStore {
 public:
  explicit StoreOnStore(storage::Store& store) : store_(store) {}

  void save(std::string key, std::optional<std::string> value, Done done) override {
    storage::CommitRequest request;
    request.state.push_back({std::move(key), std::move(value)});
    store_.commit(std::move(request), [done = std::move(done)](storage::CommitOutcome outcome) {
      if (outcome.result) return done({});
      done(fail(std::move(outcome.result).error()));
    });
  }
  Result<storage::StateEntries> load(std::string_view prefix) const override {
    return store_.read_state(prefix);
  }
  void set_active(std::string_view group, bool active) override {
    store_.set_group_active(group, active);
  }
  void loaded() override { store_.start_expiry(); }
  Result<bool> has_offsets(std::string_view group) const override {
    RUNNEL_TRY_ASSIGN(const auto offsets, store_.committed_offsets(group));
    return !offsets.empty();
  }
  Result<std::vector<std::string>> groups_with_offsets() const override {
    return store_.groups_with_offsets();
  }
  Status delete_offsets(std::string_view group) override {
    return store_.delete_group_offsets(group);
  }

 private:
  storage::Store& store_;
};

}  // namespace

std::unique_ptr<GroupStore> make_group_store(storage::Store& store) {
  return std::make_unique<StoreOnStore>(store);
}

}  // namespace runnel::broker
