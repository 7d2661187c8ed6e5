#include "uring/recipe.h"

#include <algorithm>

namespace ringfort::uring {

using env::Durability;

RecipeChooser::RecipeChooser(const RecipeMeasurement& measured)
    // A needs a clear reason to be left: it pipelines better than one write at a time shows.
    : dsync_best_at_rest_(measured.dsync < plateau ? measured.dsync <= measured.write_then_sync * 5 / 4
                                                   : measured.dsync <= measured.write_then_sync),
      plateau_is_abnormal_(std::min(measured.dsync, measured.write_then_sync) < plateau / 2),
      dsync_(dsync_best_at_rest_) {
    // A measurement taken inside the trap says nothing about A at rest.
    if (plateau_is_abnormal_ && measured.dsync >= plateau) {
        dsync_best_at_rest_ = true;
        dsync_ = false;
        trap_count_ = 1;
    }
}

Durability RecipeChooser::preferred(Instant now) {
    if (!dsync_best_at_rest_) {
        return Durability::none;
    }
    if (!dsync_ && dsync_again_ == Instant{}) {
        dsync_again_ = now + pause_;
    }
    if (!dsync_ && now >= dsync_again_) {
        dsync_ = true;
        dsync_since_ = now;
        slow_.fill(false);
        judged_ = 0;
        slow_count_ = 0;
    }
    return dsync_ ? Durability::dsync : Durability::none;
}

void RecipeChooser::on_dsync_write(Instant now, Duration took) {
    if (!dsync_ || !plateau_is_abnormal_) {
        return;
    }
    bool& oldest = slow_[judged_++ % window];
    slow_count_ -= oldest ? 1 : 0;
    oldest = took >= plateau;
    slow_count_ += oldest ? 1 : 0;
    if (slow_count_ < window / 2) {
        // A long good time ends the suspicion.
        if (now - dsync_since_ > 2 * pause_ && judged_ >= window) {
            pause_ = pause_first;
        }
        return;
    }
    trap_count_++;
    dsync_ = false;
    dsync_again_ = now + pause_;
    pause_ = std::min(pause_ * 2, pause_max);
}

}  // namespace ringfort::uring
