// Offline: prints segments of a node's log for people. Reads files only; the node may be down or somebody else's.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bounds.h"
#include "base/bytes.h"
#include "commands.h"
#include "log/dump.h"

namespace ringctl {

namespace {

namespace fs = std::filesystem;

bool looks_like_segment(const fs::path& path) {
    return path.filename().string().starts_with("log-");
}

// The segments of a shard's folder, or of every shard of a data directory, in name order.
std::vector<fs::path> segments_of(const fs::path& path) {
    std::vector<fs::path> found;
    if (!fs::is_directory(path)) {
        found.push_back(path);
        return found;
    }
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
        if (entry.is_regular_file() && looks_like_segment(entry.path())) {
            found.push_back(entry.path());
        }
    }
    if (error) {
        fail(Exit::error, path.string() + ": " + error.message());
    }
    std::ranges::sort(found);
    return found;
}

struct SegmentFile {
    std::vector<std::byte> content;
    std::vector<std::uint64_t> unreadable;   // offsets of blocks, which hold zeros
};

// Unbuffered, by blocks: a read error costs the block it lies in.
SegmentFile read_file(const fs::path& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        fail(Exit::error, path.string() + ": " + std::strerror(errno));
    }
    std::setvbuf(file, nullptr, _IONBF, 0);
    SegmentFile out;
    std::error_code error;
    out.content.resize(fs::file_size(path, error));
    for (std::size_t at = 0; !error && at < out.content.size(); at += ringfort::limits::block_bytes) {
        const std::size_t bytes = std::min(ringfort::limits::block_bytes, out.content.size() - at);
        const bool sought = std::fseek(file, static_cast<long>(at), SEEK_SET) == 0;
        if (!sought || std::fread(out.content.data() + at, 1, bytes, file) != bytes) {
            std::memset(out.content.data() + at, 0, bytes);
            out.unreadable.push_back(at);
            std::clearerr(file);
        }
    }
    std::fclose(file);
    if (error) {
        fail(Exit::error, path.string() + ": " + error.message());
    }
    return out;
}

void run_dump(const std::string& path_text, bool with_entries) {
    const fs::path path(path_text);
    if (!fs::exists(path)) {
        fail(Exit::error, path_text + ": no such file or directory");
    }
    const std::vector<fs::path> segments = segments_of(path);
    if (segments.empty()) {
        fail(Exit::error, path_text + ": no log segments (log-*) below it");
    }
    bool any = false;
    for (const fs::path& segment : segments) {
        const auto [content, unreadable] = read_file(segment);
        ringfort::log::SegmentIdentity identity;
        std::string text = segment.string() + "\n";
        if (ringfort::log::guess_identity(content, identity)) {
            ringfort::log::dump_segment(content, identity, {.entries = with_entries, .unreadable = unreadable}, text);
            any = true;
        } else {
            text += unreadable.empty() ? "no batch: an unused segment, or not one\n"
                                       : "no batch can be read: " + std::to_string(unreadable.size()) +
                                             " blocks are UNREADABLE\n";
        }
        print(text);
    }
    if (!any && segments.size() == 1) {
        fail(Exit::error, path_text + " holds no batch of a log");
    }
}

}  // namespace

void add_log_commands(CLI::App& app, Commands& commands) {
    CLI::App* log = app.add_subcommand("log", "Looks into a node's log, offline");
    log->require_subcommand(0, 1);
    CLI::App* dump = log->add_subcommand("dump", "Prints a segment, or all segments below a directory");
    struct Flags {
        std::string path;
        bool no_entries{false};
    };
    auto flags = std::make_shared<Flags>();
    dump->add_option("path", flags->path, "a segment file, a shard's folder, or a node's data directory")
        ->required()
        ->type_name("");
    dump->add_flag("--no-entries", flags->no_entries, "only batches and states, no line for each entry");
    dump->footer("Example:\n  ringctl log dump n1.ringfort");
    commands.push_back({dump, [flags](Session&) { run_dump(flags->path, !flags->no_entries); }});
}

}  // namespace ringctl
