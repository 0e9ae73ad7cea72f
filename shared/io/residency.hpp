// Whether mapped memory is in memory: a read of a page that is not waits for the disk, and with it the thread
// and everyone it serves (decision 21).
#pragma once

#include "shared/base/bytes.hpp"

namespace postern {

/// Whether all pages under these mapped bytes are in memory now. They may go at any time; then a read waits.
bool is_resident(Bytes mapped);
/// Brings the pages into memory and waits for the disk. Blocking. Errors: corrupt, when the disk cannot give
/// them.
Status fault_in(Bytes mapped);
/// Asks for the pages to be brought into memory some time soon.
void read_ahead(Bytes mapped);

}  // namespace postern
