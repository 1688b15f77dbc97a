// Closes removed files bit by bit. Who closes the last descriptor of a file without a name frees
// its blocks, all of them in one step of the file system's journal, and every fdatasync that needs
// the journal waits for it: 40 to 70 ms for 256 MiB on ext4. In steps it waits for one of them.
#pragma once

#include <cstdint>

namespace runnel::storage {

/// Frees at once; larger files are cut by this much at a time, bytes. Cuts lie at multiples of it:
/// Linux zeros the rest of a page-cache folio that a cut goes through, and a socket may still hold
/// the folio. None crosses a multiple of 2 MiB while pages are of 4 KiB; where they are not, files
/// are closed at once.
inline constexpr std::uint64_t kFreedAtOnce = 2u << 20;

/// Takes `descriptor`, opened for writing. A file that has no name any more and is open nowhere
/// else is emptied and closed by a thread of its own, which goes on until the process ends; any
/// other one is closed at once. Thread safe.
void close_slowly(int descriptor);

}  // namespace runnel::storage
