#include "uring/disk_errors.h"

#include <cerrno>

namespace ringfort::uring {

using env::DiskErrc;

DiskErrc write_error(int error) {
    switch (error) {
        case 0: return DiskErrc::ok;
        case EINVAL:      // the file system took O_DIRECT at open and refuses it now
        case EOPNOTSUPP: return DiskErrc::not_supported;
        case ENOSPC:      // blocks of a preallocated file were missing after all
        case EDQUOT:
        case EFBIG: return DiskErrc::no_space;
        // EIO, EROFS after an error, EAGAIN that does not end: what the blocks hold now is unknown.
        default: return DiskErrc::write_failed;
    }
}

DiskErrc read_error(int error) {
    switch (error) {
        case 0: return DiskErrc::ok;
        case EINVAL:
        case EOPNOTSUPP: return DiskErrc::not_supported;
        // EIO, EILSEQ and EUCLEAN (checksums of the file system): the sector is lost.
        default: return DiskErrc::read_failed;
    }
}

DiskErrc sync_error(int error) {
    // Whatever it is, the kernel may have dropped the dirty pages: never to be retried.
    return error == 0 ? DiskErrc::ok : DiskErrc::sync_failed;
}

DiskErrc name_error(int error) {
    switch (error) {
        case 0: return DiskErrc::ok;
        case ENOENT: return DiskErrc::not_found;
        case EEXIST:
        case ENOTEMPTY: return DiskErrc::exists;
        case ENOSPC:
        case EDQUOT:      // the user's share is used up
        case EFBIG:       // RLIMIT_FSIZE or the file system's largest file: no more room for this file
            return DiskErrc::no_space;
        case EINVAL:      // open with O_DIRECT on a file system without it
        case EOPNOTSUPP: return DiskErrc::not_supported;
        case EACCES:
        case EPERM:
        case EROFS: return DiskErrc::access_denied;
        default: return DiskErrc::other;
    }
}

DiskErrc open_error(int error) {
    switch (error) {
        case EIO:         // a block that says where the file lies
        case EBADMSG:     // the same, by the file system's checksum of it
        case EUCLEAN: return DiskErrc::read_failed;
        default: return name_error(error);
    }
}

}  // namespace ringfort::uring
