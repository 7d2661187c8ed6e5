#include "sim/simulate_marks.h"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <sys/file.h>
#include <unistd.h>

#include "base/mark.h"

namespace ringfort::sim {

void MarkCounts::add(const RunRecord& record) {
    const auto marks = all_marks();
    for (std::size_t i = 0; i < marks.size(); i++) {
        if (record.marks[i] > 0) {
            counts_[marks[i].name] += record.marks[i];
        }
    }
}

bool MarkCounts::merge_with_file(const std::string& path) {
    if (path.empty()) {
        return true;
    }
    const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        return false;
    }
    std::uint64_t count = 0;
    std::string name;
    for (std::ifstream in(path); in >> count && std::getline(in >> std::ws, name);) {
        counts_[name] += count;
    }
    std::ofstream out(path, std::ios::trunc);
    for (const auto& [known, reached] : counts_) {
        out << reached << ' ' << known << '\n';
    }
    out.close();
    close(lock);
    return !out.fail();
}

std::uint64_t MarkCounts::count_of(const char* name) const {
    const auto found = counts_.find(name);
    return found == counts_.end() ? 0 : found->second;
}

std::size_t MarkCounts::reached() const {
    const auto marks = all_marks();
    return static_cast<std::size_t>(
        std::count_if(marks.begin(), marks.end(), [&](const Mark& mark) { return count_of(mark.name) > 0; }));
}

std::size_t MarkCounts::total() const { return all_marks().size(); }

std::vector<std::string> MarkCounts::never_reached() const {
    std::vector<std::string> out;
    for (const Mark& mark : all_marks()) {
        if (count_of(mark.name) == 0) {
            out.emplace_back(mark.name);
        }
    }
    return out;
}

std::string MarkCounts::report() const {
    std::vector<const Mark*> order;
    for (const Mark& mark : all_marks()) {
        order.push_back(&mark);
    }
    std::sort(order.begin(), order.end(), [&](const Mark* left, const Mark* right) {
        const auto key = [&](const Mark* mark) { return std::tuple(count_of(mark->name), std::string_view(mark->name)); };
        return key(left) < key(right);
    });
    std::string out;
    for (const Mark* mark : order) {
        const std::string_view file = mark->file;
        const std::size_t src = file.rfind("src/");
        const std::uint64_t count = count_of(mark->name);
        const std::string number = count == 0 ? "never" : std::to_string(count);
        out += std::string(number.size() < 10 ? 10 - number.size() : 0, ' ') + number + "  " + mark->name + "  (" +
               std::string(src == std::string_view::npos ? file : file.substr(src)) + ":" +
               std::to_string(mark->line) + ")\n";
    }
    return out;
}

}  // namespace ringfort::sim
