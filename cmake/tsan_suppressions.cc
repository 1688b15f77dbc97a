// Part of every program that is built with ThreadSanitizer.

// The system's RocksDB is built without ThreadSanitizer, which so sees its memory accesses at the
// border but not the atomics that order them.
extern "C" __attribute__((visibility("default"))) const char*
__tsan_default_suppressions();               // NOLINT
const char* __tsan_default_suppressions() {  // NOLINT
  return "race:librocksdb.so\n";
}
