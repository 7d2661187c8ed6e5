#include "shard/hash_walks.h"

#include <algorithm>
#include <utility>

#include "base/mark.h"
#include "shard/replica.h"
#include "shard/router.h"

namespace ringfort::shard {

void HashWalks::list_pools(PoolList& out) const {
    out.push_back({"hashes asked for", walks_.size(), context_.config.bounds.hash_walks});
}

void HashWalks::add(Replica& replica, const Origin& origin, const api::HashKvRequest& request, Instant deadline) {
    const Walk walk{origin, &replica, request.revision, deadline};
    if (walks_.size() >= context_.config.bounds.hash_walks) {
        end_late();
    }
    if (walks_.size() >= context_.config.bounds.hash_walks) {
        refuse(walk, api::Errc::too_many_requests);
        return;
    }
    walks_.push_back(walk);
}

bool HashWalks::run() {
    PartBudget budget(context_.work, TurnPart::hash_walks);
    end_late();
    while (!walks_.empty() && !budget.spent()) {
        const Walk& walk = walks_.front();
        budget.take(1, 0);
        if (walk.replica->out_of_service()) {
            refuse(take(walks_.begin()), api::Errc::unhealthy);
            continue;
        }
        if (hash_ == nullptr) {
            auto opened = walk.replica->store()->open_hash(walk.revision);
            if (!opened) {
                refuse(take(walks_.begin()), opened.error());
                continue;
            }
            hash_ = std::move(*opened);
        }
        if (hash_->step(budget) == kv::Step::done) {
            const api::HashKvResponse result = hash_->result();
            const Walk over = take(walks_.begin());
            context_.router->answer(over.origin, over.replica->header(), result);
        }
    }
    return !walks_.empty();
}

HashWalks::Walk HashWalks::take(Place place) {
    if (place == walks_.begin()) {
        hash_.reset();
    }
    const Walk out = *place;
    walks_.erase(place);
    return out;
}

void HashWalks::refuse(const Walk& walk, api::Errc code) {
    context_.router->answer_error(walk.origin, code, "", walk.replica->header());
}

void HashWalks::end_late() {
    const auto late = [this] {
        return std::ranges::find_if(walks_, [this](const Walk& walk) { return context_.now >= walk.deadline; });
    };
    for (Place place = late(); place != walks_.end(); place = late()) {
        refuse(take(place), api::Errc::timed_out);
    }
}

void HashWalks::on_cancel(const Origin& origin) {
    const auto found = std::ranges::find_if(walks_, [&](const Walk& walk) {
        const Origin& one = walk.origin;
        return one.kind == origin.kind && one.place == origin.place && one.token == origin.token;
    });
    if (found != walks_.end()) {
        refuse(take(found), api::Errc::cancelled);
    }
}

void HashWalks::on_origin_gone(OriginKind kind, std::uint64_t place) {
    const auto meant = [&](const Walk& walk) { return walk.origin.kind == kind && walk.origin.place == place; };
    if (!walks_.empty() && meant(walks_.front())) {
        hash_.reset();
    }
    std::erase_if(walks_, meant);
}

void HashWalks::on_store_replaced(const Replica& replica) {
    if (hash_ != nullptr && walks_.front().replica == &replica) {
        MARK("a hash begins anew with the state that comes");
        hash_.reset();
    }
}

void HashWalks::fail_all(api::Errc code) {
    while (!walks_.empty()) {
        refuse(take(walks_.begin()), code);
    }
}

}  // namespace ringfort::shard
