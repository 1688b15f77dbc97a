#include "broker/kafka/service.h"

#include "broker/kafka/kafka_session.h"

namespace runnel::broker {

KafkaService::KafkaService(storage::Store& store, Coordinator& coordinator, storage::Clock& clock,
                           Shared shared, KafkaOptions options)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      shared_(std::move(shared)),
      schemas_(shared_.schemas ? shared_.schemas
                               : std::make_shared<schemas::Registry>(store, clock, nullptr)),
      options_(std::move(options)),
      configs_(store, options_.configs),
      transaction_clock_(clock),
      transactions_(make_transaction_store(store),
                    {options_.max_transaction_timeout, options_.transactional_id_expiry}) {
  coordinator_.configure(options_.groups);
}

Status KafkaService::start() {
  RUNNEL_TRY(configs_.load());
  warn_of_settings();
  return transactions_.load(transaction_clock_.now());
}

void KafkaService::tick() {
  transactions_.tick(transaction_clock_.now());
  warn_of_limits();
}

// ---------------------------------------------------------------- messages
std::optional<std::uint64_t> NowAndThen::pass(std::chrono::nanoseconds now) {
  MutexLock lock(mutex_);
  if (last_ && now - *last_ < interval_) {
    ++held_back_;
    return std::nullopt;
  }
  last_ = now;
  return std::exchange(held_back_, 0);
}

void KafkaService::note_closed(const std::string& line) {
  if (options_.log) options_.log(line);
  if (!options_.notice) return;
  const auto others = notices_.pass(clock_.monotonic());
  if (!others) return;
  std::string more;
  if (*others > 0) more = " (" + std::to_string(*others) + " more were closed before)";
  options_.notice(line + more);
}

void KafkaService::warn_of_limits() {
  const GroupLimitCounts groups = coordinator_.limit_counts();
  if (groups != warned_groups_ && group_warnings_.pass(clock_.monotonic())) {
    warn("the limit of " + std::to_string(options_.groups.max_groups) +
         " groups is reached: " + std::to_string(groups.forgotten - warned_groups_.forgotten) +
         " without members were forgotten, but for their positions, and " +
         std::to_string(groups.refused - warned_groups_.refused) +
         " joins of new groups were refused. Does a client make up a group for each of its runs?");
    warned_groups_ = groups;
  }
  const IdLimitCounts ids = transactions_.limit_counts();
  if (ids != warned_ids_ && id_warnings_.pass(clock_.monotonic())) {
    warn("the limit of " + std::to_string(kMaxTransactionalIds) +
         " transactional ids is reached: " + std::to_string(ids.forgotten - warned_ids_.forgotten) +
         " idle ones were forgotten, and " + std::to_string(ids.refused - warned_ids_.refused) +
         " new ones were refused. Does a client make up an id for each of its runs?");
    warned_ids_ = ids;
  }
}

void KafkaService::warn_of_settings() const {
  constexpr std::string_view kSetting = "message.max.bytes";
  const std::uint64_t admitted = shared_.memory->largest_request();
  const auto wanted = static_cast<std::uint64_t>(start_number(options_.configs, kSetting));
  if (wanted <= admitted) return;
  warn(std::string(kSetting) + " is " + std::to_string(wanted) +
       ", but a request of a Kafka client may have no more than " + std::to_string(admitted) +
       " bytes with this --memory: larger ones end their connections. Raise --memory or lower " +
       std::string(kSetting));
}

SessionFactory KafkaService::factory() {
  return [this](Connection& connection) -> std::unique_ptr<Session> {
    return std::make_unique<KafkaSession>(*this, connection);
  };
}

}  // namespace runnel::broker
