#include <algorithm>

#include <fmt/format.h>

#include "printer.h"
#include "printer_forms.h"
#include "text.h"

namespace ringctl {

using namespace ringfort;

const RangeStatus* main_range(const StatusReply& status) {
    for (const RangeStatus& range : status.ranges) {
        if (range.range != 0) {
            return &range;
        }
    }
    return nullptr;
}

std::string simple_pair(const KeyValue& kv, const PrintOptions& options) {
    const std::string key = options.hex ? hex_escaped(kv.key) : kv.key;
    const std::string value = options.hex ? hex_escaped(kv.value) : kv.value;
    return options.value_only ? value + "\n" : key + "\n" + value + "\n";
}

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
    return fmt::format("{}", fmt::join(texts, between));
}

std::string_view alarm_name(AlarmType type) {
    switch (type) {
        case AlarmType::none: return "NONE";
        case AlarmType::nospace: return "NOSPACE";
        case AlarmType::corrupt: return "CORRUPT";
    }
    return "";
}

std::string lease_name(std::int64_t id) { return fmt::format("{:016x}", id); }

namespace {

// The first row is the head.
std::vector<std::vector<std::string>> member_rows(const MemberListReply& reply) {
    std::vector<std::vector<std::string>> rows{{"ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"}};
    for (const Member& member : reply.members) {
        rows.push_back({hex_number(member.id), member.name.empty() ? "unstarted" : "started", member.name,
                        joined(member.peer_urls, ","), joined(member.client_urls, ","),
                        member.is_learner ? "true" : "false"});
    }
    return rows;
}

std::vector<std::vector<std::string>> status_rows(const std::vector<EndpointStatus>& endpoints) {
    std::vector<std::vector<std::string>> rows{{"ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER",
                                                "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS"}};
    for (const EndpointStatus& one : endpoints) {
        const RangeStatus* range = main_range(one.status);
        const RangeStatus shown = range != nullptr ? *range : RangeStatus();
        const bool leads = range != nullptr && shown.leader != 0 && shown.leader == one.status.header.member_id;
        rows.push_back({one.endpoint, hex_number(one.status.header.member_id), one.status.version,
                        size_text(one.status.memory_bytes), leads ? "true" : "false", one.is_learner ? "true" : "false",
                        std::to_string(shown.raft_term), std::to_string(shown.commit_index),
                        std::to_string(shown.applied_index), joined(one.status.errors, ", ")});
    }
    return rows;
}

std::vector<std::vector<std::string>> hash_rows(const std::vector<EndpointHash>& endpoints) {
    std::vector<std::vector<std::string>> rows{{"ENDPOINT", "HASH", "HASH REVISION"}};
    for (const EndpointHash& one : endpoints) {
        rows.push_back({one.endpoint, std::to_string(one.hash.hash), std::to_string(one.hash.hash_revision)});
    }
    return rows;
}

std::string as_lines(const std::vector<std::vector<std::string>>& rows) {
    std::string out;
    for (std::size_t i = 1; i < rows.size(); i++) {
        out += joined(rows[i], ", ") + "\n";
    }
    return out;
}

class SimplePrinter : public Printer {
  public:
    explicit SimplePrinter(const PrintOptions& options) : options_(options) {}

    std::string get(const GetReply& reply) const override {
        std::string out;
        for (const KeyValue& kv : reply.kvs) {
            out += simple_pair(kv, options_);
        }
        return out;
    }
    std::string watch(const WatchReply& reply) const override {
        std::string text;
        for (const Event& event : reply.events) {
            text += event.type == EventType::put ? "PUT\n" : "DELETE\n";
            text += event.prev_kv ? simple_pair(*event.prev_kv, options_) : "";
            text += simple_pair(event.kv, options_);
        }
        return text + (reply.is_progress() ? "progress notify: " + std::to_string(reply.header.revision) + "\n" : "");
    }
    std::string put(const PutReply& reply) const override {
        return "OK\n" + (reply.prev_kv ? simple_pair(*reply.prev_kv, options_) : std::string());
    }
    std::string del(const DeleteReply& reply) const override {
        std::string out = std::to_string(reply.deleted) + "\n";
        for (const KeyValue& kv : reply.prev_kvs) {
            out += simple_pair(kv, options_);
        }
        return out;
    }
    std::string txn(const TxnReply& reply) const override {
        std::string out = reply.succeeded ? "SUCCESS\n" : "FAILURE\n";
        for (const OpReply& one : reply.replies) {
            out += "\n" + std::visit([this](const auto& op) { return print(op); }, one);
        }
        return out;
    }
    std::string lease_grant(const LeaseGrantReply& reply) const override {
        return fmt::format("lease {} granted with TTL({}s)\n", lease_name(reply.id), reply.ttl);
    }
    std::string lease_revoke(std::int64_t id, const LeaseRevokeReply&) const override {
        return fmt::format("lease {} revoked\n", lease_name(id));
    }
    std::string lease_keep_alive(std::int64_t id, std::int64_t ttl, const LeaseKeepAliveReply&) const override {
        return fmt::format("lease {} keepalived with TTL({})\n", lease_name(id), ttl);
    }
    std::string lease_time_to_live(const LeaseTimeToLiveReply& reply, bool keys) const override {
        if (reply.ttl < 0) {
            return fmt::format("lease {} already expired\n", lease_name(reply.id));
        }
        const std::string attached = keys ? fmt::format(", attached keys([{}])", joined(reply.keys, " ")) : "";
        return fmt::format("lease {} granted with TTL({}s), remaining({}s){}\n", lease_name(reply.id), reply.granted_ttl,
                           reply.ttl, attached);
    }
    std::string lease_list(const LeaseListReply& reply) const override {
        std::string out = fmt::format("found {} leases\n", reply.ids.size());
        for (const std::int64_t id : reply.ids) {
            out += lease_name(id) + "\n";
        }
        return out;
    }
    std::string members(const MemberListReply& reply) const override { return as_lines(member_rows(reply)); }
    std::string health(const std::vector<EndpointHealth>& endpoints) const override {
        std::string out;
        for (const EndpointHealth& one : endpoints) {
            out += one.healthy ? fmt::format("{} is healthy: successfully committed proposal: took = {}\n", one.endpoint,
                                             duration_text(one.took_ns))
                               : fmt::format("{} is unhealthy: failed to commit proposal: {}\n", one.endpoint, one.error);
        }
        return out;
    }
    std::string status(const std::vector<EndpointStatus>& endpoints) const override {
        return as_lines(status_rows(endpoints));
    }
    std::string hashes(const std::vector<EndpointHash>& endpoints) const override {
        return as_lines(hash_rows(endpoints));
    }
    std::string alarms(const AlarmReply& reply) const override {
        std::string out;
        for (const Alarm& alarm : reply.alarms) {
            out += fmt::format("memberID:{} alarm:{}\n", alarm.member_id, alarm_name(alarm.type));
        }
        return out;
    }

  protected:
    std::string print(const GetReply& reply) const { return get(reply); }
    std::string print(const PutReply& reply) const { return put(reply); }
    std::string print(const DeleteReply& reply) const { return del(reply); }
    std::string print(const TxnReply& reply) const { return txn(reply); }

  private:
    PrintOptions options_;
};

class TablePrinter final : public SimplePrinter {
  public:
    using SimplePrinter::SimplePrinter;

    bool prints_keys() const override { return false; }
    std::string members(const MemberListReply& reply) const override { return framed_table(member_rows(reply)); }
    std::string health(const std::vector<EndpointHealth>& endpoints) const override {
        std::vector<std::vector<std::string>> rows{{"ENDPOINT", "HEALTH", "TOOK", "ERROR"}};
        for (const EndpointHealth& one : endpoints) {
            rows.push_back({one.endpoint, one.healthy ? "true" : "false", duration_text(one.took_ns), one.error});
        }
        return framed_table(rows);
    }
    std::string status(const std::vector<EndpointStatus>& endpoints) const override {
        return framed_table(status_rows(endpoints));
    }
    std::string hashes(const std::vector<EndpointHash>& endpoints) const override {
        return framed_table(hash_rows(endpoints));
    }
};

}  // namespace

namespace {
// Characters, not bytes: a duration may hold a "µ".
std::size_t columns_of(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char one) { return (one & 0xc0) != 0x80; }));
}
}  // namespace

std::string framed_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.front().size(), 0);
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); i++) {
            widths[i] = std::max(widths[i], columns_of(row[i]));
        }
    }
    std::string rule = "+";
    for (const std::size_t width : widths) {
        rule += std::string(width + 2, '-') + "+";
    }
    rule += "\n";
    std::string out = rule;
    for (std::size_t r = 0; r < rows.size(); r++) {
        out += "|";
        for (std::size_t i = 0; i < widths.size(); i++) {
            // The head is centred, the rest stands right, as etcdctl has it.
            out += r == 0 ? fmt::format(" {:^{}} |", rows[r][i], widths[i])
                          : fmt::format(" {:>{}} |", rows[r][i], widths[i]);
        }
        out += "\n";
        if (r == 0) {
            out += rule;
        }
    }
    return out + rule;
}

std::unique_ptr<Printer> make_printer(const PrintOptions& options) {
    switch (options.form) {
        case Form::simple: return std::make_unique<SimplePrinter>(options);
        case Form::table: return std::make_unique<TablePrinter>(options);
        case Form::json: return make_json_printer(options);
        case Form::fields: return make_fields_printer(options);
    }
    return nullptr;
}

}  // namespace ringctl
