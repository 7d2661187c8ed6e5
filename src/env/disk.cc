#include "env/disk.h"

#include "base/assertion.h"

namespace ringfort::env {

std::string_view to_string(DiskErrc code) {
    switch (code) {
        case DiskErrc::ok: return "ok";
        case DiskErrc::not_found: return "not found";
        case DiskErrc::exists: return "exists already";
        case DiskErrc::no_space: return "no space left";
        case DiskErrc::read_failed: return "read failed";
        case DiskErrc::write_failed: return "write failed";
        case DiskErrc::sync_failed: return "flush failed";
        case DiskErrc::not_supported: return "direct I/O is not supported";
        case DiskErrc::access_denied: return "access denied";
        case DiskErrc::other: return "I/O error";
    }
    UNREACHABLE();
}

}  // namespace ringfort::env
