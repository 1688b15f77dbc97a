// A store on a simulated disk in a random life: restarts, and power cuts within maintenance.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>

#include "storage/check.h"
#include "storage/log/log_store.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {

/// The test seeds `rng` and makes `disk` before the first open_store().
class RandomLife : public StoreFixture {
 protected:
  ~RandomLife() override { store.reset(); }  // before the disk goes

  /// What the test's store is opened with, every time.
  virtual StoreOptions disk_options() {
    StoreOptions o = options();
    o.file_system = disk.get();
    o.segment_bytes = 64u << 10;
    return o;
  }

  void open_store() {
    auto opened = Store::open(disk_options());
    ASSERT_TRUE(opened) << opened.error().to_string();
    store = std::move(*opened);
  }

  std::uint64_t pick(std::uint64_t n) { return rng() % n; }
  bool one_in(std::uint64_t n) { return pick(n) == 0; }

  void restart() {
    if (one_in(2)) {
      ASSERT_TRUE(store->close());
    } else {
      disk->kill_process();
    }
    store.reset();
    check_disk();
    open_store();
  }

  /// The power goes somewhere within maintenance.
  void maintain_and_fall() {
    constexpr std::array kModes = {CutMode::kDropAll, CutMode::kPrefix, CutMode::kSectors};
    Fault fault;
    fault.nth = 1 + pick(40);
    fault.kind = FaultKind::kPowerOff;
    fault.cut = kModes[pick(kModes.size())];
    disk->set_fault(fault);
    static_cast<void>(store->run_maintenance());
    disk->clear_fault();
    disk->power_off(fault.cut);
    store.reset();
    disk->boot();
    check_disk();
    open_store();
  }

  void check_disk() {
    const auto checked = check_directory("data", *disk);
    ASSERT_TRUE(checked) << checked.error().to_string();
    for (const Damage& d : checked->damages) FAIL() << d.file << ": " << d.what;
  }

  std::unique_ptr<SimFileSystem> disk;
  std::mt19937_64 rng;
};

}  // namespace runnel::storage
