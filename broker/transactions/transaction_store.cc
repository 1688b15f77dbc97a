// TransactionCoordinator's storage on a storage::Store.
#include "broker/transactions/coordinator.h"

namespace runnel::broker {
namespace {

class StoreOnStore final : public TransactionStore {
 public:
  explicit StoreOnStore(storage::Store& store) : store_(store) {}

  void commit(storage::CommitRequest request, storage::CommitCallback done) override {
    store_.commit(std::move(request), std::move(done));
  }
  void queue_commit(storage::CommitRequest request, storage::CommitCallback done) override {
    store_.queue_commit(std::move(request), std::move(done));
  }
  storage::PartitionRef partition(const TopicPartition& of) const override {
    auto found = store_.partition(of.topic, of.partition);
    return found ? std::move(*found) : nullptr;
  }
  PartitionId partition_id(const storage::PartitionRef& of) const override {
    return store_.partition_id(of);
  }
  Result<std::optional<storage::ProducerInfo>> producer(const storage::PartitionRef& partition,
                                                        ProducerId id) override {
    return store_.producer(partition, id);
  }
  Result<storage::ProducerIdentity> new_producer() override { return store_.new_producer(); }
  Result<storage::StateEntries> read_state(std::string_view prefix) const override {
    return store_.read_state(prefix);
  }

 private:
  storage::Store& store_;
};

}  // namespace

std::unique_ptr<TransactionStore> make_transaction_store(storage::Store& store) {
  return std::make_unique<StoreOnStore>(store);
}

}  // namespace runnel::broker
