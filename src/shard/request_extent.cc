#include "shard/request_extent.h"

#include <algorithm>

#include "api/key_range.h"
#include "base/assertion.h"

namespace ringfort::shard {

void Extent::add(std::string_view key, std::string_view range_end) {
    first = any ? std::min(first, key) : key;
    last_point = any ? std::max(last_point, key) : key;
    any = true;
    const api::KeyRange range{key, range_end};
    if (api::is_point(range)) {
        return;
    }
    const api::Interval interval = api::interval_of(range);
    if (interval.end) {
        end = std::max(end, *interval.end);
    } else {
        no_end = true;
    }
}

namespace {

void add_txn(Extent& extent, const api::TxnRequest& txn) {
    for (const api::Compare& compare : txn.compare) {
        extent.add(compare.key, compare.range_end);
    }
    for (const auto& branch : {txn.success, txn.failure}) {
        for (const api::RequestOp& op : branch) {
            if (const auto* range = std::get_if<api::RangeRequest>(&op.op)) {
                extent.add(range->key, range->range_end);
            } else if (const auto* put = std::get_if<api::PutRequest>(&op.op)) {
                extent.add(put->key, {});
            } else if (const auto* removal = std::get_if<api::DeleteRangeRequest>(&op.op)) {
                extent.add(removal->key, removal->range_end);
            } else {
                add_txn(extent, std::get<api::TxnRequest>(op.op));
            }
        }
    }
}

}  // namespace

Extent extent_of(const api::Operation& op) {
    Extent extent;
    if (const auto* range = std::get_if<api::RangeRequest>(&op)) {
        extent.add(range->key, range->range_end);
    } else if (const auto* put = std::get_if<api::PutRequest>(&op)) {
        extent.add(put->key, {});
    } else if (const auto* removal = std::get_if<api::DeleteRangeRequest>(&op)) {
        extent.add(removal->key, removal->range_end);
    } else if (const auto* txn = std::get_if<api::TxnRequest>(&op)) {
        add_txn(extent, *txn);
    } else if (const auto* watch = std::get_if<api::WatchRequest>(&op)) {
        extent.add(watch->key, watch->range_end);
    } else {
        UNREACHABLE();
    }
    return extent;
}

bool is_point_get(const api::RangeRequest& request) {
    return request.range_end.empty() && request.revision <= 0 && !request.keys_only && !request.count_only &&
           request.min_mod_revision == 0 && request.max_mod_revision == 0 && request.min_create_revision == 0 &&
           request.max_create_revision == 0;
}

kv::CommandBody command_body_of(const api::Operation& op) {
    if (const auto* put = std::get_if<api::PutRequest>(&op)) {
        return *put;
    }
    if (const auto* removal = std::get_if<api::DeleteRangeRequest>(&op)) {
        return *removal;
    }
    if (const auto* txn = std::get_if<api::TxnRequest>(&op)) {
        return *txn;
    }
    if (const auto* alarm = std::get_if<api::AlarmRequest>(&op)) {
        ASSERT(alarm->action == api::AlarmAction::deactivate);
        return kv::AlarmClear{{alarm->member, alarm->alarm}};
    }
    return std::get<api::CompactRequest>(op);
}

}  // namespace ringfort::shard
