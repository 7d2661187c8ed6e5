#include "uring/doorbell.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/assertion.h"

namespace ringfort::uring {

Doorbell::Doorbell()
    : fd_(eventfd(0, EFD_CLOEXEC)), read_(&Doorbell::on_read, this),
      message_([](Completion&, int, std::uint32_t) {}, nullptr) {
    ASSERT(fd_ >= 0);
}

Doorbell::~Doorbell() {
    close(fd_);
}

void Doorbell::ring() {
    const std::uint64_t one = 1;
    ssize_t written = 0;
    do {
        written = write(fd_, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    ASSERT(written == sizeof(one));
}

void Doorbell::attach(Ring& ring) {
    ASSERT(ring_ == nullptr);
    ring_ = &ring;
    arm();
}

void Doorbell::arm() {
    io_uring_sqe* sqe = ring_->next_request(&read_);
    io_uring_prep_read(sqe, fd_, &count_, sizeof(count_), 0);
}

void Doorbell::on_read(Completion& completion, int result, std::uint32_t) {
    auto* self = static_cast<Doorbell*>(completion.context);
    // ECANCELED only when the ring ends.
    if (result != -ECANCELED) {
        self->arm();
    }
}

}  // namespace ringfort::uring
