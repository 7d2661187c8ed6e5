#include "sim/disk_media.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assertion.h"
#include "sim/sim_disk.h"

namespace ringfort::sim {

using env::DiskErrc;

namespace {

std::string_view directory_of(std::string_view name) {
    const auto slash = name.rfind('/');
    return slash == std::string_view::npos ? std::string_view{} : name.substr(0, slash);
}

}  // namespace

DiskMedia::DiskMedia(EventQueue& queue, std::uint64_t seed, const DiskProfile& profile)
    : queue_(queue), random_(seed), profile_(profile) {}

DiskMedia::~DiskMedia() = default;

// ------------------------------------------------------------------------------------------- operations

DiskMedia::Task& DiskMedia::begin(Kind kind, SimDisk& owner, env::DiskOperation& operation) {
    ASSERT(!owner.detached_);
    ASSERT(!operation.in_flight);
    ASSERT(operation.callback != nullptr);
    if (free_.empty()) {
        free_.push_back(tasks_.size());
        tasks_.push_back(std::make_unique<Task>());
    }
    const std::uint64_t slot = free_.back();
    free_.pop_back();
    Task& task = *tasks_[slot];
    ASSERT(!task.active);
    task.kind = kind;
    task.active = true;
    task.owner = &owner;
    task.operation = &operation;
    task.landed = UINT64_MAX;
    operation.in_flight = true;
    operation.error = DiskErrc::ok;
    operation.file = 0;
    operation.bytes = 0;
    operation.env_word = slot;
    in_flight_++;
    return task;
}

void DiskMedia::submit(Task& task) {
    Instant at = queue_.now() + draw_latency(task);
    if (hang_until_ > queue_.now()) {
        at = std::max(at, hang_until_ + draw_latency(task));
    }
    queue_.schedule(std::max(at, shared_until(task)), &DiskMedia::on_event, this, task.operation->env_word);
}

// When the medium that all share lets the operation end.
Instant DiskMedia::shared_until(const Task& task) {
    const std::uint64_t rate = profile_.drain_bytes_per_second;
    if (rate == 0) {
        return {};
    }
    const auto time_of = [&](std::uint64_t bytes) {
        return Duration(static_cast<std::int64_t>(bytes * 1'000'000'000 / rate));
    };
    const std::uint64_t zeros = task.kind == Kind::create ? task.bytes : 0;
    if (task.content.size() + zeros > 0) {
        drained_at_ = std::max(drained_at_, queue_.now()) + time_of(task.content.size() + zeros) * slow_factor_;
    }
    if (task.kind == Kind::write && task.durability == env::Durability::none) {
        return drained_at_ - time_of(profile_.cache_bytes) * slow_factor_;
    }
    const bool flushes = task.kind == Kind::write || task.kind == Kind::sync || task.kind == Kind::sync_new ||
                         task.kind == Kind::create || task.kind == Kind::replace_whole;
    return flushes ? drained_at_ : Instant{};
}

Duration DiskMedia::draw_latency(const Task& task) {
    Duration base = profile_.metadata_latency;
    if (task.kind == Kind::write) {
        base = profile_.write_latency;
        if (task.durability == env::Durability::dsync) {
            base += profile_.sync_latency;
        }
    } else if (task.kind == Kind::read) {
        base = profile_.read_latency;
    } else if (task.kind == Kind::sync) {
        base = profile_.sync_latency;
    }
    const auto half = static_cast<std::uint64_t>(base.count()) / 2;
    auto ns = half + random_.below(2 * half + 1);
    const std::uint64_t moved = task.kind == Kind::read ? task.into.size() : task.content.size();
    ns += moved * static_cast<std::uint64_t>(profile_.byte_latency_per_mib.count()) / mib;
    ns *= slow_factor_;
    // A stall of the device, no longer where it is slow: minutes would outlast the healing.
    if (random_.per_million(profile_.tail_per_million)) {
        ns += random_.below(static_cast<std::uint64_t>(profile_.tail_max.count()) + 1);
    }
    return Duration(static_cast<std::int64_t>(ns));
}

void DiskMedia::on_event(void* context, std::uint64_t slot, std::uint64_t) {
    auto& self = *static_cast<DiskMedia*>(context);
    Task& task = *self.tasks_[slot];
    if (task.active && self.hang_until_ > self.queue_.now()) {
        self.queue_.schedule(self.hang_until_ + Duration(1), &DiskMedia::on_event, context, slot);
        return;
    }
    self.finish(slot);
}

void DiskMedia::finish(std::uint64_t slot) {
    Task& task = *tasks_[slot];
    if (task.active) {
        const DiskErrc error = perform(task);
        if (task.owner != nullptr) {
            if (task.operation->file > 0 && task.file) {
                auto& open = task.owner->files_[task.operation->file - 1];
                ASSERT(open.in_flight > 0);
                open.in_flight--;
            }
            task.operation->error = error;
            task.owner->complete(*task.operation);
        }
        task.active = false;
        in_flight_--;
    }
    task.owner = nullptr;
    task.file.reset();
    task.content = {};
    task.into = {};
    task.source = nullptr;
    free_.push_back(slot);
}

DiskErrc DiskMedia::perform(Task& task) {
    switch (task.kind) {
        case Kind::write:
        case Kind::read:
        case Kind::sync:
        case Kind::sync_new: return perform_data(task);
        case Kind::open:
        case Kind::create:
        case Kind::create_growing:
        case Kind::remove:
        case Kind::rename:
        case Kind::list:
        case Kind::read_whole:
        case Kind::replace_whole: return perform_name(task);
    }
    UNREACHABLE();
}

DiskErrc DiskMedia::perform_read(Task& task) {
    counters_.reads++;
    counters_.bytes_read += task.into.size();
    if (task.owner == nullptr) {
        return DiskErrc::ok;
    }
    if (random_.per_million(profile_.read_error_per_million)) {
        counters_.errors_injected++;
        misread_ = true;
        return DiskErrc::read_failed;
    }
    if (profile_.misdirected_read_per_million > 0 && random_.per_million(profile_.misdirected_read_per_million) &&
        read_elsewhere(task)) {
        counters_.reads_misdirected++;
        misread_ = true;
        return DiskErrc::ok;
    }
    return task.file->read(task.offset, task.into) ? DiskErrc::ok : DiskErrc::read_failed;
}

// From another block of the file, or of any other file.
bool DiskMedia::read_elsewhere(Task& task) {
    DiskFile* from = task.file.get();
    if (random_.one_in(2)) {
        auto other = live_.begin();
        std::advance(other, static_cast<std::ptrdiff_t>(random_.below(live_.size())));
        from = other->second.get();
    }
    if (from->bytes() < task.into.size()) {
        return false;
    }
    const std::uint64_t blocks = (from->bytes() - task.into.size()) / limits::block_bytes + 1;
    return from->read(random_.below(blocks) * limits::block_bytes, task.into);
}

DiskErrc DiskMedia::perform_write(Task& task) {
    counters_.writes++;
    counters_.bytes_written += task.content.size();
    if (task.owner != nullptr) {
        // The issuer promised not to touch the memory.
        ASSERT(task.content == Bytes(task.source, task.content.size()));
    }
    const std::uint64_t end = task.offset + task.content.size();
    const std::uint64_t occupied = task.file->occupied();
    const bool full = end > occupied && !has_room(end - occupied);
    if (full || random_.per_million(profile_.write_error_per_million)) {
        counters_.errors_injected += full ? 0 : 1;
        land_failed_write(task);
        return DiskErrc::write_failed;
    }
    const bool durable = task.durability == env::Durability::dsync && task.landed >= task.content.size();
    task.content.truncate(task.landed);
    if (task.content.empty()) {
        return DiskErrc::ok;
    }
    note_recent(task);
    if (durable && !lying_) {
        task.file->write_durable(task.offset, task.content);
        return DiskErrc::ok;
    }
    task.file->write_volatile(++write_sequence_, task.offset, std::move(task.content));
    if (durable) {
        task.file->claim(write_sequence_);
    }
    return DiskErrc::ok;
}

void DiskMedia::note_recent(const Task& task) {
    if (recent_max_ == 0) {
        return;
    }
    scratch_.resize(std::max(scratch_.size(), task.content.size()));
    const MutableBytes before = MutableBytes(scratch_).first(task.content.size());
    task.file->peek(task.offset, before);
    recent_.push_back({task.file, task.offset, task.content, DiskContent(before)});
    if (recent_.size() > recent_max_) {
        recent_.pop_front();
    }
}

DiskErrc DiskMedia::perform_data(Task& task) {
    if (task.kind == Kind::read) {
        return perform_read(task);
    }
    if (task.kind == Kind::write) {
        return perform_write(task);
    }
    counters_.syncs++;
    if (random_.per_million(profile_.sync_error_per_million)) {
        counters_.errors_injected++;
        return DiskErrc::sync_failed;
    }
    lying_ ? task.file->claim(task.bytes) : task.file->sync(task.bytes);
    if (task.kind == Kind::sync_new) {
        task.file->sync_size();
        task.file->set_aside(0);
        const auto found = live_.find(task.name);
        if (found == live_.end() || found->second != task.file) {
            return DiskErrc::not_found;
        }
        sync_directory(task.name);
    }
    return DiskErrc::ok;
}

// A failed write leaves any of its sectors behind.
void DiskMedia::land_failed_write(Task& task) {
    for (std::uint64_t at = 0; at < task.content.size(); at += sector_bytes) {
        if (task.offset + at + sector_bytes <= task.file->bytes() && random_.one_in(2)) {
            std::array<std::byte, sector_bytes> sector;
            task.content.read(at, sector);
            task.file->write_volatile(++write_sequence_, task.offset + at, DiskContent(sector));
        }
    }
}

DiskErrc DiskMedia::perform_name(Task& task) {
    switch (task.kind) {
        case Kind::open: return open_file(task);
        case Kind::create:
        case Kind::create_growing: return make_file(task);
        case Kind::replace_whole: return replace_file(task);
        case Kind::list: return list_files(task);
        case Kind::remove: return live_.erase(task.name) > 0 ? DiskErrc::ok : DiskErrc::not_found;
        case Kind::rename: {
            const auto found = live_.find(task.name);
            if (found == live_.end()) {
                return DiskErrc::not_found;
            }
            const FilePointer file = found->second;
            live_.erase(found);
            live_[task.target] = file;
            sync_directory(task.name);
            sync_directory(task.target);
            return DiskErrc::ok;
        }
        case Kind::read_whole: {
            const auto found = live_.find(task.name);
            if (found == live_.end()) {
                return DiskErrc::not_found;
            }
            if (task.owner != nullptr) {
                std::byte end{};
                if (found->second->bytes() > 0 && !found->second->read(0, {&end, 1})) {
                    return DiskErrc::read_failed;
                }
                task.operation->content = found->second->content();
                task.operation->bytes = task.operation->content.size();
            }
            return DiskErrc::ok;
        }
        case Kind::sync_new:
        case Kind::write:
        case Kind::read:
        case Kind::sync: break;
    }
    UNREACHABLE();
}

DiskErrc DiskMedia::open_file(Task& task) {
    const auto found = live_.find(task.name);
    if (found == live_.end()) {
        return DiskErrc::not_found;
    }
    const std::string& unopenable = profile_.unopenable;
    if (task.kind == Kind::open && !unopenable.empty() && task.name.find(unopenable) != std::string::npos) {
        counters_.errors_injected++;
        return DiskErrc::other;
    }
    if (task.owner != nullptr) {
        task.operation->file = task.owner->add_open(found->second);
        task.operation->bytes = found->second->bytes();
    }
    return DiskErrc::ok;
}

DiskErrc DiskMedia::make_file(Task& task) {
    const bool growing = task.kind == Kind::create_growing;
    if (live_.contains(task.name)) {
        return DiskErrc::exists;
    }
    if (!has_room(task.bytes)) {
        counters_.refused++;
        return DiskErrc::no_space;
    }
    auto file = std::make_shared<DiskFile>(growing ? 0 : task.bytes, growing);
    if (growing) {
        file->set_aside(task.bytes);
    }
    live_[task.name] = std::move(file);
    if (!growing) {
        sync_directory(task.name);
    }
    return open_file(task);
}

DiskErrc DiskMedia::replace_file(Task& task) {
    if (!has_room(task.content.size())) {
        return DiskErrc::no_space;
    }
    auto file = std::make_shared<DiskFile>(task.content.size(), false);
    if (!task.content.empty()) {
        file->write_durable(0, task.content);
    }
    live_[task.name] = std::move(file);
    sync_directory(task.name);
    return DiskErrc::ok;
}

DiskErrc DiskMedia::list_files(Task& task) {
    if (task.owner == nullptr) {
        return DiskErrc::ok;
    }
    task.operation->files.clear();
    const bool fails = profile_.list_error_per_million > 0 && random_.per_million(profile_.list_error_per_million);
    counters_.errors_injected += fails ? 1 : 0;
    for (const auto& [name, file] : live_) {
        if (directory_of(name) == task.name) {
            task.operation->files.push_back({name.substr(task.name.empty() ? 0 : task.name.size() + 1), file->bytes()});
            if (fails) {
                break;   // this one it is
            }
        }
    }
    return fails ? DiskErrc::read_failed : DiskErrc::ok;
}

// ------------------------------------------------------------------------------------------- faults

void DiskMedia::detach(SimDisk& owner) {
    for (auto& slot : tasks_) {
        Task& task = *slot;
        if (!task.active || task.owner != &owner) {
            continue;
        }
        task.operation->in_flight = false;
        task.owner = nullptr;
        task.operation = nullptr;
        task.source = nullptr;
        task.into = {};
        if (task.kind == Kind::write) {
            // Cancelled before it was issued, cut between its parts, or on its way.
            const std::uint64_t lot = random_.below(4);
            task.landed = lot == 0 ? 0 : UINT64_MAX;
            if (lot == 1) {
                task.landed = random_.below(task.content.size() / sector_bytes + 1) * sector_bytes;
            }
        } else if (random_.one_in(2)) {
            task.active = false;
            in_flight_--;
        }
    }
}

void DiskMedia::cut_power(std::uint32_t keep_per_million) {
    std::vector<Task*> order;
    for (auto& slot : tasks_) {
        ASSERT(!slot->active || slot->owner == nullptr);
        if (slot->active) {
            order.push_back(slot.get());
        }
    }
    // What is in flight reaches the device in any order, if at all.
    for (std::size_t left = order.size(); left > 0; left--) {
        std::swap(order[left - 1], order[random_.below(left)]);
        Task& task = *order[left - 1];
        if (task.kind == Kind::write && task.landed > 0) {
            task.content.truncate(task.landed);
            const std::uint64_t end = task.offset + task.content.size();
            if (end <= task.file->occupied() || has_room(end - task.file->occupied())) {
                task.file->write_volatile(++write_sequence_, task.offset, std::move(task.content));
            }
        } else if (task.kind != Kind::write && task.kind != Kind::read && random_.one_in(2)) {
            static_cast<void>(perform(task));
        }
        task.active = false;
        in_flight_--;
    }
    std::vector<std::string> all;
    for (const auto& [name, file] : live_) {
        all.push_back(name);
    }
    for (const auto& [name, file] : durable_) {
        if (!live_.contains(name)) {
            all.push_back(name);
        }
    }
    std::sort(all.begin(), all.end());
    Names survived;
    std::vector<DiskFile*> done;
    for (const auto& name : all) {
        const auto live = live_.find(name);
        const auto durable = durable_.find(name);
        const FilePointer before = durable == durable_.end() ? nullptr : durable->second;
        const FilePointer after = live == live_.end() ? nullptr : live->second;
        const FilePointer kept = before != after && random_.per_million(keep_per_million) ? after : before;
        if (kept) {
            if (std::find(done.begin(), done.end(), kept.get()) == done.end()) {
                counters_.sectors_in_doubt += kept->volatile_writes();
                kept->cut_power(random_, keep_per_million);
                done.push_back(kept.get());
            }
            survived[name] = kept;
        }
    }
    live_ = survived;
    durable_ = std::move(survived);
    hang_until_ = queue_.now();
    harmed_ = harmed_ || lying_;
    rollbacks_ += lying_ ? 1U : 0U;
    lying_ = false;
}

void DiskMedia::wipe() {
    put_back({});
}

void DiskMedia::set_lying(bool lying) {
    for (const auto& [name, file] : live_) {
        if (lying_ && !lying) {
            file->sync(write_sequence_);
        }
    }
    lying_ = lying;
}

bool DiskMedia::take_back(const RecentWrite& write) {
    std::vector<std::byte> now(write.content.size());
    if (write.offset + now.size() > write.file->bytes() || !write.file->durable(write.offset, now.size())) {
        return false;
    }
    write.file->peek(write.offset, now);
    if (write.content != Bytes(now)) {
        return false;
    }
    write.before.read(0, now);
    write.file->replace_sectors(write.offset, now);
    return true;
}

bool DiskMedia::misdirect(const RecentWrite& write, DiskFile& to, std::uint64_t offset) {
    ASSERT(offset % limits::block_bytes == 0);
    const std::uint64_t room = offset < to.bytes() ? (to.bytes() - offset) / sector_bytes * sector_bytes : 0;
    if (room == 0 || !take_back(write)) {
        return false;
    }
    std::vector<std::byte> content(std::min<std::uint64_t>(write.content.size(), room));
    write.content.read(0, content);
    to.replace_sectors(offset, content);
    return true;
}

DiskMedia::Copy DiskMedia::copy() const {
    Copy out;
    for (const auto& [name, file] : live_) {
        out[name] = file->copy();
    }
    return out;
}

void DiskMedia::put_back(const Copy& copy) {
    ASSERT(quiet());
    harmed_ = true;
    rollbacks_ += copy.empty() ? 0U : 1U;   // nobody takes an empty one for what it was
    live_.clear();
    for (const auto& [name, file] : copy) {
        live_[name] = file->copy();
    }
    durable_ = live_;
    recent_.clear();
}

void DiskMedia::remove_directory(std::string_view name) {
    ASSERT(quiet());
    std::erase_if(live_, [&](const auto& item) { return directory_of(item.first) == name; });
}

void DiskMedia::lose(const std::string& name) {
    harmed_ = true;
    live_.erase(name);
    durable_.erase(name);
}

bool DiskMedia::harmed() const {
    return harmed_ || std::ranges::any_of(live_, [](const auto& item) { return item.second->harmed(); });
}

DiskFile* DiskMedia::file(std::string_view name) {
    const auto found = live_.find(name);
    return found == live_.end() ? nullptr : found->second.get();
}

std::vector<std::string> DiskMedia::names() const {
    std::vector<std::string> out;
    for (const auto& [name, file] : live_) {
        out.push_back(name);
    }
    return out;
}

bool DiskMedia::durable(std::string_view name, std::uint64_t offset, std::uint64_t bytes) const {
    return durable_name(name) && live_.find(name)->second->durable(offset, bytes);
}

bool DiskMedia::durable_name(std::string_view name) const {
    const auto live = live_.find(name);
    const auto durable = durable_.find(name);
    return live != live_.end() && durable != durable_.end() && live->second == durable->second;
}

std::uint64_t DiskMedia::used_bytes() const {
    std::uint64_t total = 0;
    for (const auto& [name, file] : live_) {
        total += file->occupied();
    }
    return total;
}

bool DiskMedia::has_room(std::uint64_t bytes) const {
    return used_bytes() + bytes <= profile_.capacity_bytes;
}

void DiskMedia::sync_directory(std::string_view name) {
    const auto directory = directory_of(name);
    std::erase_if(durable_, [&](const auto& item) { return directory_of(item.first) == directory; });
    for (const auto& [other, file] : live_) {
        if (directory_of(other) == directory) {
            durable_[other] = file;
        }
    }
}

}  // namespace ringfort::sim
