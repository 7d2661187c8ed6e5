#include <new>

#include "base/assertion.h"
#include "base/bounds.h"
#include "wire/peer_frame.h"

namespace ringfort::wire {

namespace {

namespace schema = peer_protocol;

// Enough for the head of any kind without its vectors.
constexpr std::size_t small_head_bytes = 512;

// Appends a frame: the head is the FlatBuffer `build(builder)` returns the root of, `fill(bytes)` writes the raw part.
template <class Build, class Fill>
void append_peer_frame(OutBuffer& out, PeerKind kind, std::size_t head_hint_bytes, std::size_t raw_bytes,
                       Build&& build, Fill&& fill) {
    const std::size_t begin = out.pending_bytes();
    constexpr std::size_t front_bytes = limits::frame_header_bytes + peer_prefix_bytes;
    out.extend(front_bytes);
    const std::size_t head_bytes = append_flat(out, head_hint_bytes, build);

    const std::size_t raw_padded = round_up(raw_bytes, frame_alignment);
    std::byte* raw = out.extend(raw_padded);
    std::memset(raw + raw_bytes, 0, raw_padded - raw_bytes);
    fill(raw);

    const std::size_t length = out.pending_bytes() - begin;
    ASSERT(length <= limits::frame_bytes_max);
    std::byte* frame = out.at(begin);
    encode_frame_header(frame, {.length = static_cast<std::uint32_t>(length), .kind = static_cast<std::uint8_t>(kind)});
    std::byte* prefix = frame + limits::frame_header_bytes;
    store(prefix + peer_checksum_bytes, static_cast<std::uint32_t>(head_bytes));
    store(prefix + peer_checksum_bytes + 4, std::uint32_t{0});
    const Bytes behind(prefix + peer_checksum_bytes, length - limits::frame_header_bytes - peer_checksum_bytes);
    store(prefix, peer_checksum(frame, behind));
}

template <class Build>
void append_peer_frame(OutBuffer& out, PeerKind kind, Build&& build) {
    append_peer_frame(out, kind, small_head_bytes, 0, build, [](std::byte*) {});
}

// The raw part is `raw`.
template <class Build>
void append_peer_frame(OutBuffer& out, PeerKind kind, std::size_t head_hint_bytes, Bytes raw, Build&& build) {
    append_peer_frame(out, kind, head_hint_bytes, raw.size(), build, [&](std::byte* to) {
        if (!raw.empty()) {
            std::memcpy(to, raw.data(), raw.size());
        }
    });
}

// A vector of structs, each made by `make(item)`; absent if there are none.
template <class T, class Items, class Make>
Flat<flatbuffers::Vector<const T*>> put_structs(FlatBuilder& builder, const Items& items, Make&& make) {
    if (items.empty()) {
        return 0;
    }
    T* at = nullptr;
    const auto vector = builder.CreateUninitializedVectorOfStructs<T>(items.size(), &at);
    for (const auto& item : items) {
        ::new (static_cast<void*>(at++)) T(make(item));
    }
    return vector;
}

}  // namespace

LinkClass class_of(PeerKind kind) {
    switch (kind) {
        case PeerKind::raft: return LinkClass::append;
        case PeerKind::forward: return LinkClass::forward;
        case PeerKind::snapshot: return LinkClass::snapshot;
        case PeerKind::hello:
        case PeerKind::hello_reply:
        case PeerKind::read_round:
        case PeerKind::read_round_answer:
        case PeerKind::beat:
        case PeerKind::forward_reply:   // its room was taken with the request
        case PeerKind::snapshot_answer:
        case PeerKind::credit:
        case PeerKind::forward_cancel:
        case PeerKind::forward_credit:
        case PeerKind::read_index:
        case PeerKind::read_index_answer:
        case PeerKind::state_hashes: return LinkClass::control;
    }
    UNREACHABLE();
}

void encode_peer(const PeerHello& hello, OutBuffer& out) {
    append_peer_frame(out, PeerKind::hello, [&](FlatBuilder& builder) {
        const auto address = put_text(builder, hello.client_address);
        return schema::CreateHello(builder, hello.cluster_id.value, hello.node.value, hello.target.value,
                                   hello.instance.value, hello.incarnation.value, hello.shard.value,
                                   hello.shard_count, hello.target_shard.value, hello.feature_level,
                                   hello.bootstrapped, hello.probe, hello.your_instance.value,
                                   hello.your_incarnation.value, address);
    });
}

void encode_peer(const PeerHelloReply& reply, OutBuffer& out) {
    append_peer_frame(out, PeerKind::hello_reply, [&](FlatBuilder& builder) {
        const auto address = put_text(builder, reply.client_address);
        return schema::CreateHelloReply(builder, static_cast<schema::Refusal>(reply.refusal), reply.cluster_id.value,
                                        reply.node.value, reply.instance.value, reply.incarnation.value,
                                        reply.shard.value, reply.shard_count, reply.feature_level,
                                        reply.bootstrapped, reply.your_instance.value, reply.your_incarnation.value,
                                        address);
    });
}

void encode_peer(const raft::Message& message, OutBuffer& out) {
    ASSERT(message.type != raft::MessageType::append || message.entry_count == message.entries.size());
    std::size_t raw_bytes = 0;
    for (const raft::Entry& entry : message.entries) {
        raw_bytes += entry.payload.size();
    }
    ASSERT(raw_bytes <= limits::frame_bytes_max);
    const std::size_t hint = small_head_bytes + message.entries.size() * sizeof(schema::EntryHead) +
                             message.fetch.size() * sizeof(schema::FetchItem);
    const auto build = [&](FlatBuilder& builder) {
        const auto entries =
            put_structs<schema::EntryHead>(builder, message.entries, [](const raft::Entry& entry) {
                return schema::EntryHead(entry.id.term.value, entry.id.index.value, entry.checksum,
                                         static_cast<std::uint32_t>(entry.payload.size()),
                                         static_cast<schema::EntryKind>(entry.kind));
            });
        const auto fetch = put_structs<schema::FetchItem>(builder, message.fetch, [](const raft::FetchItem& item) {
            return schema::FetchItem(item.id.term.value, item.id.index.value, item.checksum,
                                     static_cast<schema::FetchResult>(item.result));
        });
        return schema::CreateRaftMessage(
            builder, static_cast<schema::MessageType>(message.type), message.range.value, message.from.value,
            message.to.value, message.incarnation.value, message.term.value, message.prev.term.value,
            message.prev.index.value, message.commit.value, message.entry_count, entries, message.reject,
            message.counts, message.match.value, message.hint.term.value, message.hint.index.value, message.transfer,
            fetch, message.known.value);
    };
    append_peer_frame(out, PeerKind::raft, hint, raw_bytes, build, [&](std::byte* to) {
        for (const raft::Entry& entry : message.entries) {
            if (!entry.payload.empty()) {
                std::memcpy(to, entry.payload.data(), entry.payload.size());
                to += entry.payload.size();
            }
        }
    });
}

void encode_peer(const ReadRound& round, OutBuffer& out) {
    const std::size_t hint = small_head_bytes + round.items.size_bytes();
    append_peer_frame(out, PeerKind::read_round, hint, Bytes(), [&](FlatBuilder& builder) {
        const auto items = put_structs<schema::ReadRoundItem>(builder, round.items, [](const ReadRoundItem& item) {
            return schema::ReadRoundItem(item.range.value, item.term.value);
        });
        return schema::CreateReadRound(builder, round.round[0], round.round[1], items);
    });
}

void encode_peer(const ReadRoundAnswer& answer, OutBuffer& out) {
    const std::size_t hint = small_head_bytes + answer.confirmed.size_bytes();
    append_peer_frame(out, PeerKind::read_round_answer, hint, Bytes(), [&](FlatBuilder& builder) {
        Flat<flatbuffers::Vector<std::uint64_t>> confirmed = 0;
        if (!answer.confirmed.empty()) {
            std::uint64_t* at = nullptr;
            confirmed = builder.CreateUninitializedVector(answer.confirmed.size(), &at);
            for (const RangeId range : answer.confirmed) {
                *at++ = range.value;
            }
        }
        return schema::CreateReadRoundAnswer(builder, answer.round[0], answer.round[1], confirmed);
    });
}

void encode_peer(const Beat& beat, OutBuffer& out) {
    append_peer_frame(out, PeerKind::beat, [&](FlatBuilder& builder) {
        return schema::CreateBeat(builder, beat.sent_at_ns, beat.echo_ns, beat.durable_age_ns, beat.load,
                                  beat.disk_slow);
    });
}

void encode_peer(const Forward& forward, OutBuffer& out) {
    append_peer_frame(out, PeerKind::forward, small_head_bytes, forward.body, [&](FlatBuilder& builder) {
        return schema::CreateForward(builder, forward.token, forward.range.value, forward.generation.value,
                                     forward.timeout_ns, forward.kind,
                                     static_cast<std::uint32_t>(forward.body.size()), forward.reply_credit);
    });
}

void encode_peer(const ForwardReply& reply, OutBuffer& out) {
    append_peer_frame(out, PeerKind::forward_reply, small_head_bytes, reply.body, [&](FlatBuilder& builder) {
        return schema::CreateForwardReply(builder, reply.token, reply.kind, reply.flags,
                                          static_cast<std::uint32_t>(reply.body.size()));
    });
}

void encode_peer(const ForwardCredit& credit, OutBuffer& out) {
    append_peer_frame(out, PeerKind::forward_credit, [&](FlatBuilder& builder) {
        return schema::CreateForwardCredit(builder, credit.token, credit.bytes);
    });
}

void encode_peer(const ForwardCancel& cancel, OutBuffer& out) {
    append_peer_frame(out, PeerKind::forward_cancel, [&](FlatBuilder& builder) {
        return schema::CreateForwardCancel(builder, cancel.token);
    });
}

void encode_peer(const SnapshotSlice& slice, OutBuffer& out) {
    const std::size_t hint = small_head_bytes + slice.configuration.size();
    append_peer_frame(out, PeerKind::snapshot, hint, slice.data, [&](FlatBuilder& builder) {
        const auto configuration = put_bytes(builder, as_text(slice.configuration));
        return schema::CreateSnapshotSlice(builder, slice.range.value, slice.term.value, slice.snapshot.term.value,
                                           slice.snapshot.index.value, slice.total_bytes, slice.offset,
                                           slice.state_hash, slice.file_checksum, configuration,
                                           static_cast<std::uint32_t>(slice.data.size()));
    });
}

void encode_peer(const SnapshotAnswer& answer, OutBuffer& out) {
    append_peer_frame(out, PeerKind::snapshot_answer, [&](FlatBuilder& builder) {
        return schema::CreateSnapshotAnswer(builder, answer.range.value, answer.term.value,
                                            answer.snapshot.term.value, answer.snapshot.index.value, answer.offset,
                                            static_cast<schema::SnapshotVerdict>(answer.verdict));
    });
}

void encode_peer(const Credit& credit, OutBuffer& out) {
    append_peer_frame(out, PeerKind::credit, [&](FlatBuilder& builder) {
        return schema::CreateCredit(builder, static_cast<schema::LinkClass>(credit.cls), credit.bytes);
    });
}

void encode_peer(const ReadIndex& ask, OutBuffer& out) {
    ASSERT(ask.items.size() <= read_index_items_max);
    const std::size_t hint = small_head_bytes + ask.items.size() * sizeof(schema::ReadRoundItem);
    append_peer_frame(out, PeerKind::read_index, hint, Bytes(), [&](FlatBuilder& builder) {
        const auto items = put_structs<schema::ReadRoundItem>(builder, ask.items, [](const ReadRoundItem& item) {
            return schema::ReadRoundItem(item.range.value, item.term.value);
        });
        return schema::CreateReadIndex(builder, ask.round[0], ask.round[1], items);
    });
}

void encode_peer(const ReadIndexAnswer& answer, OutBuffer& out) {
    ASSERT(answer.items.size() <= read_index_items_max);
    const std::size_t hint = small_head_bytes + answer.items.size() * sizeof(schema::ReadIndexAnswerItem);
    append_peer_frame(out, PeerKind::read_index_answer, hint, Bytes(), [&](FlatBuilder& builder) {
        const auto items =
            put_structs<schema::ReadIndexAnswerItem>(builder, answer.items, [](const ReadIndexAnswerItem& item) {
                return schema::ReadIndexAnswerItem(item.range.value, item.term.value, item.index.value);
            });
        return schema::CreateReadIndexAnswer(builder, answer.round[0], answer.round[1], items);
    });
}

void encode_peer(const StateHashes& hashes, OutBuffer& out) {
    ASSERT(hashes.items.size() <= state_hashes_max);
    const std::size_t hint = small_head_bytes + hashes.items.size() * sizeof(schema::StateHash);
    append_peer_frame(out, PeerKind::state_hashes, hint, Bytes(), [&](FlatBuilder& builder) {
        const auto items = put_structs<schema::StateHash>(builder, hashes.items, [](const StateHash& item) {
            return schema::StateHash(item.range.value, item.term.value, item.index.value, item.hash);
        });
        return schema::CreateStateHashes(builder, static_cast<schema::StateHashKind>(hashes.kind), items);
    });
}

std::string_view to_string(Refusal refusal) {
    switch (refusal) {
        case Refusal::none: return "not refused";
        case Refusal::other_cluster: return "the two belong to different clusters: other members, or another cluster token";
        case Refusal::unknown_member: return "the caller is no member of the cluster";
        case Refusal::wrong_target: return "the caller takes it for another member: an address leads to the wrong node";
        case Refusal::old_incarnation:
            return "the caller stands for data that was lost or replaced since; if it was lost more than once, wipe it "
                   "once more";
        case Refusal::unsupported_feature_level: return "the caller's version is not supported";
        case Refusal::no_such_shard: return "it has no such shard";
        case Refusal::stopping: return "it is starting or stopping; the caller comes again";
    }
    UNREACHABLE();
}

}  // namespace ringfort::wire
