// Which records lie in what is damaged, as far as the index knows.
#pragma once

#include "protocol/base/error.h"
#include "storage/check.h"
#include "storage/index/index.h"
#include "storage/log/records.h"

namespace runnel::storage {

/// Whether the damage and the entry have bytes in common. A damage without a length is that of its
/// whole segment.
[[nodiscard]] bool touches(const Damage& damage, const IndexEntry& entry);

/// Says of each damage which records the index has there.
[[nodiscard]] Status name_records(const Index& index, CheckReport& report);

}  // namespace runnel::storage
