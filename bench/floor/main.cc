// runnel_floor: floors and other servers, measured the way Runnel is.
#include <CLI/CLI.hpp>

#include "bench/floor/floor.h"
#include "bench/peers/peers.h"

namespace runnel::bench {
namespace {

struct Chosen {
  std::function<Result<Figures>()> work;
};

/// A subcommand whose options are those that `add_options` adds.
void add(CLI::App& app, Chosen& chosen, const char* name, const char* text,
         Result<Figures> (*work)(const FloorPlan&),
         const std::function<void(CLI::App&, FloorPlan&)>& add_options) {
  const auto plan = std::make_shared<FloorPlan>();
  CLI::App* command = app.add_subcommand(name, text);
  add_options(*command, *plan);
  command->callback([&chosen, plan, work] { chosen.work = [plan, work] { return work(*plan); }; });
}

void directory_option(CLI::App& c, FloorPlan& p) {
  c.add_option("--dir", p.directory, "Where files are made")->check(CLI::ExistingDirectory);
}
void bytes_option(CLI::App& c, FloorPlan& p) {
  c.add_option("--bytes", p.bytes, "Bytes in all")->capture_default_str();
}
void connections_option(CLI::App& c, FloorPlan& p, unsigned count) {
  p.connections = count;
  c.add_option("--connections", p.connections, "Connections")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
}
void block_option(CLI::App& c, FloorPlan& p) {
  c.add_option("--block-bytes", p.block_bytes, "Bytes of a block")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
}
void count_option(CLI::App& c, FloorPlan& p) {
  c.add_option("--count", p.count, "Writes in all")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}
void server_options(CLI::App& c, FloorPlan& p) {
  c.add_option("--connect", p.address, "HOST:PORT")->required();
  connections_option(c, p, 1);
  count_option(c, p);
  c.add_option("--record-bytes", p.record_bytes, "Bytes of a record")->capture_default_str();
}

void add_commands(CLI::App& app, Chosen& chosen) {
  add(app, chosen, "ingest", "Sequential blocks, synced in groups", floor_ingest,
      [](CLI::App& c, FloorPlan& p) {
        directory_option(c, p);
        bytes_option(c, p);
        block_option(c, p);
      });
  add(app, chosen, "receive", "Blocks over loopback, written, synced, answered", floor_receive,
      [](CLI::App& c, FloorPlan& p) {
        directory_option(c, p);
        bytes_option(c, p);
        block_option(c, p);
        connections_option(c, p, 8);
        c.add_option("--depth", p.depth, "Blocks in flight on a connection")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
      });
  add(app, chosen, "sendfile", "A file in memory to clients over loopback", floor_sendfile,
      [](CLI::App& c, FloorPlan& p) {
        directory_option(c, p);
        bytes_option(c, p);
        connections_option(c, p, 8);
      });
  add(app, chosen, "fdatasync", "A small write and an fdatasync, over and over", floor_fdatasync,
      [](CLI::App& c, FloorPlan& p) {
        directory_option(c, p);
        count_option(c, p);
      });
  add(app, chosen, "redis", "Single writes to a Redis server", load_redis,
      [](CLI::App& c, FloorPlan& p) {
        server_options(c, p);
        c.add_option("--command", p.command, "What writes")
            ->check(CLI::IsMember({"XADD", "SET"}))
            ->capture_default_str();
      });
  add(app, chosen, "nats", "Single JetStream publishes to a NATS server", load_nats,
      server_options);
  add(app, chosen, "idle", "Memory of a Runnel broker's idle connections", measure_idle,
      [](CLI::App& c, FloorPlan& p) {
        c.add_option("--connect", p.address, "HOST:PORT")->required();
        c.add_option("--pid", p.pid, "The broker's process")->required();
        connections_option(c, p, 1000);
      });
}

int run(int argc, char** argv) {
  CLI::App app("Floors: the work a broker cannot avoid, with nothing around it", "runnel_floor");
  app.require_subcommand(1);
  app.fallthrough();
  bool json = false;
  app.add_flag("--json", json, "One JSON object instead of lines");
  Chosen chosen;
  add_commands(app, chosen);
  CLI11_PARSE(app, argc, argv);
  const auto figures = chosen.work();
  if (!figures) {
    std::fprintf(stderr, "runnel_floor: %s\n", figures.error().message().c_str());
    return 1;
  }
  figures->print(json);
  return 0;
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  return runnel::bench::run(argc, argv);
}
