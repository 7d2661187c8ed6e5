// A disk in memory under the test's control: operations wait in a queue until dispatch() or complete() runs them; what
// was written but not synced can be kept, lost or torn sector by sector at a crash.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/assertion.h"
#include "base/bounds.h"
#include "env/world.h"

namespace ringfort::test {

class MemoryDisk final : public env::Disk {
  public:
    static constexpr std::size_t sector_bytes = 512;
    using Content = std::vector<std::byte>;

    // A write that a crash may lose. `completed`: it was before the crash.
    struct Unsynced {
        std::uint64_t offset{0};
        Content bytes;
        bool completed{false};
        bool dsync{false};
        env::DiskOperation* op{nullptr};
    };
    struct File {
        Content durable;
        std::vector<Unsynced> unsynced;   // in order of submission
        bool growing{false};
        bool named{true};                 // its name survives a crash
    };

    // ---- what the disk does next
    env::Durability recipe{env::Durability::dsync};
    bool no_space{false};
    bool manual{false};             // dispatch() completes nothing; the test calls complete()
    std::uint64_t fail_write_at{0}; // the n-th write from the start fails
    std::uint64_t fail_sync_at{0};
    std::set<std::pair<std::string, std::uint64_t>> unreadable;  // (file, block number)
    std::set<std::string> unopenable;   // files whose place cannot be read
    std::string unlistable;             // a file of which nothing can be learned
    // So many opens, reads and lists fail so; then the disk is well again.
    std::uint64_t unopenable_for{UINT64_MAX};
    std::uint64_t unreadable_for{UINT64_MAX};
    std::uint64_t unlistable_for{UINT64_MAX};

    // How it answers calls of that name, and whether it has done what they ask for all the same.
    struct Refusal {
        std::string_view call;
        env::DiskErrc error{};
        bool done{false};
    };
    std::optional<Refusal> refusal;

    // ---- what it did
    std::uint64_t writes{0};
    std::uint64_t syncs{0};
    std::uint64_t reads{0};
    std::uint64_t creates{0};
    std::uint64_t bytes_written{0};

    std::map<std::string, std::shared_ptr<File>> files;

    std::size_t pending() const { return queue_.size(); }
    // Completes the i-th operation of the queue.
    void complete(std::size_t i) {
        Pending next = std::move(queue_[i]);
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
        run(next);
    }
    void dispatch() override {
        if (manual) {
            return;
        }
        for (std::size_t n = queue_.size(); n > 0; n--) {
            complete(0);
        }
    }
    std::uint64_t disk_bytes() const {
        std::uint64_t sum = 0;
        for (const auto& [name, file] : files) {
            sum += file->durable.size();
        }
        return sum;
    }

    // What a crash leaves: each sector of each write not yet durable is kept if `keeps` says so. Operations in flight
    // are gone. Writes that were never submitted do not exist.
    std::map<std::string, Content> after_crash(const std::function<bool(const std::string&, std::size_t write,
                                                                        std::size_t sector)>& keeps) const {
        std::map<std::string, Content> out;
        for (const auto& [name, file] : files) {
            Content content = file->durable;
            if (!file->named && !keeps(name, SIZE_MAX, 0)) {
                continue;
            }
            for (std::size_t w = 0; w < file->unsynced.size(); w++) {
                const Unsynced& write = file->unsynced[w];
                for (std::size_t at = 0; at < write.bytes.size(); at += sector_bytes) {
                    if (keeps(name, w, at / sector_bytes)) {
                        content.resize(std::max<std::size_t>(content.size(), write.offset + at + sector_bytes));
                        std::memcpy(content.data() + write.offset + at, write.bytes.data() + at, sector_bytes);
                    }
                }
            }
            out[name] = std::move(content);
        }
        return out;
    }
    void load(const std::map<std::string, Content>& image) {
        files.clear();
        for (const auto& [name, content] : image) {
            files[name] = std::make_shared<File>();
            files[name]->durable = content;
        }
    }
    std::map<std::string, Content> image() const {
        return after_crash([](const std::string&, std::size_t, std::size_t) { return true; });
    }

    // ---- env::Disk
    void open(env::DiskOperation& op, std::string_view name) override {
        push_named("open", op, [this, n = std::string(name)](env::DiskOperation& o) {
            const auto at = files.find(n);
            if (at == files.end()) {
                o.error = env::DiskErrc::not_found;
                return;
            }
            if (unopenable.contains(n) && unopenable_for > 0) {
                unopenable_for--;
                o.error = env::DiskErrc::read_failed;
                return;
            }
            o.file = next_id_++;
            o.bytes = at->second->durable.size();
            open_[o.file] = {n, at->second};
        });
    }
    void create(env::DiskOperation& op, std::string_view name, std::uint64_t bytes) override {
        push_named("create", op, [this, n = std::string(name), bytes](env::DiskOperation& o) {
            if (no_space) {
                o.error = env::DiskErrc::no_space;
                return;
            }
            if (files.contains(n)) {
                o.error = env::DiskErrc::exists;
                return;
            }
            creates++;
            auto file = std::make_shared<File>();
            file->durable.resize(bytes);
            files[n] = file;
            o.file = next_id_++;
            o.bytes = bytes;
            open_[o.file] = {n, file};
        });
    }
    void create_growing(env::DiskOperation& op, std::string_view name, std::uint64_t) override {
        push_named("create_growing", op, [this, n = std::string(name)](env::DiskOperation& o) {
            if (no_space) {
                o.error = env::DiskErrc::no_space;
                return;
            }
            if (files.contains(n)) {
                o.error = env::DiskErrc::exists;
                return;
            }
            creates++;
            auto file = std::make_shared<File>();
            file->growing = true;
            file->named = false;
            files[n] = file;
            o.file = next_id_++;
            o.bytes = 0;
            open_[o.file] = {n, file};
        });
    }
    void sync_new(env::DiskOperation& op, env::FileId id, std::string_view) override {
        push(op, [this, id](env::DiskOperation&) {
            File& file = *open_.at(id).file;
            ASSERT(file.growing);
            for (const Unsynced& write : file.unsynced) {
                ASSERT(write.completed);   // whoever names a file has waited for its writes
                file.durable.resize(std::max<std::size_t>(file.durable.size(), write.offset + write.bytes.size()));
                std::memcpy(file.durable.data() + write.offset, write.bytes.data(), write.bytes.size());
            }
            file.unsynced.clear();
            file.named = true;
        });
    }
    void close(env::FileId file) override {
        ASSERT(open_.contains(file));
        open_.erase(file);
    }
    void remove(env::DiskOperation& op, std::string_view name) override {
        push_named("remove", op, [this, n = std::string(name)](env::DiskOperation& o) {
            o.error = files.erase(n) == 1 ? env::DiskErrc::ok : env::DiskErrc::not_found;
        });
    }
    void rename(env::DiskOperation& op, std::string_view from, std::string_view to) override {
        push_named("rename", op, [this, f = std::string(from), t = std::string(to)](env::DiskOperation& o) {
            const auto at = files.find(f);
            if (at == files.end()) {
                o.error = env::DiskErrc::not_found;
                return;
            }
            const auto file = at->second;
            files.erase(at);
            files[t] = file;
        });
    }
    void list(env::DiskOperation& op, std::string_view directory) override {
        push(op, [this, d = std::string(directory)](env::DiskOperation& o) {
            o.files.clear();
            if (!unlistable.empty() && unlistable.starts_with(d + "/") && unlistable_for > 0) {
                unlistable_for--;
                o.files.push_back({unlistable.substr(d.size() + 1), 0});
                o.error = env::DiskErrc::read_failed;
                return;
            }
            for (const auto& [name, file] : files) {
                if (name.starts_with(d + "/")) {
                    o.files.push_back({name.substr(d.size() + 1), file->durable.size()});
                }
            }
        });
    }
    void read_whole(env::DiskOperation& op, std::string_view name) override {
        push(op, [this, n = std::string(name)](env::DiskOperation& o) {
            const auto at = files.find(n);
            if (at == files.end()) {
                o.error = env::DiskErrc::not_found;
                return;
            }
            o.content = at->second->durable;
        });
    }
    void replace_whole(env::DiskOperation& op, std::string_view name, Bytes content) override {
        push(op, [this, n = std::string(name), c = Content(content.begin(), content.end())](env::DiskOperation&) {
            files[n] = std::make_shared<File>();
            files[n]->durable = c;
        });
    }

    void write(env::DiskOperation& op, env::FileId id, std::uint64_t offset, Bytes bytes,
               env::Durability durability) override {
        ASSERT(offset % limits::block_bytes == 0 && bytes.size() % limits::block_bytes == 0);
        ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % limits::block_bytes == 0);
        File& file = *open_.at(id).file;
        ASSERT(file.growing || offset + bytes.size() <= file.durable.size());
        file.unsynced.push_back({offset, Content(bytes.begin(), bytes.end()), false,
                                 durability == env::Durability::dsync, &op});
        const bool fails = ++writes == fail_write_at;
        bytes_written += bytes.size();
        push(op, [this, id, fails](env::DiskOperation& o) {
            File& written = *open_.at(id).file;
            const auto at = std::find_if(written.unsynced.begin(), written.unsynced.end(), [&](const Unsynced& w) {
                return w.op == &o && !w.completed;
            });
            ASSERT(at != written.unsynced.end());
            at->op = nullptr;
            if (fails) {
                o.error = env::DiskErrc::write_failed;
                return;
            }
            at->completed = true;
            if (at->dsync) {
                std::memcpy(written.durable.data() + at->offset, at->bytes.data(), at->bytes.size());
                written.unsynced.erase(at);
            }
        });
    }
    void read(env::DiskOperation& op, env::FileId id, std::uint64_t offset, MutableBytes bytes) override {
        ASSERT(offset % limits::block_bytes == 0 && bytes.size() % limits::block_bytes == 0);
        push(op, [this, id, offset, bytes](env::DiskOperation& o) {
            reads++;
            const auto& [name, file] = open_.at(id);
            if (offset + bytes.size() > file->durable.size()) {
                o.error = env::DiskErrc::read_failed;
                return;
            }
            for (std::uint64_t b = offset / limits::block_bytes; b < (offset + bytes.size()) / limits::block_bytes; b++) {
                if (unreadable.contains({name, b}) && unreadable_for > 0) {
                    unreadable_for--;
                    o.error = env::DiskErrc::read_failed;
                    return;
                }
            }
            std::memcpy(bytes.data(), file->durable.data() + offset, bytes.size());
            for (const Unsynced& write : file->unsynced) {
                const std::uint64_t begin = std::max(offset, write.offset);
                const std::uint64_t end = std::min(offset + bytes.size(), write.offset + write.bytes.size());
                if (write.completed && begin < end) {
                    std::memcpy(bytes.data() + (begin - offset), write.bytes.data() + (begin - write.offset), end - begin);
                }
            }
        });
    }
    void sync(env::DiskOperation& op, env::FileId id) override {
        const bool fails = ++syncs == fail_sync_at;
        std::vector<const std::byte*> covered;
        for (const Unsynced& write : open_.at(id).file->unsynced) {
            if (write.completed) {
                covered.push_back(write.bytes.data());
            }
        }
        push(op, [this, id, fails, covered](env::DiskOperation& o) {
            if (fails) {
                o.error = env::DiskErrc::sync_failed;
                return;
            }
            File& file = *open_.at(id).file;
            for (const std::byte* data : covered) {
                const auto at = std::find_if(file.unsynced.begin(), file.unsynced.end(),
                                             [&](const Unsynced& w) { return w.bytes.data() == data; });
                if (at != file.unsynced.end()) {
                    std::memcpy(file.durable.data() + at->offset, at->bytes.data(), at->bytes.size());
                    file.unsynced.erase(at);
                }
            }
        });
    }
    env::Durability preferred() const override { return recipe; }

  private:
    struct Pending {
        env::DiskOperation* op;
        std::function<void(env::DiskOperation&)> action;
    };
    struct Open {
        std::string name;
        std::shared_ptr<File> file;
    };
    void push_named(std::string_view call, env::DiskOperation& op, std::function<void(env::DiskOperation&)> action) {
        push(op, [this, call, act = std::move(action)](env::DiskOperation& o) {
            if (!refusal || refusal->call != call) {
                act(o);
                return;
            }
            if (refusal->done) {
                act(o);
            }
            o.file = 0;
            o.error = refusal->error;
        });
    }
    void push(env::DiskOperation& op, std::function<void(env::DiskOperation&)> action) {
        ASSERT(!op.in_flight);
        op.in_flight = true;
        op.error = env::DiskErrc::ok;
        queue_.push_back({&op, std::move(action)});
    }
    void run(Pending& next) {
        next.action(*next.op);
        next.op->in_flight = false;
        next.op->callback(*next.op);
    }

    std::deque<Pending> queue_;
    std::map<env::FileId, Open> open_;
    env::FileId next_id_{1};
};

}  // namespace ringfort::test
