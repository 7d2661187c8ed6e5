// JSON as etcdctl's: keys and values in base64, fields that are zero or empty left out, numbers as numbers.
#include <nlohmann/json.hpp>

#include "printer_forms.h"
#include "text.h"

namespace ringctl {

using namespace ringfort;
using Json = nlohmann::ordered_json;

namespace {

void add_if(Json& json, const char* name, std::int64_t number) {
    if (number != 0) {
        json[name] = number;
    }
}

// As a number, or with --hex as text.
void add_id(Json& json, const char* name, std::uint64_t id, bool hex) {
    if (hex) {
        json[name] = hex_number(id);
    } else {
        json[name] = id;
    }
}

Json header_json(const Header& header, bool hex = false) {
    Json json = Json::object();
    if (header.cluster_id != 0) {
        add_id(json, "cluster_id", header.cluster_id, hex);
    }
    if (header.member_id != 0) {
        add_id(json, "member_id", header.member_id, hex);
    }
    add_if(json, "revision", header.revision);
    if (header.raft_term != 0) {
        json["raft_term"] = header.raft_term;
    }
    // The first domain, in most clusters the only one, goes unmentioned, as in etcd.
    if (header.domain > 1) {
        json["domain"] = header.domain;
    }
    return json;
}

Json pair_json(const KeyValue& kv) {
    Json json = Json::object();
    json["key"] = base64(kv.key);
    add_if(json, "create_revision", kv.create_revision);
    add_if(json, "mod_revision", kv.mod_revision);
    add_if(json, "version", kv.version);
    if (!kv.value.empty()) {
        json["value"] = base64(kv.value);
    }
    add_if(json, "lease", kv.lease);
    return json;
}

Json pairs_json(const std::vector<KeyValue>& kvs) {
    Json json = Json::array();
    for (const KeyValue& kv : kvs) {
        json.push_back(pair_json(kv));
    }
    return json;
}

Json reply_json(const GetReply& reply) {
    Json json = Json::object();
    json["header"] = header_json(reply.header);
    if (!reply.kvs.empty()) {
        json["kvs"] = pairs_json(reply.kvs);
    }
    if (reply.more) {
        json["more"] = true;
    }
    add_if(json, "count", reply.count);
    return json;
}

// etcdctl prints its client's structure, whose fields have no names of their own.
Json reply_json(const WatchReply& reply) {
    Json json = Json::object();
    json["Header"] = header_json(reply.header);
    json["Events"] = Json::array();
    for (const Event& event : reply.events) {
        Json one = Json::object();
        if (event.type == EventType::remove) {
            one["type"] = 1;
        }
        one["kv"] = pair_json(event.kv);
        if (event.prev_kv) {
            one["prev_kv"] = pair_json(*event.prev_kv);
        }
        json["Events"].push_back(std::move(one));
    }
    json["CompactRevision"] = reply.compact_revision;
    json["Canceled"] = reply.canceled;
    json["Created"] = reply.created;
    return json;
}

Json reply_json(const PutReply& reply) {
    Json json = Json::object();
    json["header"] = header_json(reply.header);
    if (reply.prev_kv) {
        json["prev_kv"] = pair_json(*reply.prev_kv);
    }
    return json;
}

Json reply_json(const DeleteReply& reply) {
    Json json = Json::object();
    json["header"] = header_json(reply.header);
    add_if(json, "deleted", reply.deleted);
    if (!reply.prev_kvs.empty()) {
        json["prev_kvs"] = pairs_json(reply.prev_kvs);
    }
    return json;
}

const char* name_of(const GetReply&) {
    return "response_range";
}
const char* name_of(const PutReply&) {
    return "response_put";
}
const char* name_of(const DeleteReply&) {
    return "response_delete_range";
}
const char* name_of(const TxnReply&) {
    return "response_txn";
}

Json reply_json(const TxnReply& reply) {
    static const std::vector<std::pair<std::string, std::string>> names{{"response_range", "ResponseRange"},
                                                                        {"response_put", "ResponsePut"},
                                                                        {"response_delete_range", "ResponseDeleteRange"},
                                                                        {"response_txn", "ResponseTxn"}};
    Json json = Json::object();
    json["header"] = header_json(reply.header);
    if (reply.succeeded) {
        json["succeeded"] = true;
    }
    for (const OpReply& one : reply.replies) {
        std::visit(
            [&json](const auto& op) {
                Json inner = Json::object();
                for (const auto& [name, go_name] : names) {
                    if (name == name_of(op)) {
                        inner[go_name] = reply_json(op);
                    }
                }
                Json outer = Json::object();
                outer["Response"] = inner;
                json["responses"].push_back(outer);
            },
            one);
    }
    return json;
}

class JsonPrinter final : public Printer {
  public:
    explicit JsonPrinter(const PrintOptions& options) : hex_(options.hex) {}

    std::string get(const GetReply& reply) const override { return line(reply_json(reply)); }
    std::string put(const PutReply& reply) const override { return line(reply_json(reply)); }
    std::string watch(const WatchReply& reply) const override { return line(reply_json(reply)); }
    std::string del(const DeleteReply& reply) const override { return line(reply_json(reply)); }
    std::string txn(const TxnReply& reply) const override { return line(reply_json(reply)); }

    // As etcdctl has them: the header's fields beside the others, but for a revocation.
    std::string lease_grant(const LeaseGrantReply& reply) const override {
        Json json = header_json(reply.header);
        json["ID"] = reply.id;
        json["TTL"] = reply.ttl;
        json["Error"] = "";
        return line(json);
    }
    std::string lease_revoke(std::int64_t, const LeaseRevokeReply& reply) const override {
        Json json = Json::object();
        json["header"] = header_json(reply.header);
        return line(json);
    }
    std::string lease_keep_alive(std::int64_t id, std::int64_t ttl, const LeaseKeepAliveReply& reply) const override {
        Json json = header_json(reply.header);
        json["ID"] = id;
        json["TTL"] = ttl;
        return line(json);
    }
    std::string lease_time_to_live(const LeaseTimeToLiveReply& reply, bool) const override {
        Json json = header_json(reply.header);
        json["id"] = reply.id;
        json["ttl"] = reply.ttl;
        json["granted-ttl"] = reply.granted_ttl;
        json["keys"] = nullptr;
        for (const std::string& key : reply.keys) {
            json["keys"].push_back(base64(key));
        }
        return line(json);
    }
    std::string lease_list(const LeaseListReply& reply) const override {
        Json json = header_json(reply.header);
        json["leases"] = Json::array();
        for (const std::int64_t id : reply.ids) {
            json["leases"].push_back({{"id", id}});
        }
        return line(json);
    }

    std::string members(const MemberListReply& reply) const override {
        Json json = Json::object();
        json["header"] = header_json(reply.header, hex_);
        json["members"] = Json::array();
        for (const Member& member : reply.members) {
            Json one = Json::object();
            add_id(one, "ID", member.id, hex_);
            if (!member.name.empty()) {
                one["name"] = member.name;
            }
            one["peerURLs"] = member.peer_urls;
            if (!member.client_urls.empty()) {
                one["clientURLs"] = member.client_urls;
            }
            if (member.is_learner) {
                one["isLearner"] = true;
            }
            json["members"].push_back(one);
        }
        return line(json);
    }

    std::string health(const std::vector<EndpointHealth>& endpoints) const override {
        Json json = Json::array();
        for (const EndpointHealth& one : endpoints) {
            Json entry = Json::object();
            entry["endpoint"] = one.endpoint;
            entry["health"] = one.healthy;
            entry["took"] = duration_text(one.took_ns);
            if (!one.error.empty()) {
                entry["error"] = one.error;
            }
            json.push_back(entry);
        }
        return line(json);
    }

    std::string status(const std::vector<EndpointStatus>& endpoints) const override {
        Json json = Json::array();
        for (const EndpointStatus& one : endpoints) {
            Json entry = Json::object();
            entry["Endpoint"] = one.endpoint;
            entry["Status"] = status_json(one);
            json.push_back(entry);
        }
        return line(json);
    }
    std::string hashes(const std::vector<EndpointHash>& endpoints) const override {
        Json json = Json::array();
        for (const EndpointHash& one : endpoints) {
            Json hash = Json::object();
            hash["header"] = header_json(one.hash.header);
            hash["hash"] = one.hash.hash;
            add_if(hash, "compact_revision", one.hash.compact_revision);
            add_if(hash, "hash_revision", one.hash.hash_revision);
            json.push_back({{"Endpoint", one.endpoint}, {"HashKV", hash}});
        }
        return line(json);
    }
    std::string alarms(const AlarmReply& reply) const override {
        Json json = Json::object();
        json["header"] = header_json(reply.header);
        for (const Alarm& alarm : reply.alarms) {
            json["alarms"].push_back({{"memberID", alarm.member_id}, {"alarm", static_cast<int>(alarm.type)}});
        }
        return line(json);
    }

  private:
    static std::string line(const Json& json) {
        return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }

    // etcd's fields, of the range behind the directory; then ours.
    static Json status_json(const EndpointStatus& one) {
        const StatusReply& status = one.status;
        const RangeStatus* found = main_range(status);
        const RangeStatus range = found != nullptr ? *found : RangeStatus();
        Json json = Json::object();
        json["header"] = header_json(status.header);
        json["version"] = status.version;
        json["dbSize"] = status.memory_bytes;
        json["leader"] = range.leader;
        json["raftIndex"] = range.commit_index;
        json["raftTerm"] = range.raft_term;
        json["raftAppliedIndex"] = range.applied_index;
        json["dbSizeInUse"] = status.memory_bytes;
        json["dbSizeQuota"] = status.memory_quota_bytes;
        if (one.is_learner) {
            json["isLearner"] = true;
        }
        if (!status.errors.empty()) {
            json["errors"] = status.errors;
        }
        json["memory_bytes"] = status.memory_bytes;
        json["log_bytes_written"] = status.log_bytes_written;
        json["log_entry_bytes"] = status.log_entry_bytes;
        json["log_flushes"] = status.log_flushes;
        json["cpu_us"] = status.cpu_us;
        json["resident_bytes"] = status.resident_bytes;
        json["ranges"] = Json::array();
        for (const RangeStatus& each : status.ranges) {
            json["ranges"].push_back(range_json(each));
        }
        return json;
    }

    static Json range_json(const RangeStatus& range) {
        Json json = Json::object();
        json["range"] = range.range;
        json["domain"] = range.domain;
        json["begin"] = base64(range.begin);
        json["end"] = base64(range.end);
        json["leader"] = range.leader;
        json["raftTerm"] = range.raft_term;
        json["raftIndex"] = range.commit_index;
        json["raftAppliedIndex"] = range.applied_index;
        json["revision"] = range.revision;
        json["compactRevision"] = range.compact_revision;
        json["hash"] = range.state_hash;
        json["liveBytes"] = range.live_bytes;
        json["shard"] = range.shard;
        json["inDoubt"] = range.in_doubt;
        return json;
    }

    bool hex_;
};

}  // namespace

std::unique_ptr<Printer> make_json_printer(const PrintOptions& options) {
    return std::make_unique<JsonPrinter>(options);
}

}  // namespace ringctl
