// errno to DiskErrc, in one place: one table per family of calls.
#pragma once

#include "env/disk.h"

namespace ringfort::uring {

env::DiskErrc write_error(int error);
env::DiskErrc read_error(int error);
env::DiskErrc sync_error(int error);
// create, preallocate, rename, remove, list.
env::DiskErrc name_error(int error);
// Of a file that is there, to be read.
env::DiskErrc open_error(int error);

}  // namespace ringfort::uring
