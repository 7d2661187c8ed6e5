// One "Name" : value a line, as etcdctl's fields.
#include <fmt/format.h>

#include "printer_forms.h"
#include "text.h"

namespace ringctl {

using namespace ringfort;

namespace {

template <class Value>
std::string field(std::string_view name, const Value& value) {
    return fmt::format("\"{}\" : {}\n", name, value);
}

class FieldsPrinter final : public Printer {
  public:
    explicit FieldsPrinter(const PrintOptions& options) : hex_(options.hex) {}

    std::string get(const GetReply& reply) const override {
        std::string out = header_fields(reply.header);
        for (const KeyValue& kv : reply.kvs) {
            out += pair_fields("", kv);
        }
        return out + field("More", reply.more) + field("Count", reply.count);
    }
    std::string watch(const WatchReply& reply) const override {
        const std::string at = std::to_string(reply.header.revision);
        std::string out = (reply.is_progress() ? "progress notify: " + at + "\n" : "") + header_fields(reply.header);
        for (const Event& event : reply.events) {
            out += field("Type", event.type == EventType::put ? "PUT" : "DELETE") +
                   (event.prev_kv ? pair_fields("Prev", *event.prev_kv) : "") + pair_fields("", event.kv);
        }
        return out;
    }
    std::string put(const PutReply& reply) const override {
        return header_fields(reply.header) + (reply.prev_kv ? pair_fields("Prev", *reply.prev_kv) : std::string());
    }
    std::string del(const DeleteReply& reply) const override {
        std::string out = header_fields(reply.header) + field("Deleted", reply.deleted);
        for (const KeyValue& kv : reply.prev_kvs) {
            out += pair_fields("Prev", kv);
        }
        return out;
    }
    std::string txn(const TxnReply& reply) const override {
        std::string out = header_fields(reply.header) + field("Succeeded", reply.succeeded);
        for (const OpReply& one : reply.replies) {
            out += std::visit([this](const auto& op) { return print(op); }, one);
        }
        return out;
    }
    std::string lease_grant(const LeaseGrantReply& reply) const override {
        return header_fields(reply.header) + lease_field(reply.id) + field("TTL", reply.ttl);
    }
    std::string lease_revoke(std::int64_t, const LeaseRevokeReply& reply) const override {
        return header_fields(reply.header);
    }
    std::string lease_keep_alive(std::int64_t id, std::int64_t ttl, const LeaseKeepAliveReply& reply) const override {
        return header_fields(reply.header) + lease_field(id) + field("TTL", ttl);
    }
    std::string lease_time_to_live(const LeaseTimeToLiveReply& reply, bool) const override {
        std::string out = header_fields(reply.header) + lease_field(reply.id) + field("TTL", reply.ttl) +
                          field("GrantedTTL", reply.granted_ttl);
        for (const std::string& key : reply.keys) {
            out += field("Key", in_quotes(key));
        }
        return out;
    }
    std::string lease_list(const LeaseListReply& reply) const override {
        std::string out = header_fields(reply.header);
        for (const std::int64_t id : reply.ids) {
            out += lease_field(id);
        }
        return out;
    }
    std::string members(const MemberListReply& reply) const override {
        std::string out = header_fields(reply.header);
        for (const Member& member : reply.members) {
            out += id_field("ID", member.id);
            out += field("Name", in_quotes(member.name));
            for (const std::string& url : member.peer_urls) {
                out += field("PeerURL", in_quotes(url));
            }
            for (const std::string& url : member.client_urls) {
                out += field("ClientURL", in_quotes(url));
            }
            out += field("IsLearner", member.is_learner) + "\n";
        }
        return out;
    }
    std::string health(const std::vector<EndpointHealth>& endpoints) const override {
        std::string out;
        for (const EndpointHealth& one : endpoints) {
            out += field("Endpoint", in_quotes(one.endpoint)) + field("Health", one.healthy) +
                   field("Took", duration_text(one.took_ns)) + field("Error", one.error) + "\n";
        }
        return out;
    }
    std::string status(const std::vector<EndpointStatus>& endpoints) const override {
        std::string out;
        for (const EndpointStatus& one : endpoints) {
            const RangeStatus* found = main_range(one.status);
            const RangeStatus range = found != nullptr ? *found : RangeStatus();
            std::string errors;
            for (const std::string& error : one.status.errors) {
                errors += (errors.empty() ? "" : " ") + in_quotes(error);
            }
            out += header_fields(one.status.header) + field("Version", in_quotes(one.status.version)) +
                   field("DBSize", one.status.memory_bytes) + field("DBSizeInUse", one.status.memory_bytes) +
                   field("DBSizeQuota", one.status.memory_quota_bytes) + id_field("Leader", range.leader) +
                   field("IsLearner", one.is_learner) + field("RaftIndex", range.commit_index) +
                   field("RaftTerm", range.raft_term) + field("RaftAppliedIndex", range.applied_index) +
                   field("Errors", "[" + errors + "]") + field("Endpoint", in_quotes(one.endpoint)) + "\n";
        }
        return out;
    }
    std::string hashes(const std::vector<EndpointHash>& endpoints) const override {
        std::string out;
        for (const EndpointHash& one : endpoints) {
            out += header_fields(one.hash.header) + field("Endpoint", in_quotes(one.endpoint)) +
                   field("Hash", one.hash.hash) + field("HashRevision", one.hash.hash_revision) +
                   field("CompactRevision", one.hash.compact_revision) + "\n";
        }
        return out;
    }
    std::string alarms(const AlarmReply& reply) const override {
        std::string out = header_fields(reply.header);
        for (const Alarm& alarm : reply.alarms) {
            out += id_field("MemberID", alarm.member_id) + field("AlarmType", alarm_name(alarm.type)) + "\n";
        }
        return out;
    }

  private:
    std::string id_field(std::string_view name, std::uint64_t id) const {
        return hex_ ? field(name, hex_number(id)) : field(name, id);
    }
    std::string lease_field(std::int64_t id) const {
        return hex_ ? field("ID", lease_name(id)) : field("ID", id);
    }
    std::string header_fields(const Header& header) const {
        return id_field("ClusterID", header.cluster_id) + id_field("MemberID", header.member_id) +
               field("Revision", header.revision) + field("RaftTerm", header.raft_term);
    }
    std::string print(const GetReply& reply) const { return get(reply); }
    std::string print(const PutReply& reply) const { return put(reply); }
    std::string print(const DeleteReply& reply) const { return del(reply); }
    std::string print(const TxnReply& reply) const { return txn(reply); }

    std::string pair_fields(std::string_view prefix, const KeyValue& kv) const {
        const auto name = [prefix](std::string_view field_name) { return std::string(prefix) + std::string(field_name); };
        return field(name("Key"), in_quotes(kv.key)) + field(name("CreateRevision"), kv.create_revision) +
               field(name("ModRevision"), kv.mod_revision) + field(name("Version"), kv.version) +
               field(name("Value"), in_quotes(kv.value)) +
               (hex_ ? field(name("Lease"), fmt::format("{:016x}", kv.lease)) : field(name("Lease"), kv.lease));
    }

    bool hex_;
};

}  // namespace

std::unique_ptr<Printer> make_fields_printer(const PrintOptions& options) {
    return std::make_unique<FieldsPrinter>(options);
}

}  // namespace ringctl
