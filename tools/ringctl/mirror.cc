#include "mirror.h"

#include <chrono>
#include <cstdio>
#include <thread>

namespace ringctl {

using ringfort::Error;
using ringfort::ErrorClass;
using ringfort::ErrorCode;

namespace {

constexpr std::int64_t look_ms = 500;
constexpr std::chrono::milliseconds pause{500};

// What a cluster or the way to it has, and not what it was asked.
bool may_pass(const Error& error) {
    using enum ErrorCode;
    return error.error_class != ErrorClass::definite || error.code == no_leader || error.code == too_many_requests ||
           error.code == stopped || error.code == unhealthy || error.code == stale_route;
}

Error end_of(const ringfort::WatchReply& reply) {
    Error error;
    error.code = ErrorCode::cancelled;
    error.message = reply.cancel_reason.empty() ? "etcdserver: watch canceled" : reply.cancel_reason;
    if (reply.compact_revision > 0) {
        error.code = ErrorCode::compacted;
        error.message = "etcdserver: mvcc: required revision has been compacted";
        error.detail = "the first one kept is " + std::to_string(reply.compact_revision);
    }
    return error;
}

}  // namespace

// ---------------------------------------------------------------------------------------------- batches

std::string MirrorBatch::destination_key(std::string_view key) const {
    return options_.destination_prefix + std::string(key.substr(options_.prefix.size()));
}

void MirrorBatch::add(ringfort::Op op, std::size_t bytes) {
    if (ops_.size() >= options_.txn_ops_max) {
        flush();
    }
    ops_.push_back(std::move(op));
    bytes_ += bytes;
}

void MirrorBatch::put(const ringfort::KeyValue& kv) {
    const std::size_t bytes = kv.key.size() + kv.value.size();
    if (bytes_ + bytes > bytes_most) {
        flush();
    }
    add(ringfort::OpPut{destination_key(kv.key), kv.value, {}}, bytes);
}

void MirrorBatch::tell(const std::vector<ringfort::Event>& events) {
    flush();
    for (const ringfort::Event& event : events) {
        const std::string key = destination_key(event.kv.key);
        if (event.type == ringfort::EventType::put) {
            add(ringfort::OpPut{key, event.kv.value, {}}, key.size() + event.kv.value.size());
        } else {
            add(ringfort::OpDelete{key, {}}, key.size());
        }
    }
    flush();
}

void MirrorBatch::flush() {
    if (ops_.empty()) {
        return;
    }
    count_ += ops_.size();
    ringfort::Txn txn;
    txn.success.swap(ops_);
    bytes_ = 0;
    commit_(std::move(txn));
}

// ---------------------------------------------------------------------------------------------- the mirror

namespace {

class Mirror {
  public:
    Mirror(ringfort::Client& source, ringfort::Client& destination, const MirrorOptions& options,
           const std::function<bool(std::uint64_t)>& over)
        : source_(source), destination_(destination), options_(options), over_(over),
          batch_(options, [this](ringfort::Txn txn) { commit(txn); }) {}

    Error run() {
        std::int64_t from = options_.revision;
        if (from == 0) {
            ringfort::GetOptions revision_alone;
            revision_alone.count_only = true;
            const auto now = source_.get(first_key(), revision_alone);
            if (!now) {
                return now.error();
            }
            copy_base(now->header.revision);
            from = now->header.revision + 1;
        }
        return failed_ ? *failed_ : follow(from);
    }

  private:
    std::string first_key() const { return options_.prefix.empty() ? std::string(1, '\0') : options_.prefix; }

    // All of one revision. A reply that ends early, with its node or because the destination did not take it for long, goes
    // on elsewhere behind the last key that came. An error that comes before any key is one, unless it may pass.
    void copy_base(std::int64_t revision) {
        ringfort::GetOptions options = ringfort::prefix(options_.prefix);
        options.revision = revision;
        std::string key = first_key();
        for (bool done = false; !done && !failed_;) {
            bool came = false;
            const auto base = source_.stream(key, options, [&](const std::vector<ringfort::KeyValue>& kvs) {
                for (const ringfort::KeyValue& kv : kvs) {
                    batch_.put(kv);
                    key = kv.key + '\0';
                    came = true;
                }
                return !failed_;
            });
            batch_.flush();
            done = static_cast<bool>(base);
            if (!base && !failed_ && !came && !may_pass(base.error())) {
                failed_ = base.error();
            } else if (!base && !came) {
                std::this_thread::sleep_for(pause);
            }
        }
    }

    Error follow(std::int64_t from) {
        ringfort::WatchOptions options = ringfort::watch_prefix(options_.prefix);
        options.start_revision = from;
        ringfort::Watcher watcher = source_.watch(first_key(), options);
        while (!over_(batch_.count())) {
            const auto reply = watcher.next(look_ms);
            if (!reply && reply.error().code == ErrorCode::timed_out) {
                continue;
            }
            if (!reply) {
                return reply.error();
            }
            if (reply->canceled) {
                return end_of(*reply);
            }
            batch_.tell(reply->events);
            if (failed_) {
                return *failed_;
            }
        }
        return {};
    }

    void commit(const ringfort::Txn& txn) {
        bool told = false;
        while (!failed_) {
            const auto reply = destination_.txn(txn);
            if (reply) {
                return;
            }
            if (!may_pass(reply.error())) {
                failed_ = reply.error();
                failed_->message = "the destination: " + failed_->message;
                return;
            }
            if (!told) {
                std::fprintf(stderr, "the destination: %s; trying again\n", reply.error().text().c_str());
                told = true;
            }
            std::this_thread::sleep_for(pause);
        }
    }

    ringfort::Client& source_;
    ringfort::Client& destination_;
    const MirrorOptions& options_;
    const std::function<bool(std::uint64_t)>& over_;
    MirrorBatch batch_;
    std::optional<Error> failed_;
};

}  // namespace

Error mirror(ringfort::Client& source, ringfort::Client& destination, const MirrorOptions& options,
             const std::function<bool(std::uint64_t)>& over) {
    return Mirror(source, destination, options, over).run();
}

}  // namespace ringctl
