// Decoding of commands: any bytes give a command that meets every rule of check_request that needs one op only, or
// `malformed`. Apply therefore never meets an empty key, an unknown enumerator or a contradictory put.
#include "base/bounds.h"
#include "kv/command.h"
#include "kv/command_codec.h"
#include "kv/command_header.h"

namespace ringfort::kv {

namespace {

class BodyDecoder {
  public:
    BodyDecoder(ByteReader& reader, Arena& arena) : reader_(reader), arena_(arena) {}

    api::PutRequest put() {
        const auto key_bytes = reader_.number<std::uint32_t>();
        const auto value_bytes = reader_.number<std::uint32_t>();
        api::PutRequest out;
        out.lease = reader_.number<std::int64_t>();
        const std::uint8_t flags = flags_below(8);
        out.prev_kv = (flags & 1) != 0;
        out.ignore_value = (flags & 2) != 0;
        out.ignore_lease = (flags & 4) != 0;
        out.key = key(key_bytes);
        out.value = reader_.text(value_bytes);
        reader_.fail_unless(!out.ignore_value || value_bytes == 0);
        reader_.fail_unless(!out.ignore_lease || out.lease == 0);
        return out;
    }

    api::DeleteRangeRequest delete_range() {
        const auto key_bytes = reader_.number<std::uint32_t>();
        const auto end_bytes = reader_.number<std::uint32_t>();
        api::DeleteRangeRequest out;
        out.prev_kv = flags_below(2) != 0;
        out.key = key(key_bytes);
        out.range_end = reader_.text(end_bytes);
        return out;
    }

    api::RangeRequest range() {
        const auto key_bytes = reader_.number<std::uint32_t>();
        const auto end_bytes = reader_.number<std::uint32_t>();
        api::RangeRequest out;
        out.limit = reader_.number<std::int64_t>();
        out.revision = reader_.number<std::int64_t>();
        out.min_mod_revision = reader_.number<std::int64_t>();
        out.max_mod_revision = reader_.number<std::int64_t>();
        out.min_create_revision = reader_.number<std::int64_t>();
        out.max_create_revision = reader_.number<std::int64_t>();
        out.sort_order = static_cast<api::SortOrder>(flags_below(3));
        out.sort_target = static_cast<api::SortTarget>(flags_below(5));
        const std::uint8_t flags = flags_below(8);
        out.serializable = (flags & 1) != 0;
        out.keys_only = (flags & 2) != 0;
        out.count_only = (flags & 4) != 0;
        out.key = key(key_bytes);
        out.range_end = reader_.text(end_bytes);
        return out;
    }

    api::CompactRequest compact() {
        api::CompactRequest out;
        out.revision = reader_.number<std::int64_t>();
        out.physical = flags_below(2) != 0;
        return out;
    }

    LeaseGrant lease_grant() {
        LeaseGrant out;
        out.stamp = lease_stamp();
        out.id = lease_id();
        out.ttl = reader_.number<std::int64_t>();
        reader_.fail_unless(out.ttl > 0 && out.ttl <= limits::lease_ttl_max_s);
        return out;
    }

    LeaseRevoke lease_revoke() {
        const LeaseStamp stamp = lease_stamp();
        return {stamp, lease_id()};
    }

    LeaseKeepAlive lease_keep_alive() {
        LeaseKeepAlive out;
        out.stamp = lease_stamp();
        const auto count = reader_.number<std::uint32_t>();
        reader_.fail_unless(count <= lease_keep_alive_ids_max && reader_.remaining() == count * sizeof(api::LeaseId));
        if (!reader_.failed()) {
            const auto ids = arena_.make_array<api::LeaseId>(count);
            for (api::LeaseId& id : ids) {
                id = reader_.number<std::int64_t>();   // any: one that is not there is passed over
            }
            out.ids = ids;
        }
        return out;
    }

    LeaseExpire lease_expire() {
        LeaseExpire out;
        out.stamp = lease_stamp();
        out.id = lease_id();
        out.version = LogIndex(reader_.number<std::uint64_t>());
        return out;
    }

    LeaseTick lease_tick() { return {lease_stamp()}; }

    api::Alarm alarm() {
        const NodeId member(reader_.number<std::uint64_t>());
        return {member, static_cast<api::AlarmType>(flags_below(3))};
    }

    AlarmRaise alarm_raise() {
        const api::Alarm out = alarm();
        reader_.fail_unless(out.member && out.type != api::AlarmType::none);
        return {out};
    }

    api::TxnRequest txn(std::size_t depth) {
        const auto compares = reader_.number<std::uint32_t>();
        const auto success = reader_.number<std::uint32_t>();
        const auto failure_ops = reader_.number<std::uint32_t>();
        reader_.fail_unless(depth <= limits::txn_depth_max);
        take_ops(std::uint64_t{compares} + success + failure_ops);
        api::TxnRequest out;
        if (reader_.failed()) {
            return out;
        }
        const auto compare_array = arena_.make_array<api::Compare>(compares);
        for (api::Compare& compare : compare_array) {
            compare = decode_compare();
        }
        out.compare = compare_array;
        out.success = ops(success, depth);
        out.failure = ops(failure_ops, depth);
        return out;
    }

  private:
    // A byte that must be smaller than `bound`.
    std::uint8_t flags_below(std::uint8_t bound) {
        const auto out = reader_.number<std::uint8_t>();
        reader_.fail_unless(out < bound);
        return out < bound ? out : std::uint8_t{0};
    }

    LeaseStamp lease_stamp() {
        LeaseStamp out;
        out.term = Term(reader_.number<std::uint64_t>());
        out.at.ns = reader_.number<std::int64_t>();
        reader_.fail_unless(out.at.ns >= 0 && out.at.ns <= lease_clock_max_ns);
        return out;
    }

    api::LeaseId lease_id() {
        const auto out = reader_.number<std::int64_t>();
        reader_.fail_unless(out != 0);
        return out;
    }

    std::string_view key(std::uint32_t bytes) {
        reader_.fail_unless(bytes > 0);
        return reader_.text(bytes);
    }

    // Bounds what a small command may allocate before its ops are seen.
    void take_ops(std::uint64_t count) {
        total_ops_ += count;
        reader_.fail_unless(total_ops_ <= txn_total_ops_max && count <= reader_.remaining());
    }

    api::Compare decode_compare() {
        const auto key_bytes = reader_.number<std::uint32_t>();
        const auto end_bytes = reader_.number<std::uint32_t>();
        const auto value_bytes = reader_.number<std::uint32_t>();
        api::Compare out;
        out.number = reader_.number<std::int64_t>();
        out.result = static_cast<api::CompareResult>(flags_below(4));
        out.target = static_cast<api::CompareTarget>(flags_below(5));
        out.key = key(key_bytes);
        out.range_end = reader_.text(end_bytes);
        out.value = reader_.text(value_bytes);
        const bool by_value = out.target == api::CompareTarget::value;
        reader_.fail_unless(by_value ? out.number == 0 : value_bytes == 0);
        return out;
    }

    std::span<const api::RequestOp> ops(std::uint32_t count, std::size_t depth) {
        if (reader_.failed()) {
            return {};
        }
        const auto out = arena_.make_array<api::RequestOp>(count);
        for (api::RequestOp& op : out) {
            op = decode_op(depth);
        }
        return out;
    }

    api::RequestOp decode_op(std::size_t depth) {
        switch (static_cast<OpKind>(reader_.number<std::uint8_t>())) {
            case OpKind::put:
                return {put()};
            case OpKind::delete_range:
                return {delete_range()};
            case OpKind::txn:
                return {txn(depth + 1)};
            case OpKind::range:
                return {range()};
        }
        reader_.fail();
        return {};
    }

    ByteReader& reader_;
    Arena& arena_;
    std::uint64_t total_ops_{0};
};

}  // namespace

std::optional<std::string_view> likely_put_key(Bytes bytes) {
    constexpr std::size_t body = command_header_bytes + put_fixed_bytes;
    if (bytes.size() < body || bytes[1] != static_cast<std::byte>(CommandKind::put)) {
        return std::nullopt;
    }
    const auto key_bytes = load<std::uint32_t>(bytes.data() + command_header_bytes);
    if (key_bytes == 0 || key_bytes > bytes.size() - body) {
        return std::nullopt;
    }
    return as_text(bytes.subspan(body, key_bytes));
}

Result<Command, CommandErrc> decode_command(Bytes bytes, Arena& arena) {
    ByteReader reader(bytes);
    TRY_ASSIGN(const DecodedHeader head, decode_command_header(reader, bytes));
    BodyDecoder decoder(reader, arena);
    Command out{head.header, {}};
    switch (head.kind) {
        case CommandKind::put:
            out.body = decoder.put();
            break;
        case CommandKind::delete_range:
            out.body = decoder.delete_range();
            break;
        case CommandKind::txn:
            out.body = decoder.txn(1);
            break;
        case CommandKind::compact:
            out.body = decoder.compact();
            break;
        case CommandKind::lease_grant:
            out.body = decoder.lease_grant();
            break;
        case CommandKind::lease_revoke:
            out.body = decoder.lease_revoke();
            break;
        case CommandKind::lease_keep_alive:
            out.body = decoder.lease_keep_alive();
            break;
        case CommandKind::lease_expire:
            out.body = decoder.lease_expire();
            break;
        case CommandKind::lease_tick:
            out.body = decoder.lease_tick();
            break;
        case CommandKind::alarm_raise:
            out.body = decoder.alarm_raise();
            break;
        case CommandKind::alarm_clear:
            out.body = AlarmClear{decoder.alarm()};
            break;
        case CommandKind::directory_bootstrap:
            return failure(CommandErrc::unknown_kind);
    }
    if (!reader.at_end()) {
        return failure(CommandErrc::malformed);
    }
    return out;
}

}  // namespace ringfort::kv
