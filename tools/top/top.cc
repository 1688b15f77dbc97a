// runnel top: what the broker does now, live on a terminal; plain lines off it.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <memory>

#include "protocol/text/time.h"
#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/top/screen.h"

namespace runnel::tools {
namespace {

/// With more partitions than this, or more groups, looking at each would itself be a load.
constexpr std::uint64_t kMostPartitions = 5'000;
constexpr std::size_t kMostGroupsLookedAt = 50;

struct TopArguments {
  std::string broker;
  std::string every = "1s";
  std::uint64_t count = 0;  ///< 0: until it is ended
};

/// The terminal as a screen of its own, with keys that come at once; as it was, afterwards.
class Terminal {
 public:
  Terminal() : shown_(::isatty(STDOUT_FILENO) == 1), keyed_(::tcgetattr(STDIN_FILENO, &old_) == 0) {
    if (!shown_) return;
    if (keyed_) {
      termios raw = old_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    [[maybe_unused]] const Status told = write_out("\x1b[?1049h\x1b[?25l");
  }
  ~Terminal() {
    if (!shown_) return;
    [[maybe_unused]] const Status told = write_out("\x1b[?25h\x1b[?1049l");
    if (keyed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &old_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] Status show(const std::vector<std::string>& lines) const {
    std::string out = shown_ ? "\x1b[H" : "";
    for (std::size_t i = 0; i < lines.size(); ++i) {
      out += lines[i];
      // The last line without a break, so that nothing scrolls.
      if (shown_) out += i + 1 < lines.size() ? "\x1b[K\r\n" : "\x1b[K\x1b[J";
      if (!shown_) out += '\n';
    }
    if (!shown_) out += '\n';
    return write_out(out);
  }
  [[nodiscard]] std::pair<std::size_t, std::size_t> size() const {
    winsize window{};
    if (shown_ && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) {
      return {window.ws_col, window.ws_row};
    }
    return {1000, 1000};
  }
  /// Waits; true if q was pressed meanwhile.
  [[nodiscard]] bool wait(std::chrono::milliseconds time) const {
    pollfd keys{shown_ && keyed_ ? STDIN_FILENO : -1, POLLIN, 0};
    if (::poll(&keys, 1, static_cast<int>(time.count())) <= 0 || (keys.revents & POLLIN) == 0) {
      return false;
    }
    char key = 0;
    return ::read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q');
  }

 private:
  bool shown_;
  termios old_{};
  bool keyed_;
};

void look_at_topics(const std::vector<TopicState>& topics, BrokerLook& look) {
  for (const TopicState& topic : topics) {
    TopicLook& sum = look.topics[topic.name];
    sum.partitions = static_cast<std::int32_t>(topic.partitions.size());
    for (const PartitionState& partition : topic.partitions) {
      sum.records += static_cast<std::uint64_t>(partition.high_watermark - partition.log_start);
      sum.written += static_cast<std::uint64_t>(partition.high_watermark);
      sum.bytes += partition.bytes;
    }
  }
}

Status look_at_groups(Client& client, const std::vector<TopicState>& topics, BrokerLook& look) {
  std::map<TopicPartition, std::int64_t> ends;
  for (const TopicState& topic : topics) {
    for (const PartitionState& partition : topic.partitions) {
      ends[{topic.name, partition.partition}] = partition.high_watermark;
    }
  }
  RUNNEL_TRY_ASSIGN(const auto groups, settle(client.admin().list_groups().get()));
  for (const GroupState& group : groups) {
    if (look.groups.size() == kMostGroupsLookedAt) break;
    const auto offsets = settle(client.admin().group_offsets(group.group).get());
    if (!offsets) continue;  // it has gone meanwhile
    GroupLook& sum = look.groups[group.group];
    sum.state = group.state;
    for (const GroupOffset& offset : *offsets) {
      const auto end = ends.find(offset.target);
      if (end == ends.end()) continue;
      sum.lag += static_cast<std::uint64_t>(std::max<std::int64_t>(0, end->second - offset.offset));
    }
  }
  return {};
}

Result<BrokerLook> look(Client& client) {
  BrokerLook out;
  RUNNEL_TRY_ASSIGN(const auto statistics, settle(client.admin().statistics().get()));
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  out.seconds = std::chrono::duration<double>(now).count();
  for (const Statistic& statistic : statistics) out.statistics[statistic.name] = statistic.value;
  if (out.statistics["store.partitions"] > kMostPartitions) return out;
  RUNNEL_TRY_ASSIGN(const auto topics, settle(client.admin().list_topics().get()));
  look_at_topics(topics, out);
  RUNNEL_TRY(look_at_groups(client, topics, out));
  return out;
}

Result<ExitCode> run(const TopArguments& arguments) {
  const auto every = protocol::parse_duration(arguments.every);
  if (!every) return fail(every.error().within("--every"));
  if (every->count() < 100) {
    return fail(ErrorCode::kInvalidArgument, "--every is at least 100ms");
  }
  watch_interrupts();
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY_ASSIGN(BrokerLook before, look(client));
  const Terminal terminal;
  for (std::uint64_t shown = 0; arguments.count == 0 || shown < arguments.count; ++shown) {
    if (terminal.wait(*every) || interrupted()) break;
    RUNNEL_TRY_ASSIGN(BrokerLook now, look(client));
    const auto [width, height] = terminal.size();
    const std::string title = "Runnel " + client.server().version + "   " +
                              protocol::format_time(now_millis()).substr(0, 19) + "Z   q ends it";
    RUNNEL_TRY(terminal.show(render_top(before, now, title, width, height)));
    before = std::move(now);
  }
  return ExitCode::kOk;
}

}  // namespace

void add_top(Cli& cli) {
  const auto arguments = std::make_shared<TopArguments>();
  CLI::App* command =
      cli.app.add_subcommand("top", "Watch rates, disk, groups and topics on a terminal");
  add_broker_option(*command, arguments->broker);
  command->add_option("--every", arguments->every, "How often to look")
      ->default_str("1s")
      ->type_name("DURATION");
  command->add_option("-n,--count", arguments->count, "Stop after so many looks")
      ->check(at_least(1))
      ->type_name("N");
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
