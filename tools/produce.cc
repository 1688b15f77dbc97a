// runnel produce: lines, JSON lines, CSV or whole files into a topic.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <memory>
#include <mutex>
#include <thread>

#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/interruptible_input.h"
#include "tools/options/settings.h"
#include "tools/text/progress.h"
#include "tools/text/row_reader.h"

namespace runnel::tools {
namespace {

/// Rejected rows that are printed when there is no --rejects file to find them in.
constexpr std::uint64_t kShownRejects = 10;
/// How often a wait for the broker looks at what goes on.
constexpr std::chrono::milliseconds kLookEvery{200};
/// The first one ends the reading, the second one the wait for answers.
constexpr int kInterruptsTaken = 2;

struct ProduceArguments {
  std::string broker;
  std::string topic;
  std::vector<std::string> files;
  std::string input = "lines";
  RowOptions rows;
  std::string constant_key;
  std::vector<std::string> headers;
  std::int32_t partition = -1;
  std::string acks = "all";
  std::string compression = "none";
  std::string rejects;
  std::string timeout = "2m";
};

Result<Durability> durability_of(const std::string& acks) {
  if (acks == "0" || acks == "none") return Durability::none;
  if (acks == "1" || acks == "written") return Durability::written;
  return Durability::synced;
}

Result<std::chrono::milliseconds> timeout_of(const std::string& text) {
  const auto timeout = protocol::parse_duration(text);
  if (!timeout) return fail(timeout.error().within("--timeout"));
  if (timeout->count() > 0) return *timeout;
  return fail(ErrorCode::kInvalidArgument, "--timeout is more than nothing, as in 30s");
}

std::string counted(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + ' ' + (count == 1 ? one : many);
}

/// What became of the rows. Callbacks of the client report from its I/O thread.
class Tally {
 public:
  Status open_rejects(const std::string& path, const std::vector<std::string>& inputs) {
    if (path.empty()) return {};
    for (const std::string& input : inputs) {
      std::error_code none;  // one that is not there is no other
      if (!std::filesystem::equivalent(path, input == "-" ? "/dev/stdin" : input, none)) continue;
      return fail(ErrorCode::kInvalidArgument,
                  "--rejects " + path + " would be written over the input; name another file");
    }
    rejects_.open(path, std::ios::binary | std::ios::trunc);
    if (rejects_) return {};
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                "cannot write " + path + ": " + std::strerror(errno));
  }

  /// Its outcome is told later: stored(), failed(), turned_away() or not_sent().
  void sent() {
    const std::lock_guard lock(mutex_);
    ++waiting_;
  }

  void stored() {
    const std::lock_guard lock(mutex_);
    --waiting_;
    ++stored_;
  }

  /// The broker does not want the row that was sent.
  void turned_away(const std::string& file, const InputRow& row) {
    reject(file, row);
    const std::lock_guard lock(mutex_);
    --waiting_;
  }

  /// There was no room for it.
  void not_sent() {
    const std::lock_guard lock(mutex_);
    --waiting_;
    ++not_sent_;
  }

  void reject(const std::string& file, const InputRow& row) {
    const std::lock_guard lock(mutex_);
    ++rejected_;
    if (rejects_.is_open()) {
      rejects_ << reject_line(row);
    } else if (rejected_ <= kShownRejects) {
      std::fprintf(stderr, "%s line %llu: %s\n", file.c_str(),
                   static_cast<unsigned long long>(row.line), row.rejected.c_str());
    }
  }

  /// The first failure ends the work; the record may be in the log or not.
  void failed(Error error) {
    const std::lock_guard lock(mutex_);
    --waiting_;
    ++failed_;
    if (!failure_) failure_ = std::move(error);
  }

  [[nodiscard]] bool has_failed() const {
    const std::lock_guard lock(mutex_);
    return failure_.has_value();
  }

  /// Rows that are sent and have no outcome yet.
  [[nodiscard]] std::uint64_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

  /// No row was seen.
  [[nodiscard]] bool empty() const {
    const std::lock_guard lock(mutex_);
    return waiting_ + stored_ + rejected_ + failed_ + not_sent_ == 0;
  }

  /// Prints the counts. `stopped`: the input was not read to its end.
  Result<ExitCode> conclude(const ProduceArguments& arguments, bool stopped) {
    const std::lock_guard lock(mutex_);
    if (!rejects_.is_open() && rejected_ > kShownRejects) {
      note("... and " + std::to_string(rejected_ - kShownRejects) +
           " more were rejected; --rejects FILE keeps them all");
    }
    std::string text = counted(stored_, "record", "records") + " stored in " + arguments.topic;
    if (rejected_ > 0) {
      text += ", " + std::to_string(rejected_) + " rejected";
      if (rejects_.is_open()) text += " (see " + arguments.rejects + ")";
    }
    if (failed_ > 0) text += ", " + std::to_string(failed_) + " failed";
    if (not_sent_ > 0) text += ", " + std::to_string(not_sent_) + " not sent";
    if (waiting_ > 0) text += ", " + std::to_string(waiting_) + " without an answer (maybe stored)";
    if (stopped) text += "; stopped before the end of the input";
    std::fprintf(stderr, "%s\n", text.c_str());
    if (rejects_.is_open()) {
      rejects_.close();
      if (!rejects_) return fail(ErrorCode::kIo, "cannot write all of " + arguments.rejects);
    }
    if (failure_) return fail(*failure_);
    if (stopped || waiting_ > 0 || not_sent_ > 0) return ExitCode::kInterrupted;
    return rejected_ > 0 ? ExitCode::kRejected : ExitCode::kOk;
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t stored_ = 0;
  std::uint64_t rejected_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t not_sent_ = 0;
  std::uint64_t waiting_ = 0;
  std::optional<Error> failure_;
  std::ofstream rejects_;
};

/// Says on standard error why nothing is stored, and when that is over.
class ProducerWatch {
 public:
  /// `client` has to stay alive.
  ProducerWatch(const Client& client, Producer producer, const ProduceArguments& arguments)
      : connection_(client, arguments.broker),
        producer_(std::move(producer)),
        timeout_(arguments.timeout) {}

  /// Cheap to call often.
  void look() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + kLookEvery;
    connection_.look();
    const auto obstacle = producer_.stats().obstacle;
    // The connection speaks for itself.
    const bool refused = obstacle && obstacle->errc() != Errc::disconnected;
    if (refused == std::exchange(refused_, refused)) return;
    note(refused ? "the broker takes no records: " + obstacle->message() + "; trying for up to " +
                       timeout_ + " (--timeout)"
                 : "the broker takes records again");
  }

 private:
  ConnectionWatch connection_;
  Producer producer_;
  const std::string timeout_;
  bool refused_ = false;
  std::chrono::steady_clock::time_point next_{};
};

/// Sends rows and sorts what comes of them.
class RowSender {
 public:
  RowSender(const Client& client, Producer producer, const ProduceArguments& arguments,
            std::shared_ptr<Tally> tally)
      : producer_(std::move(producer)),
        arguments_(arguments),
        tally_(std::move(tally)),
        watch_(client, producer_, arguments) {}

  Status prepare() {
    for (const std::string& header : arguments_.headers) {
      const std::size_t equals = header.find('=');
      if (equals == std::string::npos || equals == 0) {
        return fail(ErrorCode::kInvalidArgument, "-H '" + header + "' is not KEY=VALUE");
      }
      const std::string_view text(header);
      headers_.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    return {};
  }

  /// To be called now and then while there is nothing to send.
  void look() { watch_.look(); }

  /// Waits while the producer has no room for the row; an interrupt ends that.
  void send(const std::string& file, InputRow row) {
    watch_.look();
    if (!row.rejected.empty()) return tally_->reject(file, row);
    const auto sent = std::make_shared<SentRow>();
    sent->row = std::move(row);
    sent->file = file;
    const InputRecord& record = sent->row.record;
    Message message;
    message.topic = arguments_.topic;
    if (record.key) message.key = *record.key;
    if (!record.key && !arguments_.constant_key.empty()) message.key = arguments_.constant_key;
    if (record.value) message.value = *record.value;
    if (record.timestamp) message.timestamp = Time(std::chrono::milliseconds(*record.timestamp));
    if (arguments_.partition >= 0) message.partition = arguments_.partition;
    message.headers = headers_;
    tally_->sent();
    while (!offer(message, sent)) {
      watch_.look();
      if (interrupted() || tally_->has_failed()) return tally_->not_sent();
    }
  }

  /// Waits until everything sent has its outcome, at most the delivery time-out, or until a second
  /// interrupt.
  Status finish() {
    auto flushed = producer_.flush_async();
    for (bool told = false; interrupts() < kInterruptsTaken;) {
      const Outcome<void> outcome = flushed.get_for(kLookEvery);
      if (outcome || outcome.error().errc() != Errc::timeout) return settle(outcome);
      watch_.look();
      if (!interrupted() || std::exchange(told, true)) continue;
      note("waiting for " + counted(tally_->waiting(), "answer", "answers") +
           "; Ctrl-C again gives up");
    }
    return {};
  }

 private:
  struct SentRow {
    InputRow row;
    std::string file;
    const std::thread::id sender = std::this_thread::get_id();
    bool no_room = false;  ///< of the sender's thread
  };

  /// False if the producer had no room in time.
  bool offer(const Message& message, const std::shared_ptr<SentRow>& sent) {
    sent->no_room = false;
    producer_.send(message, [tally = tally_, sent](Outcome<Delivery> outcome) {
      // Only a full buffer answers on the thread that sends, and before send() returns.
      if (!outcome && std::this_thread::get_id() == sent->sender) {
        sent->no_room = true;
      } else if (outcome) {
        tally->stored();
      } else if (outcome.error().errc() == Errc::record_too_large) {
        sent->row.rejected = outcome.error().message();
        tally->turned_away(sent->file, sent->row);
      } else {
        tally->failed(to_error(outcome.error()));
      }
    });
    return !sent->no_room;
  }

  Producer producer_;
  const ProduceArguments& arguments_;
  std::shared_ptr<Tally> tally_;
  ProducerWatch watch_;
  std::vector<Header> headers_;
};

std::uint64_t size_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<std::uint64_t>(info.st_size);
}

/// Up to the end of the input, an interrupt or a failure.
Status send_rows(std::istream& in, const std::string& name, const ProduceArguments& arguments,
                 RowSender& sender, const Tally& tally) {
  auto rows = open_rows(in, arguments.rows);
  if (!rows) return fail(rows.error().within(name));
  Progress progress(name, size_of(name), "bytes");
  std::uint64_t done = 0;
  while (!tally.has_failed()) {
    auto row = (*rows)->next();
    // What an interrupt cut off may be half a row.
    if (!row || interrupted()) break;
    done += row->raw.size() + 1;
    sender.send(name, std::move(*row));
    progress.update(done);
  }
  if (in.bad()) return fail(ErrorCode::kIo, "cannot read " + name + ": " + std::strerror(errno));
  return {};
}

Status send_standard_input(const ProduceArguments& arguments, RowSender& sender,
                           const Tally& tally) {
  InterruptibleInput input(STDIN_FILENO, [&sender] { sender.look(); });
  std::istream in(&input);
  RUNNEL_TRY(send_rows(in, "standard input", arguments, sender, tally));
  if (input.error() == 0) return {};
  return fail(ErrorCode::kIo,
              "cannot read standard input: " + std::string(std::strerror(input.error())));
}

Status send_file(const std::string& path, const ProduceArguments& arguments, RowSender& sender,
                 const Tally& tally) {
  if (path == "-") return send_standard_input(arguments, sender, tally);
  if (arguments.input == "files") {
    RUNNEL_TRY_ASSIGN(auto text, read_text_file(path));
    InputRow row;
    row.line = 1;
    row.record.key = path;
    row.record.value = std::move(text);
    sender.send(path, std::move(row));
    return {};
  }
  std::error_code ignored;  // whatever is wrong, opening it says what
  if (std::filesystem::is_directory(path, ignored)) {
    return fail(ErrorCode::kInvalidArgument, path + " is a directory; name files");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                "cannot read " + path + ": " + std::strerror(errno));
  }
  return send_rows(in, path, arguments, sender, tally);
}

Result<ExitCode> run(ProduceArguments& arguments) {
  if (arguments.input == "jsonl") arguments.rows.kind = InputKind::kJsonLines;
  if (arguments.input == "csv") arguments.rows.kind = InputKind::kCsv;
  if (arguments.files.empty()) {
    if (arguments.input == "files") {
      return fail(ErrorCode::kInvalidArgument, "--in files needs the files' names");
    }
    arguments.files.emplace_back("-");
  }
  watch_interrupts(kInterruptsTaken);
  RUNNEL_TRY_ASSIGN(auto client, connect_to(arguments.broker));
  RUNNEL_TRY(describe_topic(client, arguments.topic));
  ProducerOptions options;
  RUNNEL_TRY_ASSIGN(options.durability, durability_of(arguments.acks));
  options.compression = compression_named(arguments.compression);
  RUNNEL_TRY_ASSIGN(options.delivery_timeout, timeout_of(arguments.timeout));
  options.send_timeout = kLookEvery;  // RowSender tries again
  const auto tally = std::make_shared<Tally>();
  RUNNEL_TRY(tally->open_rejects(arguments.rejects, arguments.files));
  RowSender sender(client, client.producer(options), arguments, tally);
  RUNNEL_TRY(sender.prepare());
  Status status;
  for (const std::string& file : arguments.files) {
    status = send_file(file, arguments, sender, *tally);
    if (!status || tally->has_failed() || interrupted()) break;
  }
  const bool stopped = interrupted();
  // What was sent keeps its acknowledgement, and its count, whatever ended the reading.
  const Status flushed = sender.finish();
  if (!status && tally->empty()) return fail(status.error());
  auto concluded = tally->conclude(arguments, stopped);
  if (!status) return fail(status.error());
  if (concluded && !flushed) return fail(flushed.error());
  return concluded;
}

void add_input_options(CLI::App& command, ProduceArguments& arguments) {
  command.add_option("-i,--in", arguments.input, "What the input is")
      ->check(CLI::IsMember({"lines", "jsonl", "csv", "files"}))
      ->default_str("lines")
      ->type_name("KIND");
  command.add_option("--key", arguments.rows.key, "Key of each row: .id (jsonl) or a column (csv)")
      ->type_name("PATH");
  command.add_option("--timestamp", arguments.rows.timestamp, "Timestamp of each row, likewise")
      ->type_name("PATH");
  command.add_option("--value", arguments.rows.value, "Value of each row; default: the whole row")
      ->type_name("PATH");
  command
      .add_option("-K,--key-delimiter", arguments.rows.key_delimiter,
                  "Lines: what separates the key from the value")
      ->type_name("TEXT");
  command
      .add_option("--rejects", arguments.rejects,
                  "Write rows that are no records to this file, with line and reason")
      ->type_name("FILE");
}

void add_record_options(CLI::App& command, ProduceArguments& arguments) {
  command.add_option("-k,--default-key", arguments.constant_key, "Key of records that have none")
      ->type_name("KEY");
  command.add_option("-H,--header", arguments.headers, "Header of every record; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("-p,--partition", arguments.partition, "Partition; default: by key")
      ->check(at_least(0))
      ->type_name("N");
  command
      .add_option("--acks", arguments.acks,
                  "Answer when accepted (0), written (1) or on stable storage (all)")
      ->check(CLI::IsMember({"0", "1", "all", "none", "written", "synced"}))
      ->default_str("all")
      ->type_name("LEVEL");
  command
      .add_option("--timeout", arguments.timeout, "Give up on a record that is not stored by then")
      ->default_str("2m")
      ->type_name("DURATION");
  command.add_option("-z,--compression", arguments.compression, "Codec")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->default_str("none")
      ->type_name("CODEC");
}

}  // namespace

void add_produce(Cli& cli) {
  const auto arguments = std::make_shared<ProduceArguments>();
  CLI::App* command = cli.app.add_subcommand("produce", "Write records to a topic");
  add_broker_option(*command, arguments->broker);
  command->add_option("topic", arguments->topic, "Topic")->required()->type_name("TOPIC");
  command->add_option("files", arguments->files, "Input; default: standard input")
      ->type_name("FILE");
  add_input_options(*command, *arguments);
  add_record_options(*command, *arguments);
  command->callback([&cli, arguments] { cli.action = [arguments] { return run(*arguments); }; });
}

}  // namespace runnel::tools
