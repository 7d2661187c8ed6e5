#include "verify.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "cluster.h"
#include "keys.h"
#include "options.h"
#include "report.h"
#include "ringfort/client.h"

namespace ringload {

namespace api = ringfort::api;

namespace {
constexpr std::size_t examples_max = 5;
}

Expectation::Expectation(const History& history) : history_(history), keys_(history.keys) {
    for (const Write& write : history.writes) {
        KeyFacts& facts = keys_[write.key];
        if (write.outcome == WriteOutcome::ok) {
            verdict_.acknowledged++;
            facts.acknowledged++;
            if (facts.newest == nullptr || facts.newest->revision < write.revision) {
                facts.newest = &write;
            }
        } else if (write.outcome != WriteOutcome::indefinite) {
            refused_.emplace(write.sequence, &write);
        }
    }
    find_repeated_revisions();
    before_current_ = verdict_;
}

void Expectation::forget_current() {
    verdict_ = before_current_;
    for (KeyFacts& facts : keys_) {
        facts.seen = false;
    }
}

void Expectation::find_repeated_revisions() {
    std::vector<const Write*> acknowledged;
    for (const Write& write : history_.writes) {
        if (write.outcome == WriteOutcome::ok) {
            acknowledged.push_back(&write);
        }
    }
    const auto place = [](const Write* write) { return std::pair(write->domain, write->revision); };
    std::ranges::sort(acknowledged, {}, place);
    for (std::size_t i = 1; i < acknowledged.size(); i++) {
        if (place(acknowledged[i]) == place(acknowledged[i - 1])) {
            lose(1, fmt::format("revision {} was acknowledged for two writes", acknowledged[i]->revision));
        }
    }
}

void Expectation::lose(std::uint64_t count, std::string example) {
    verdict_.lost += count;
    if (verdict_.examples.size() < examples_max) {
        verdict_.examples.push_back(std::move(example));
    }
}

void Expectation::see_current(std::uint64_t key, std::int64_t mod_revision, std::string_view value) {
    if (key >= keys_.size()) {
        return;
    }
    KeyFacts& facts = keys_[key];
    facts.seen = true;
    note_refused_but_done(key, value);
    if (facts.newest == nullptr) {
        return;
    }
    verdict_.keys_checked++;
    if (mod_revision < facts.newest->revision) {
        // Every acknowledged write behind what the key shows is gone.
        const auto gone = static_cast<std::uint64_t>(std::ranges::count_if(history_.writes, [&](const Write& write) {
            return write.key == key && write.outcome == WriteOutcome::ok && write.revision > mod_revision;
        }));
        lose(gone, fmt::format("key {}: acknowledged at revision {}, now at {}", key, facts.newest->revision,
                               mod_revision));
        return;
    }
    if (mod_revision == facts.newest->revision && !carries_sequence(value, facts.newest->sequence)) {
        lose(1, fmt::format("key {}: another value stands at revision {}", key, mod_revision));
    }
}

void Expectation::note_refused_but_done(std::uint64_t key, std::string_view value) {
    // Only whole numbers tell the writes apart.
    std::uint64_t sequence = 0;
    if (value.size() >= sequence_digits &&
        std::from_chars(value.data(), value.data() + sequence_digits, sequence, 16).ec == std::errc()) {
        const auto refused = refused_.find(sequence);
        if (refused != refused_.end() && refused->second->key == key) {
            verdict_.refused_but_done++;
        }
    }
}

void Expectation::finish_current() {
    for (std::uint64_t key = 0; key < keys_.size(); key++) {
        const KeyFacts& facts = keys_[key];
        if (!facts.seen && facts.newest != nullptr) {
            verdict_.keys_checked++;
            lose(facts.acknowledged, fmt::format("key {}: acknowledged at revision {}, not there", key,
                                                 facts.newest->revision));
        }
    }
}

void Expectation::see_past(const Write& write, std::int64_t mod_revision, std::string_view value) {
    verdict_.read_back++;
    if (mod_revision != write.revision || !carries_sequence(value, write.sequence)) {
        lose(1, fmt::format("key {}: at revision {} stands the write of revision {}", write.key, write.revision,
                            mod_revision));
    }
}

std::vector<const Write*> Expectation::sample(std::uint64_t count) const {
    std::vector<const Write*> chosen;
    if (count == 0 || verdict_.acknowledged == 0) {
        return chosen;
    }
    // One of every acknowledged / wanted of them, the last one always: what was done last is lost first.
    const std::uint64_t wanted = std::min(count, verdict_.acknowledged);
    std::uint64_t credit = 0;
    for (const Write& write : history_.writes) {
        if (write.outcome != WriteOutcome::ok) {
            continue;
        }
        credit += wanted;
        if (credit >= verdict_.acknowledged) {
            credit -= verdict_.acknowledged;
            chosen.push_back(&write);
        }
    }
    return chosen;
}

// ---------------------------------------------------------------------------------------------- reading the cluster

namespace {

struct Current {
    Expectation* expectation{nullptr};
    std::size_t prefix_bytes{0};
    std::size_t key_bytes{0};
    bool done{false};
    std::string error;
};

std::optional<std::uint64_t> key_number(std::string_view key, std::size_t prefix_bytes, std::size_t key_bytes) {
    std::uint64_t number = 0;
    if (key.size() != key_bytes || key_bytes <= prefix_bytes) {
        return std::nullopt;
    }
    const char* const end = key.data() + key.size();
    const auto parsed = std::from_chars(key.data() + prefix_bytes, end, number);
    return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(number) : std::nullopt;
}

std::string error_of(const api::Response& response) {
    const auto& error = std::get<api::ErrorInfo>(response.body);
    const bool known = api::known_error(static_cast<std::uint16_t>(error.code));
    return std::string(known ? api::error_text(error.code) : "unknown error") +
           (error.detail.empty() ? "" : " (" + std::string(error.detail) + ")");
}

void on_current(void* context, std::uint64_t, const api::Response& response) {
    Current& current = *static_cast<Current*>(context);
    current.done = !response.more_frames;
    if (!response.ok()) {
        current.error = error_of(response);
        return;
    }
    const auto& range = std::get<api::RangeResponse>(std::get<api::Result>(response.body));
    for (const api::KeyValue& kv : range.kvs) {
        if (const auto number = key_number(kv.key, current.prefix_bytes, current.key_bytes)) {
            current.expectation->see_current(*number, kv.mod_revision, kv.value);
        }
    }
}

// Reads past revisions, several at a time.
struct Past {
    struct One {
        Past* past{nullptr};
        const Write* write{nullptr};
    };
    Expectation* expectation{nullptr};
    std::size_t open{0};
    std::string error;
    std::vector<One> ones;

    static void on_answer(void* context, std::uint64_t, const api::Response& response) {
        const One& one = *static_cast<One*>(context);
        Past& past = *one.past;
        if (response.more_frames) {
            return;
        }
        past.open--;
        if (!response.ok()) {
            if (std::get<api::ErrorInfo>(response.body).code == api::Errc::compacted) {
                past.expectation->see_compacted();
            } else {
                past.error = error_of(response);
            }
            return;
        }
        const auto& range = std::get<api::RangeResponse>(std::get<api::Result>(response.body));
        const bool there = !range.kvs.empty();
        past.expectation->see_past(*one.write, there ? range.kvs[0].mod_revision : 0,
                                   there ? range.kvs[0].value : std::string_view());
    }
};

struct Reader {
    explicit Reader(const Options& options) : core(network, clock, options.seed, core_for(options)) {}

    static ringfort::client::CoreOptions core_for(const Options& options) {
        ringfort::client::CoreOptions core = core_options(options);
        core.connections = 1;
        core.in_flight_max = 256;
        core.requests_per_connection_max = 0;
        core.request_timeout = std::chrono::seconds(60);
        return core;
    }

    ringfort::client::SystemClock clock;
    ringfort::client::SocketNetwork network;
    ringfort::client::Core core;
};

std::string read_current(Reader& reader, const History& history, Expectation& expectation) {
    const std::string end = ringfort::prefix_end(history.prefix);
    api::RangeRequest range;
    range.key = history.prefix.empty() ? std::string_view("\0", 1) : std::string_view(history.prefix);
    range.range_end = end;
    api::Request request;
    request.op = range;
    Current current{&expectation, history.prefix.size(), history.key_bytes, false, {}};
    const auto afresh = [](void* context) { static_cast<Current*>(context)->expectation->forget_current(); };
    reader.core.submit(request, &on_current, &current, afresh);
    run_until(reader.core, reader.network, reader.clock, ringfort::never, [&current] { return current.done; });
    if (current.error.empty()) {
        expectation.finish_current();
    }
    return current.error;
}

std::string read_past(Reader& reader, const History& history, Expectation& expectation, std::uint64_t sample) {
    const KeyFormat format(history.prefix, history.key_bytes, history.keys);
    std::string key(history.key_bytes, ' ');
    Past past;
    past.expectation = &expectation;
    const std::vector<const Write*> chosen = expectation.sample(sample);
    past.ones.reserve(chosen.size());
    for (const Write* write : chosen) {
        run_until(reader.core, reader.network, reader.clock, ringfort::never,
                  [&] { return past.open < 256 || !past.error.empty(); });
        if (!past.error.empty()) {
            break;
        }
        past.ones.push_back({&past, write});
        api::RangeRequest range;
        range.key = format.write(write->key, key.data());
        range.revision = write->revision;
        api::Request request;
        request.op = range;
        past.open++;
        reader.core.submit(request, &Past::on_answer, &past.ones.back());
    }
    run_until(reader.core, reader.network, reader.clock, ringfort::never, [&] { return past.open == 0; });
    return past.error;
}

}  // namespace

int verify(const Options& options) {
    std::string problem;
    const std::optional<History> history = read_history(options.history, problem);
    if (!history) {
        std::fprintf(stderr, "ringload: %s\n", problem.c_str());
        return 1;
    }
    Expectation expectation(*history);
    Reader reader(options);
    problem = read_current(reader, *history, expectation);
    if (problem.empty()) {
        problem = read_past(reader, *history, expectation, options.sample);
    }
    if (!problem.empty()) {
        std::fprintf(stderr, "ringload: the cluster cannot be read: %s\n", problem.c_str());
        return 1;
    }
    const Verdict& verdict = expectation.verdict();
    std::string text =
        fmt::format("acknowledged writes: {}, on {} keys; read back at their own revision: {}{}\n"
                    "writes refused and yet done: {}\n"
                    "acknowledged writes lost: {}\n",
                    verdict.acknowledged, verdict.keys_checked, verdict.read_back,
                    verdict.compacted > 0 ? fmt::format(" ({} more are compacted)", verdict.compacted) : "",
                    verdict.refused_but_done, verdict.lost);
    for (const std::string& example : verdict.examples) {
        text += "  " + example + "\n";
    }
    return print_result(text) && verdict.lost == 0 && verdict.refused_but_done == 0 ? 0 : 1;
}

}  // namespace ringload
