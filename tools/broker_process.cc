#include "tools/broker_process.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "broker/net/sd_notify.h"
#include "protocol/text/units.h"
#include "tools/cli.h"
#include "tools/kafka_settings.h"
#include "tools/options/options.h"

namespace runnel::tools {
namespace {

/// How often groups look at what is due, and how many of these steps until they look at the rest:
/// topics that grew, groups that nobody needs.
constexpr std::timespec kStep{0, broker::kDeadlineStep / std::chrono::nanoseconds(1)};
constexpr int kStepsOfTick = 10;

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

void log_store_message(storage::LogLevel level, std::string_view text) {
  switch (level) {
    case storage::LogLevel::kInfo:
      spdlog::info("{}", text);
      break;
    case storage::LogLevel::kWarning:
      spdlog::warn("{}", text);
      break;
    case storage::LogLevel::kError:
      spdlog::error("{}", text);
      break;
  }
}

Result<std::vector<broker::Endpoint>> endpoints_of(const Settings& settings) {
  std::vector<broker::Endpoint> endpoints;
  for (const std::string& address : settings.list("listen")) {
    RUNNEL_TRY_ASSIGN(auto endpoint, broker::parse_endpoint(address));
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

/// Nothing may be acknowledged any more; ending at once is what keeps that promise.
[[noreturn]] void end_on_storage_failure(const Error& error) {
  spdlog::critical("storage failed, ending: {}", error.message());
  spdlog::default_logger()->flush();
  std::_Exit(static_cast<int>(ExitCode::kStorage));
}

void notify(std::string_view state) {
  if (const Status status = broker::sd_notify(state); !status) {
    spdlog::warn("cannot tell systemd: {}", status.error().message());
  }
}

/// For people: each setting with where it came from and what it is for.
std::vector<broker::http::ShownSetting> shown(const Settings& settings) {
  std::vector<broker::http::ShownSetting> out;
  for (const auto& [name, setting] : settings.all()) {
    const OptionRow& row = *find_option(name);
    std::string value;
    for (const std::string& part : setting.values) value += (value.empty() ? "" : ", ") + part;
    out.push_back({name, std::move(value), setting.source, std::string(row.text), row.reloadable});
  }
  return out;
}

/// The file's content; empty: the system's alone.
Result<std::string> authorities_of(const Settings& settings) {
  const std::string& path = settings.text("webhook-ca");
  if (path == "system") return std::string();
  auto pem = storage::FileSystem::posix().read_file(path);
  if (!pem) return fail(pem.error().within("webhook-ca"));
  if (const Status good = broker::check_authorities(*pem); !good) {
    return fail(good.error().within("webhook-ca: " + path));
  }
  return pem;
}

}  // namespace

Result<std::unique_ptr<BrokerProcess>> BrokerProcess::start(const Settings& settings) {
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<BrokerProcess> process(new BrokerProcess(settings.duration("drain-timeout")));
  RUNNEL_TRY_ASSIGN(process->kafka_configs_, kafka_configs(settings));
  // What can be refused is refused before anything is created on the disk.
  RUNNEL_TRY(advertised_listeners(settings));
  RUNNEL_TRY_ASSIGN(process->listen_, endpoints_of(settings));
  RUNNEL_TRY(broker::check_addresses(process->listen_, settings.enabled("insecure-allow-remote")));
  RUNNEL_TRY_ASSIGN(process->callable_,
                    broker::AddressRules::parse(settings.list("webhook-allow")));
  RUNNEL_TRY_ASSIGN(process->authorities_, authorities_of(settings));
  std::error_code ignored;  // opening the store says what is wrong
  if (!std::filesystem::exists(settings.text("data"), ignored)) {
    // In a directory that is there, the broker that has it open is the better reason to give.
    RUNNEL_TRY(broker::try_addresses(process->listen_));
  }
  RUNNEL_TRY(process->open_store(settings));
  RUNNEL_TRY(process->open_views(settings));
  RUNNEL_TRY(process->open_groups());
  RUNNEL_TRY(process->open_network(settings));
  notify("READY=1");
  return process;
}

Status BrokerProcess::open_store(const Settings& settings) {
  storage::StoreOptions options;
  options.directory = settings.text("data");
  options.memory_bytes = settings.bytes("memory");
  options.segment_bytes = settings.bytes("segment-bytes");
  options.group_bytes = settings.bytes("commit-group-bytes");
  options.page_cache_bytes = settings.bytes("page-cache");
  options.low_space_bytes = settings.bytes("low-space");
  options.cleaner_bytes_per_second = settings.bytes("cleaner-rate");
  options.ballast_bytes = settings.bytes("ballast");
  options.scrub_interval = settings.duration("scrub-interval");
  options.trust_clock = settings.enabled("trust-clock");
  options.maintenance_interval = settings.duration("maintenance-interval");
  options.age_check_interval = std::chrono::milliseconds(
      broker::start_number(kafka_configs_, "log.retention.check.interval.ms"));
  options.offsets_retention =
      std::chrono::minutes(broker::start_number(kafka_configs_, "offsets.retention.minutes"));
  options.producer_expiry =
      std::chrono::milliseconds(broker::start_number(kafka_configs_, "producer.id.expiration.ms"));
  options.topic_defaults_follow = true;
  options.log = log_store_message;
  options.on_fatal = end_on_storage_failure;
  RUNNEL_TRY_ASSIGN(store_, storage::Store::open(std::move(options)));
  return {};
}

Status BrokerProcess::open_views(const Settings& settings) {
  storage::views::ViewServiceOptions options;
  options.directory = settings.text("data") + "/views";
  options.memory_bytes = settings.bytes("view-memory");
  options.log = log_store_message;
  RUNNEL_TRY_ASSIGN(views_, storage::views::ViewService::open(*store_, std::move(options)));
  return {};
}

Status BrokerProcess::open_groups() {
  const auto partition_count = [store = store_.get()](std::string_view topic) {
    const auto info = store->describe_topic(topic);
    if (!info) return broker::TopicShape();
    return broker::TopicShape(static_cast<std::int32_t>(info->partitions.size()), info->id);
  };
  RUNNEL_TRY_ASSIGN(coordinator_, broker::Coordinator::open(
                                      broker::make_group_store(*store_), storage::Random::system(),
                                      partition_count, storage::Clock::system().monotonic(), {},
                                      [store = store_.get()] { return store->topic_names(); }));
  return {};
}

Status BrokerProcess::open_kafka(const Settings& settings) {
  broker::KafkaOptions options;
  broker::apply_configs(kafka_configs_, options);
  RUNNEL_TRY_ASSIGN(options.advertised, advertised_listeners(settings));
  std::error_code error;
  const auto directory = std::filesystem::absolute(settings.text("data"), error);
  options.check_compressed = settings.enabled("check-compressed");
  options.log_directory = error ? settings.text("data") : directory.string();
  options.log = [](std::string_view line) { spdlog::debug("{}", line); };
  options.notice = [](std::string_view line) { spdlog::info("{}", line); };
  options.warn = [](std::string_view line) { spdlog::warn("{}", line); };
  kafka_ = std::make_unique<broker::KafkaService>(
      *store_, *coordinator_, storage::Clock::system(),
      broker::KafkaService::Shared{service_->memory().shared_from_this(),
                                   [this](const auto& session, auto retry) {
                                     service_->wait_for_memory(session, std::move(retry));
                                   },
                                   service_->workers(), schemas_},
      std::move(options));
  return kafka_->start();
}

void BrokerProcess::open_webhooks() {
  const auto warn = [](std::string_view line) { spdlog::warn("{}", line); };
  hooks_ = std::make_shared<broker::hooks::Hooks>(*store_, storage::Clock::system(), warn);
  outgoing_ = std::make_unique<broker::Outgoing>(callable_, broker::OutgoingOptions{authorities_});
  broker::http::WebhookService::Options options;
  options.send = [outgoing = outgoing_.get()](broker::OutgoingRequest request, auto done) {
    outgoing->send(std::move(request), std::move(done));
  };
  options.warn = warn;
  webhooks_ = std::make_unique<broker::http::WebhookService>(
      *store_, storage::Clock::system(), service_->memory().shared_from_this(), std::move(options));
}

void BrokerProcess::open_http(const Settings& settings) {
  open_webhooks();
  broker::http::HttpOptions options;
  options.server_version = program_version();
  options.hosts = settings.list("http-host");
  options.origins = settings.list("http-origin");
  std::erase(options.origins, "none");
  options.statistics = [this] { return service_->statistics(); };
  options.settings = shown(settings);
  options.node_id = kafka_->options().node_id;
  options.topic_default = [this](const storage::TopicConfigRow& row) {
    return kafka_->configs().topic_default(row);
  };
  options.log = [](std::string_view line) { spdlog::debug("{}", line); };
  http_ = std::make_unique<broker::http::HttpService>(
      *store_, *coordinator_, storage::Clock::system(),
      broker::http::HttpService::Shared{service_->memory().shared_from_this(),
                                        [this](const auto& session, auto retry) {
                                          service_->wait_for_memory(session, std::move(retry));
                                        },
                                        service_->workers(), views_.get(),
                                        &service_->query_workers(), &service_->quick_workers(),
                                        schemas_, hooks_, webhooks_.get()},
      std::move(options));
}

Status BrokerProcess::open_network(const Settings& settings) {
  schemas_ = std::make_shared<broker::schemas::Registry>(
      *store_, storage::Clock::system(), [](std::string_view line) { spdlog::warn("{}", line); });
  broker::NativeOptions native;
  native.schemas = schemas_;
  native.server_version = program_version();
  native.views = views_.get();
  native.more_statistics = [this] {
    auto all = kafka_->statistics();
    for (auto& one : http_->statistics()) all.push_back(std::move(one));
    return all;
  };
  service_ = std::make_unique<broker::NativeService>(*store_, *coordinator_,
                                                     storage::Clock::system(), native);
  broker::ServerOptions options;
  options.listen = listen_;
  options.allow_remote = settings.enabled("insecure-allow-remote");
  RUNNEL_TRY_ASSIGN(options.net, broker::parse_net_mode(settings.text("net")));
  options.loops = static_cast<unsigned>(settings.count("loops"));
  options.max_connections = settings.count("max-connections");
  options.loop.handshake_timeout = settings.duration("handshake-timeout");
  options.loop.idle_timeout =
      std::chrono::milliseconds(broker::start_number(kafka_configs_, "connections.max.idle.ms"));
  options.loop.log = [](std::string_view line) { spdlog::info("{}", line); };
  options.loop.end_of_turn = [this] { return store_->drive_commits(); };
  options.protocols.native = service_->factory();
  RUNNEL_TRY(open_kafka(settings));
  options.protocols.kafka = kafka_->factory();
  open_http(settings);
  options.protocols.http = http_->factory();
  options.protocols.log = [](std::string_view line) { spdlog::debug("{}", line); };
  server_ = std::make_unique<broker::Server>(std::move(options));
  RUNNEL_TRY(server_->start());
  spdlog::info("{}", server_->net().sentence);
  // Who mistyped the directory sees it here, before clients make their topics in it.
  const std::size_t topics = store_->topic_names().size();
  spdlog::info("{}",
               topics == 0 ? "There are no topics yet." : "Topics: " + std::to_string(topics));
  for (const std::string& address : settings.list("advertise")) {
    spdlog::info("Kafka's clients are told: {}", address);
  }
  for (const broker::Endpoint& endpoint : server_->bound()) {
    spdlog::info("listening on {}", broker::to_string(endpoint));
  }
  return {};
}

void BrokerProcess::run(const std::function<void()>& reload) {
  const sigset_t signals = handled_signals();
  for (int step = 0;; ++step) {
    const int signal = sigtimedwait(&signals, nullptr, &kStep);
    if (signal == SIGINT || signal == SIGTERM) {
      spdlog::info("{}: finishing what is in progress", signal == SIGINT ? "SIGINT" : "SIGTERM");
      return;
    }
    if (signal == SIGHUP && !reload) return;
    if (signal == SIGHUP) reload();
    const auto now = storage::Clock::system().monotonic();
    if (step % kStepsOfTick == 0) {
      coordinator_->tick(now);
    } else {
      coordinator_->run_deadlines(now);
    }
    kafka_->tick();
  }
}

Status BrokerProcess::close() {
  if (server_) {
    notify("STOPPING=1");
    http_->shut_down();
    if (!server_->drain(drain_timeout_)) {
      spdlog::warn("some connections did not finish within {}; they are cut",
                   protocol::format_duration(drain_timeout_));
    }
    server_->stop();
  }
  server_.reset();
  if (views_) views_->stop();
  service_.reset();
  http_.reset();  // its push thread reads views
  webhooks_.reset();
  outgoing_.reset();
  views_.reset();
  Status closed;
  if (store_) closed = store_->close();
  coordinator_.reset();
  store_.reset();
  return closed;
}

BrokerProcess::~BrokerProcess() {
  if (const Status status = close(); !status) {
    spdlog::error("closing: {}", status.error().message());
  }
}

void start_log(const std::string& level) {
  auto logger =
      std::make_shared<spdlog::logger>("runnel", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  set_log_level(level);
}

void set_log_level(const std::string& level) {
  spdlog::set_level(spdlog::level::from_str(level));
}

void log_info(std::string_view text) {
  spdlog::info("{}", text);
}

void log_error(std::string_view text) {
  spdlog::error("{}", text);
}

}  // namespace runnel::tools
