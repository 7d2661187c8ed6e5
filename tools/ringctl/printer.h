// Replies as text, in etcdctl's forms: simple, table, json, fields. Pure: each gives what is to be written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ringfort/error.h"
#include "ringfort/types.h"

namespace ringctl {

enum class Form : std::uint8_t { simple, table, json, fields };

struct PrintOptions {
    Form form{Form::simple};
    bool hex{false};
    bool value_only{false};
};

struct EndpointHealth {
    std::string endpoint;
    bool healthy{false};
    std::int64_t took_ns{0};
    std::string error;
};

struct EndpointStatus {
    std::string endpoint;
    ringfort::StatusReply status;
    bool is_learner{false};
};

struct EndpointHash {
    std::string endpoint;
    ringfort::HashKvReply hash;
};

// As etcdctl writes it: NOSPACE.
std::string_view alarm_name(ringfort::AlarmType type);

// The range an etcd user means by "the cluster": the first one behind the directory. Null: there is none.
const ringfort::RangeStatus* main_range(const ringfort::StatusReply& status);

class Printer {
  public:
    virtual ~Printer() = default;
    virtual std::string get(const ringfort::GetReply& reply) const = 0;
    virtual std::string put(const ringfort::PutReply& reply) const = 0;
    virtual std::string del(const ringfort::DeleteReply& reply) const = 0;
    virtual std::string txn(const ringfort::TxnReply& reply) const = 0;
    virtual std::string lease_grant(const ringfort::LeaseGrantReply& reply) const = 0;
    virtual std::string lease_revoke(std::int64_t id, const ringfort::LeaseRevokeReply& reply) const = 0;
    virtual std::string lease_keep_alive(std::int64_t id, std::int64_t ttl,
                                         const ringfort::LeaseKeepAliveReply& reply) const = 0;
    virtual std::string lease_time_to_live(const ringfort::LeaseTimeToLiveReply& reply, bool keys) const = 0;
    virtual std::string lease_list(const ringfort::LeaseListReply& reply) const = 0;
    virtual std::string members(const ringfort::MemberListReply& reply) const = 0;
    virtual std::string health(const std::vector<EndpointHealth>& endpoints) const = 0;
    virtual std::string status(const std::vector<EndpointStatus>& endpoints) const = 0;
    virtual std::string hashes(const std::vector<EndpointHash>& endpoints) const = 0;
    virtual std::string alarms(const ringfort::AlarmReply& reply) const = 0;
    virtual std::string watch(const ringfort::WatchReply& reply) const = 0;
    // Whether it has a form for keys and values; a table has none, like etcdctl's.
    virtual bool prints_keys() const { return true; }
};

std::unique_ptr<Printer> make_printer(const PrintOptions& options);

// The pair as `simple` writes it: what a streamed get writes piece by piece.
std::string simple_pair(const ringfort::KeyValue& kv, const PrintOptions& options);

// A lease's id as etcdctl writes it: 16 hexadecimal digits.
std::string lease_name(std::int64_t id);

// Rows of cells, the first being the head, in a frame.
std::string framed_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace ringctl
