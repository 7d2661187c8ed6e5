#include "shard/hash_walks.h"

#include <algorithm>
#include <utility>

#include "shard/replica.h"
#include "shard/router.h"

namespace ringfort::shard {

void HashWalks::list_pools(PoolList& out) const {
    out.push_back({"hashes asked for", walks_.size(), context_.config.bounds.hash_walks});
}

void HashWalks::add(Replica& replica, const Origin& origin, const api::HashKvRequest& request, Instant deadline) {
    const Walk walk{origin, &replica, request.revision, deadline};
    if (walks_.size() >= context_.config.bounds.hash_walks) {
        refuse(walk, api::Errc::too_many_requests);
        return;
    }
    walks_.push_back(walk);
}

bool HashWalks::run() {
    PartBudget budget(context_.work, TurnPart::hash_walks);
    while (!walks_.empty() && !budget.spent()) {
        const Walk& walk = walks_.front();
        if (context_.now >= walk.deadline) {
            end_front(api::Errc::timed_out);
            continue;
        }
        if (hash_ == nullptr) {
            auto opened = walk.replica->store()->open_hash(walk.revision);
            if (!opened) {
                end_front(opened.error());
                continue;
            }
            hash_ = std::move(*opened);
        }
        budget.take(1, 0);
        if (hash_->step(budget) == kv::Step::done) {
            const api::HashKvResponse result = std::exchange(hash_, nullptr)->result();
            context_.router->answer(walk.origin, walk.replica->header(), result);
            walks_.pop_front();
        }
    }
    return !walks_.empty();
}

void HashWalks::refuse(const Walk& walk, api::Errc code) {
    context_.router->answer_error(walk.origin, code, "", walk.replica->header());
}

void HashWalks::end_front(api::Errc code) {
    hash_.reset();
    refuse(walks_.front(), code);
    walks_.pop_front();
}

void HashWalks::on_cancel(const Origin& origin) {
    const auto found = std::ranges::find_if(walks_, [&](const Walk& walk) {
        const Origin& one = walk.origin;
        return one.kind == origin.kind && one.place == origin.place && one.token == origin.token;
    });
    if (found == walks_.end()) {
        return;
    }
    if (found == walks_.begin()) {
        hash_.reset();
    }
    refuse(*found, api::Errc::cancelled);
    walks_.erase(found);
}

void HashWalks::on_origin_gone(OriginKind kind, std::uint64_t place) {
    const auto meant = [&](const Walk& walk) { return walk.origin.kind == kind && walk.origin.place == place; };
    if (!walks_.empty() && meant(walks_.front())) {
        hash_.reset();
    }
    std::erase_if(walks_, meant);
}

void HashWalks::on_store_replaced(const Replica& replica) {
    if (!walks_.empty() && walks_.front().replica == &replica) {
        hash_.reset();   // it begins anew, with the state that comes
    }
}

void HashWalks::fail_all(api::Errc code) {
    while (!walks_.empty()) {
        end_front(code);
    }
}

}  // namespace ringfort::shard
