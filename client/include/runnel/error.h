// What can go wrong, and the two types that carry it: Failure and Outcome.
//
// No function of this library throws. Everything that can fail returns an Outcome (or a Pending
// that becomes one). Thread safety of all types here: as an int's.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#define RUNNEL_API __attribute__((visibility("default")))

namespace runnel {

/// Error numbers, the same on the wire and in the server's log. Never renumbered.
enum class Errc : std::uint16_t {
  ok = 0,
  internal = 1,          ///< a defect of Runnel
  invalid_argument = 2,  ///< the request makes no sense as it is
  malformed = 3,         ///< bytes that do not follow their format
  unsupported = 4,       ///< known, but not offered here
  corrupt = 5,           ///< stored bytes fail their checksum
  io = 6,                ///< the file system failed
  low_space = 7,         ///< the broker's disk is too full to accept records
  locked = 8,            ///< another process holds the data directory
  format_too_new = 9,    ///< the directory was written by a newer version
  unknown_topic = 10,
  unknown_partition = 11,
  topic_exists = 12,
  invalid_topic_name = 13,
  invalid_config = 14,
  offset_out_of_range = 15,
  record_too_large = 16,
  out_of_order_sequence = 17,
  invalid_producer_epoch = 18,
  unknown_producer = 19,
  precondition_failed = 20,  ///< the expected next offset did not match
  fenced = 21,               ///< a newer fencing token or member is known
  dedup_conflict = 22,       ///< same dedup key, other payload
  partial_duplicate = 23,    ///< handled inside; never seen by callers
  unknown_group = 24,
  unknown_member = 25,
  stale_generation = 26,
  rebalancing = 27,
  group_not_empty = 28,
  overloaded = 29,  ///< a memory bound is reached, the broker's or the producer's own
  shutting_down = 30,
  timeout = 31,
  disconnected = 32,
  unknown_request = 33,  ///< the broker is older than this library
  version_mismatch = 34,
  unauthorized = 35,
  too_many_partitions = 36,
  cancelled = 37,  ///< closed or destroyed before there was an answer
  not_found = 38,
  inconsistent_group_protocol = 42,  ///< the group's members are Kafka clients
};

/// What a caller should do about a failure.
enum class Action : std::uint8_t {
  retry = 0,            ///< nothing was done; the same request may succeed later
  refresh = 1,          ///< reread topics or rejoin the group, then retry
  permanent = 2,        ///< the same request will always fail
  maybe_persisted = 3,  ///< the outcome is not known; repeat only what may happen twice
};

/// The category "runnel"; its messages are the errors' stable names, e.g. "offset_out_of_range".
[[nodiscard]] RUNNEL_API const std::error_category& error_category() noexcept;
[[nodiscard]] RUNNEL_API std::error_code make_error_code(Errc code) noexcept;
/// Stable lower_snake name; "unknown" for a number this version does not know.
[[nodiscard]] RUNNEL_API std::string_view to_string(Errc code) noexcept;
/// "retry", "refresh", "permanent" or "maybe_persisted".
[[nodiscard]] RUNNEL_API std::string_view to_string(Action action) noexcept;
[[nodiscard]] RUNNEL_API Action action_for(Errc code) noexcept;

/// A failure: a code to act on and a message for people (what happened, why, what to do next).
class Failure {
 public:
  Failure(Errc errc, std::string message)
      : errc_(errc), action_(action_for(errc)), message_(std::move(message)) {}
  /// With the action that the broker named.
  Failure(Errc errc, Action action, std::string message)
      : errc_(errc), action_(action), message_(std::move(message)) {}

  [[nodiscard]] Errc errc() const noexcept { return errc_; }
  [[nodiscard]] std::error_code code() const noexcept { return make_error_code(errc_); }
  [[nodiscard]] Action action() const noexcept { return action_; }
  /// True for Action::retry and Action::refresh: repeating the call cannot do it twice.
  [[nodiscard]] bool is_retriable() const noexcept {
    return action_ == Action::retry || action_ == Action::refresh;
  }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  /// "offset_out_of_range: offset 7 is ..."
  [[nodiscard]] std::string to_string() const {
    return std::string(runnel::to_string(errc_)) + ": " + message_;
  }

 private:
  Errc errc_;
  Action action_;
  std::string message_;
};

/// A value or a Failure. Reading the one that is not there ends the program.
template <class T>
class [[nodiscard]] Outcome {
  using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  using value_type = T;
  /// Success without a value; for Outcome<void> only.
  Outcome()
    requires std::is_void_v<T>
      : state_(std::in_place_index<0>) {}
  template <class U = T>
    requires(!std::is_void_v<T> && std::is_convertible_v<U &&, Stored> &&
             !std::is_same_v<std::remove_cvref_t<U>, Outcome> &&
             !std::is_same_v<std::remove_cvref_t<U>, Failure>)
  Outcome(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}    // NOLINT
  Outcome(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] auto& value() &
        requires(!std::is_void_v<T>)
  {
    return check<0>(state_);
  }
  [[nodiscard]] const auto& value() const&
    requires(!std::is_void_v<T>)
  {
    return check<0>(state_);
  }
  [[nodiscard]] Stored value() &&
        requires(!std::is_void_v<T>)
  {
    return std::move(check<0>(state_));
  }
  [[nodiscard]] auto& operator*() &
        requires(!std::is_void_v<T>)
  {
    return check<0>(state_);
  }
  [[nodiscard]] const auto& operator*() const&
    requires(!std::is_void_v<T>)
  {
    return check<0>(state_);
  }
  [[nodiscard]] Stored operator*() &&
        requires(!std::is_void_v<T>)
  {
    return std::move(check<0>(state_));
  }
  [[nodiscard]] auto* operator->()
    requires(!std::is_void_v<T>)
  {
    return &check<0>(state_);
  }
  [[nodiscard]] const auto* operator->() const
    requires(!std::is_void_v<T>)
  {
    return &check<0>(state_);
  }
  [[nodiscard]] const Failure& error() const { return check<1>(state_); }

 private:
  template <std::size_t I, class V>
  static auto& check(V& state) {
    if (state.index() != I) std::abort();
    return *std::get_if<I>(&state);
  }
  std::variant<Stored, Failure> state_;
};

}  // namespace runnel

template <>
struct std::is_error_code_enum<runnel::Errc> : std::true_type {};
