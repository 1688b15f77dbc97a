// The addresses of names. The system's resolver blocks, for half a minute where no name server
// answers, and can't be interrupted: it runs on threads that nobody waits for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/net/address_rules.h"
#include "protocol/base/error.h"

namespace runnel::broker {

/// Names that are looked up at a time, each once and on a thread; others wait for their turn.
inline constexpr std::size_t kMaxLookups = 4;

/// Thread safe.
class NameLookup {
 public:
  using Addresses = std::vector<AddressBytes>;
  /// Blocks. Called on several threads at once, and maybe still under way when all else has gone.
  using Resolve = std::function<Result<Addresses>(const std::string& host)>;
  /// Must not block, nor call anything of its NameLookup.
  using Done = std::function<void(Result<Addresses>)>;

  explicit NameLookup(Resolve resolve);
  /// Does not wait for what is under way. No `done` is called any more, and each is destroyed.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  /// `done` is called once, on another thread, unless it is cancelled. Who asks for a name that is
  /// being looked up, or waits for its turn, is told with those who asked before. The ticket is for
  /// cancel(). Errors: kDisconnected: there are no addresses, and why.
  [[nodiscard]] std::uint64_t start(const std::string& host, Done done);
  /// `done` will not be called, and is destroyed; others that wait for the name are told. False:
  /// the name's turn had not come, nobody has been asked for it.
  bool cancel(const std::string& host, std::uint64_t ticket);

  /// The system's: /etc/hosts, name servers, whatever it is told.
  [[nodiscard]] static Result<Addresses> system(const std::string& host);

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);
  const std::shared_ptr<State> state_;  ///< its threads may outlive this
};

}  // namespace runnel::broker
