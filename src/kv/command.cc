// Encoding of commands. Bodies, version 1, little-endian, no padding; texts follow their fixed fields:
//
//   put       u32 key_bytes, u32 value_bytes, i64 lease, u8 flags (1 prev_kv, 2 ignore_value, 4 ignore_lease), key, value
//   delete    u32 key_bytes, u32 end_bytes, u8 flags (1 prev_kv), key, end
//   range     u32 key_bytes, u32 end_bytes, i64 limit, i64 revision, i64 min_mod, i64 max_mod, i64 min_create,
//             i64 max_create, u8 order, u8 target, u8 flags (1 serializable, 2 keys_only, 4 count_only), key, end
//   compare   u32 key_bytes, u32 end_bytes, u32 value_bytes, i64 number, u8 result, u8 target, key, end, value
//   txn       u32 compares, u32 success, u32 failure, the compares, the ops of success, the ops of failure
//   op        u8 kind (1 put, 2 delete, 3 txn, 4 range), its body
//   compact   i64 revision, u8 physical
//   stamp     u64 term, i64 lease clock
//   grant     stamp, i64 id, i64 ttl
//   revoke    stamp, i64 id
//   keep-alive stamp, u32 count, the ids, i64 each
//   expire    stamp, i64 id, u64 version
//   tick      stamp
//   alarm     u64 member, u8 type
//
// Canonical: one request has one form. A value compare carries no number, the others carry no value.
#include "kv/command.h"

#include "base/assertion.h"
#include "kv/command_codec.h"
#include "kv/command_header.h"

namespace ringfort::kv {

namespace {

std::size_t bytes_of(const api::PutRequest& put) {
    return put_fixed_bytes + put.key.size() + put.value.size();
}
std::size_t bytes_of(const api::DeleteRangeRequest& remove) {
    return delete_fixed_bytes + remove.key.size() + remove.range_end.size();
}
std::size_t bytes_of(const api::RangeRequest& range) {
    return range_fixed_bytes + range.key.size() + range.range_end.size();
}
std::size_t bytes_of(const api::CompactRequest&) {
    return compact_fixed_bytes;
}
std::size_t bytes_of(const LeaseGrant&) {
    return lease_grant_bytes;
}
std::size_t bytes_of(const LeaseRevoke&) {
    return lease_revoke_bytes;
}
std::size_t bytes_of(const LeaseKeepAlive& keep_alive) {
    return lease_keep_alive_fixed_bytes + keep_alive.ids.size_bytes();
}
std::size_t bytes_of(const LeaseExpire&) {
    return lease_expire_bytes;
}
std::size_t bytes_of(const LeaseTick&) {
    return lease_stamp_bytes;
}
std::size_t bytes_of(const AlarmRaise&) {
    return alarm_bytes;
}
std::size_t bytes_of(const AlarmClear&) {
    return alarm_bytes;
}
std::size_t bytes_of(const api::Compare& compare) {
    const bool by_value = compare.target == api::CompareTarget::value;
    return compare_fixed_bytes + compare.key.size() + compare.range_end.size() +
           (by_value ? compare.value.size() : 0);
}
std::size_t bytes_of(const api::TxnRequest& txn) {
    std::size_t sum = txn_fixed_bytes;
    for (const api::Compare& compare : txn.compare) {
        sum += bytes_of(compare);
    }
    for (const auto list : {txn.success, txn.failure}) {
        for (const api::RequestOp& op : list) {
            sum += 1 + std::visit([](const auto& body) { return bytes_of(body); }, op.op);
        }
    }
    return sum;
}

std::uint8_t flag(bool set, std::uint8_t bit) {
    return set ? bit : std::uint8_t{0};
}
std::uint32_t text_bytes(std::string_view text) {
    ASSERT(text.size() <= UINT32_MAX);
    return static_cast<std::uint32_t>(text.size());
}

void encode(ByteWriter& writer, const api::PutRequest& put) {
    writer.number(text_bytes(put.key));
    writer.number(text_bytes(put.value));
    writer.number(put.lease);
    writer.number(static_cast<std::uint8_t>(flag(put.prev_kv, 1) | flag(put.ignore_value, 2) |
                                            flag(put.ignore_lease, 4)));
    writer.text(put.key);
    writer.text(put.value);
}

void encode(ByteWriter& writer, const api::DeleteRangeRequest& remove) {
    writer.number(text_bytes(remove.key));
    writer.number(text_bytes(remove.range_end));
    writer.number(flag(remove.prev_kv, 1));
    writer.text(remove.key);
    writer.text(remove.range_end);
}

void encode(ByteWriter& writer, const api::RangeRequest& range) {
    writer.number(text_bytes(range.key));
    writer.number(text_bytes(range.range_end));
    writer.number(range.limit);
    writer.number(range.revision);
    writer.number(range.min_mod_revision);
    writer.number(range.max_mod_revision);
    writer.number(range.min_create_revision);
    writer.number(range.max_create_revision);
    writer.number(static_cast<std::uint8_t>(range.sort_order));
    writer.number(static_cast<std::uint8_t>(range.sort_target));
    writer.number(static_cast<std::uint8_t>(flag(range.serializable, 1) | flag(range.keys_only, 2) |
                                            flag(range.count_only, 4)));
    writer.text(range.key);
    writer.text(range.range_end);
}

void encode(ByteWriter& writer, const api::Compare& compare) {
    const bool by_value = compare.target == api::CompareTarget::value;
    const std::string_view value = by_value ? compare.value : std::string_view{};
    writer.number(text_bytes(compare.key));
    writer.number(text_bytes(compare.range_end));
    writer.number(text_bytes(value));
    writer.number(by_value ? std::int64_t{0} : compare.number);
    writer.number(static_cast<std::uint8_t>(compare.result));
    writer.number(static_cast<std::uint8_t>(compare.target));
    writer.text(compare.key);
    writer.text(compare.range_end);
    writer.text(value);
}

void encode(ByteWriter& writer, const api::CompactRequest& compact) {
    writer.number(compact.revision);
    writer.number(flag(compact.physical, 1));
}

void encode(ByteWriter& writer, const LeaseStamp& stamp) {
    writer.number(stamp.term.value);
    writer.number(stamp.at.ns);
}
void encode(ByteWriter& writer, const LeaseGrant& grant) {
    encode(writer, grant.stamp);
    writer.number(grant.id);
    writer.number(grant.ttl);
}
void encode(ByteWriter& writer, const LeaseRevoke& revoke) {
    encode(writer, revoke.stamp);
    writer.number(revoke.id);
}
void encode(ByteWriter& writer, const LeaseKeepAlive& keep_alive) {
    ASSERT(keep_alive.ids.size() <= lease_keep_alive_ids_max);
    encode(writer, keep_alive.stamp);
    writer.number(static_cast<std::uint32_t>(keep_alive.ids.size()));
    writer.text({reinterpret_cast<const char*>(keep_alive.ids.data()), keep_alive.ids.size_bytes()});
}
void encode(ByteWriter& writer, const LeaseExpire& expire) {
    encode(writer, expire.stamp);
    writer.number(expire.id);
    writer.number(expire.version.value);
}
void encode(ByteWriter& writer, const LeaseTick& tick) {
    encode(writer, tick.stamp);
}

void encode(ByteWriter& writer, const api::Alarm& alarm) {
    writer.number(alarm.member.value);
    writer.number(static_cast<std::uint8_t>(alarm.type));
}
void encode(ByteWriter& writer, const AlarmRaise& raise) {
    encode(writer, raise.alarm);
}
void encode(ByteWriter& writer, const AlarmClear& clear) {
    encode(writer, clear.alarm);
}

void encode(ByteWriter& writer, const api::TxnRequest& txn);

OpKind op_kind(const api::PutRequest&) { return OpKind::put; }
OpKind op_kind(const api::DeleteRangeRequest&) { return OpKind::delete_range; }
OpKind op_kind(const api::TxnRequest&) { return OpKind::txn; }
OpKind op_kind(const api::RangeRequest&) { return OpKind::range; }

void encode(ByteWriter& writer, std::span<const api::RequestOp> ops) {
    for (const api::RequestOp& op : ops) {
        std::visit(
            [&](const auto& body) {
                writer.number(static_cast<std::uint8_t>(op_kind(body)));
                encode(writer, body);
            },
            op.op);
    }
}

void encode(ByteWriter& writer, const api::TxnRequest& txn) {
    writer.number(static_cast<std::uint32_t>(txn.compare.size()));
    writer.number(static_cast<std::uint32_t>(txn.success.size()));
    writer.number(static_cast<std::uint32_t>(txn.failure.size()));
    for (const api::Compare& compare : txn.compare) {
        encode(writer, compare);
    }
    encode(writer, txn.success);
    encode(writer, txn.failure);
}

CommandKind kind_of(const api::PutRequest&) { return CommandKind::put; }
CommandKind kind_of(const api::DeleteRangeRequest&) { return CommandKind::delete_range; }
CommandKind kind_of(const api::TxnRequest&) { return CommandKind::txn; }
CommandKind kind_of(const api::CompactRequest&) { return CommandKind::compact; }
CommandKind kind_of(const LeaseGrant&) { return CommandKind::lease_grant; }
CommandKind kind_of(const LeaseRevoke&) { return CommandKind::lease_revoke; }
CommandKind kind_of(const LeaseKeepAlive&) { return CommandKind::lease_keep_alive; }
CommandKind kind_of(const LeaseExpire&) { return CommandKind::lease_expire; }
CommandKind kind_of(const LeaseTick&) { return CommandKind::lease_tick; }
CommandKind kind_of(const AlarmRaise&) { return CommandKind::alarm_raise; }
CommandKind kind_of(const AlarmClear&) { return CommandKind::alarm_clear; }

}  // namespace

std::size_t command_bytes(const CommandBody& body) {
    return command_header_bytes + std::visit([](const auto& request) { return bytes_of(request); }, body);
}

void encode_command(MutableBytes out, const CommandHeader& header, const CommandBody& body) {
    ByteWriter writer(out);
    std::visit(
        [&](const auto& request) {
            encode_command_header(writer, kind_of(request), out.size(), header);
            encode(writer, request);
        },
        body);
    ASSERT(writer.full());
}

}  // namespace ringfort::kv
