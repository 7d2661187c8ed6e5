// Between the public library's owning types and api's views.
#pragma once

#include "api/types.h"
#include "base/arena.h"
#include "base/instant.h"
#include "ringfort/error.h"
#include "ringfort/types.h"

namespace ringfort::client {

// Texts are copied into the arena; spans lie there.
api::RangeRequest to_api(std::string_view key, const GetOptions& options, Arena& arena);
api::PutRequest to_api(std::string_view key, std::string_view value, const PutOptions& options, Arena& arena);
api::DeleteRangeRequest to_api(std::string_view key, const DeleteOptions& options, Arena& arena);
api::TxnRequest to_api(const Txn& txn, Arena& arena);
api::WatchRequest to_api(std::string_view key, const WatchOptions& options, Arena& arena);

// As a public option has it: in bounds.
Duration from_ms(std::int64_t count);

Error to_public(const api::ErrorInfo& error);
Header to_public(const api::ResponseHeader& header);
KeyValue to_public(const api::KeyValue& kv);
Event to_public(const api::Event& event);
// Without the header, which stands once beside them: set_header() adds it.
GetReply to_public(const api::RangeResponse& response);
PutReply to_public(const api::PutResponse& response);
DeleteReply to_public(const api::DeleteRangeResponse& response);
TxnReply to_public(const api::TxnResponse& response);
CompactReply to_public(const api::CompactResponse& response);
StatusReply to_public(const api::StatusResponse& response);
MemberListReply to_public(const api::MemberListResponse& response);
MoveLeaderReply to_public(const api::MoveLeaderResponse& response);
AlarmReply to_public(const api::AlarmResponse& response);
HashKvReply to_public(const api::HashKvResponse& response);
LeaseGrantReply to_public(const api::LeaseGrantResponse& response);
LeaseRevokeReply to_public(const api::LeaseRevokeResponse& response);
LeaseKeepAliveReply to_public(const api::LeaseKeepAliveResponse& response);
LeaseTimeToLiveReply to_public(const api::LeaseTimeToLiveResponse& response);
LeaseListReply to_public(const api::LeaseListResponse& response);

template <class Reply>
void set_header(Reply& reply, const Header& header) {
    reply.header = header;
}
// Replies inside of it get the revision, as etcd's do.
template <>
void set_header(TxnReply& reply, const Header& header);

}  // namespace ringfort::client
