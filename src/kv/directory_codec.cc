#include "kv/directory_codec.h"

#include <algorithm>

#include "base/bounds.h"

namespace ringfort::kv {

namespace {

// Bounds the work of decoding before the elements are seen.
constexpr std::uint32_t list_count_max = 65536;

class StateWriter {
  public:
    explicit StateWriter(std::vector<std::byte>& out) : out_(out) {}

    template <class T>
    void number(T value) {
        const std::size_t at = out_.size();
        out_.resize(at + sizeof(T));
        store(out_.data() + at, value);
    }
    void text(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        const Bytes bytes = as_bytes(value);
        out_.insert(out_.end(), bytes.begin(), bytes.end());
    }
    void texts(const std::vector<std::string>& values) {
        number(static_cast<std::uint32_t>(values.size()));
        for (const std::string& value : values) {
            text(value);
        }
    }

  private:
    std::vector<std::byte>& out_;
};

std::string read_text(ByteReader& reader) {
    return std::string(reader.text(reader.number<std::uint32_t>()));
}

// An element takes at least one byte, so a count above what remains is malformed.
std::uint32_t read_count(ByteReader& reader) {
    const auto count = reader.number<std::uint32_t>();
    reader.fail_unless(count <= list_count_max && count <= reader.remaining());
    return reader.failed() ? 0 : count;
}

std::vector<std::string> read_texts(ByteReader& reader) {
    std::vector<std::string> out(read_count(reader));
    for (std::string& text : out) {
        text = read_text(reader);
    }
    return out;
}

MemberRecord read_member(ByteReader& reader) {
    MemberRecord out;
    out.id = NodeId(reader.number<std::uint64_t>());
    out.name = read_text(reader);
    out.peer_urls = read_texts(reader);
    out.client_urls = read_texts(reader);
    const auto learner = reader.number<std::uint8_t>();
    reader.fail_unless(learner <= 1);
    out.learner = learner == 1;
    return out;
}

DomainRecord read_domain(ByteReader& reader) {
    DomainRecord out;
    out.id = DomainId(reader.number<std::uint64_t>());
    out.begin = read_text(reader);
    out.end = read_text(reader);
    return out;
}

RangeRecord read_range(ByteReader& reader) {
    RangeRecord out;
    out.id = RangeId(reader.number<std::uint64_t>());
    out.domain = DomainId(reader.number<std::uint64_t>());
    out.generation = Generation(reader.number<std::uint64_t>());
    out.begin = read_text(reader);
    out.end = read_text(reader);
    out.replicas.resize(read_count(reader));
    for (NodeId& replica : out.replicas) {
        replica = NodeId(reader.number<std::uint64_t>());
    }
    return out;
}

template <class T>
std::vector<T> read_list(ByteReader& reader, T (*read_one)(ByteReader&)) {
    const std::uint32_t count = read_count(reader);
    std::vector<T> out;
    for (std::uint32_t i = 0; i < count && !reader.failed(); i++) {
        out.push_back(read_one(reader));
    }
    return out;
}

// Intervals in order of begin, without gap or overlap, from the first key to the end of the key space.
template <class T>
bool covers_key_space(const std::vector<T>& intervals) {
    std::string_view expected;
    for (std::size_t i = 0; i < intervals.size(); i++) {
        const bool last = i + 1 == intervals.size();
        if (intervals[i].begin != expected || intervals[i].end.empty() != last) {
            return false;
        }
        if (!last && intervals[i].end <= intervals[i].begin) {
            return false;
        }
        expected = intervals[i].end;
    }
    return !intervals.empty();
}

template <class T>
bool ids_are_distinct(const std::vector<T>& records) {
    std::vector<std::uint64_t> ids;
    for (const T& record : records) {
        ids.push_back(record.id.value);
    }
    std::sort(ids.begin(), ids.end());
    return std::adjacent_find(ids.begin(), ids.end()) == ids.end() && (ids.empty() || ids.front() != 0);
}

bool range_fits(const DirectoryState& state, const RangeRecord& range) {
    const auto domain = std::find_if(state.domains.begin(), state.domains.end(),
                                     [&](const DomainRecord& record) { return record.id == range.domain; });
    if (domain == state.domains.end() || range.begin < domain->begin || range.replicas.empty()) {
        return false;
    }
    const bool end_fits = domain->end.empty() || (!range.end.empty() && range.end <= domain->end);
    return end_fits && std::all_of(range.replicas.begin(), range.replicas.end(), [&](NodeId id) {
               return std::any_of(state.members.begin(), state.members.end(),
                                  [&](const MemberRecord& member) { return member.id == id; });
           });
}

}  // namespace

bool state_is_valid(const DirectoryState& state) {
    const bool members_sorted =
        std::is_sorted(state.members.begin(), state.members.end(),
                       [](const MemberRecord& a, const MemberRecord& b) { return a.id < b.id; });
    return bool(state.cluster_id) && members_sorted && state.members.size() <= limits::members_max &&
           ids_are_distinct(state.members) && ids_are_distinct(state.domains) &&
           ids_are_distinct(state.ranges) && state.domains.size() <= limits::domains_max &&
           covers_key_space(state.domains) && covers_key_space(state.ranges) &&
           std::all_of(state.ranges.begin(), state.ranges.end(),
                       [&](const RangeRecord& range) { return range_fits(state, range); });
}

void append_state(std::vector<std::byte>& out, const DirectoryState& state) {
    StateWriter writer(out);
    writer.number(state.cluster_id.value);
    writer.number(state.feature_level);
    writer.number(state.settings.txn_ops);
    writer.number(state.settings.request_bytes);
    writer.number(static_cast<std::uint32_t>(state.members.size()));
    for (const MemberRecord& member : state.members) {
        writer.number(member.id.value);
        writer.text(member.name);
        writer.texts(member.peer_urls);
        writer.texts(member.client_urls);
        writer.number(static_cast<std::uint8_t>(member.learner ? 1 : 0));
    }
    writer.number(static_cast<std::uint32_t>(state.domains.size()));
    for (const DomainRecord& domain : state.domains) {
        writer.number(domain.id.value);
        writer.text(domain.begin);
        writer.text(domain.end);
    }
    writer.number(static_cast<std::uint32_t>(state.ranges.size()));
    for (const RangeRecord& range : state.ranges) {
        writer.number(range.id.value);
        writer.number(range.domain.value);
        writer.number(range.generation.value);
        writer.text(range.begin);
        writer.text(range.end);
        writer.number(static_cast<std::uint32_t>(range.replicas.size()));
        for (const NodeId replica : range.replicas) {
            writer.number(replica.value);
        }
    }
}

std::optional<DirectoryState> decode_state(ByteReader& reader) {
    DirectoryState out;
    out.cluster_id = ClusterId(reader.number<std::uint64_t>());
    out.feature_level = reader.number<std::uint32_t>();
    out.settings.txn_ops = reader.number<std::uint32_t>();
    out.settings.request_bytes = reader.number<std::uint32_t>();
    out.members = read_list(reader, read_member);
    out.domains = read_list(reader, read_domain);
    out.ranges = read_list(reader, read_range);
    if (!reader.at_end() || !state_is_valid(out)) {
        return std::nullopt;
    }
    return out;
}

}  // namespace ringfort::kv
