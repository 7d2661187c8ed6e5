// The page: a table and two plots over time, drawn as SVG, with nothing fetched from elsewhere.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "report.h"

namespace ringload {

namespace {

constexpr double width = 960;
constexpr double height = 260;
constexpr double left = 70;
constexpr double bottom = 30;
constexpr double top = 12;

struct Axis {
    double low{0};
    double high{1};
    bool logarithmic{false};

    // 0 at the bottom, 1 at the top.
    double place(double value) const {
        if (logarithmic) {
            return (std::log10(std::max(value, low)) - std::log10(low)) / (std::log10(high) - std::log10(low));
        }
        return (value - low) / (high - low);
    }
};

double y_of(const Axis& axis, double value) {
    return top + (height - top - bottom) * (1 - axis.place(value));
}

// 1, 2 or 5 times a power of ten, so that about `count` steps reach `high`.
double step_for(double high, int count) {
    const double raw = high / count;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (raw <= factor * power) {
            return factor * power;
        }
    }
    return 10 * power;
}

std::string escape(std::string_view text) {
    std::string out;
    for (const char one : text) {
        switch (one) {
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '&': out += "&amp;"; break;
            case '"': out += "&quot;"; break;
            default: out += one;
        }
    }
    return out;
}

class Plot {
  public:
    Plot(std::string title, Axis axis, double seconds) : title_(std::move(title)), axis_(axis), seconds_(seconds) {}

    double x_of(double second) const { return left + (width - left - 10) * second / seconds_; }

    void line(const std::vector<double>& values, double interval_seconds, std::string_view color,
              std::string_view name) {
        std::string points;
        for (std::size_t i = 0; i < values.size(); i++) {
            const double at = std::min((static_cast<double>(i) + 0.5) * interval_seconds, seconds_);
            points += fmt::format("{:.1f},{:.1f} ", x_of(at), y_of(axis_, values[i]));
        }
        body_ += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='1.5'/>\n", points, color);
        legend_ += fmt::format("<span style='color:{}'>&#9632;</span> {} &nbsp; ", color, name);
    }

    void shade(double from, double to, std::string_view what) {
        body_ += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='#d33' opacity='0.15'>"
                             "<title>{}</title></rect>\n",
                             x_of(from), top, std::max(x_of(to) - x_of(from), 1.0), height - top - bottom, what);
    }

    std::string html() const {
        return fmt::format("<h2>{}</h2><p class='legend'>{}</p>\n<svg viewBox='0 0 {} {}' role='img'>\n{}{}</svg>\n",
                           title_, legend_, width, height, grid(), body_);
    }

  private:
    std::string grid() const {
        std::string out;
        const auto mark = [&](double value) {
            const double y = y_of(axis_, value);
            out += fmt::format("<line x1='{0}' x2='{1}' y1='{2:.1f}' y2='{2:.1f}' class='grid'/>"
                               "<text x='{3}' y='{4:.1f}' text-anchor='end'>{5:g}</text>\n",
                               left, width - 10, y, left - 6, y + 4, value);
        };
        if (axis_.logarithmic) {
            for (double value = axis_.low; value <= axis_.high * 1.001; value *= 10) {
                mark(value);
            }
        } else {
            const double step = step_for(axis_.high, 5);
            for (double value = 0; value <= axis_.high * 1.001; value += step) {
                mark(value);
            }
        }
        const double step = step_for(seconds_, 10);
        for (double second = 0; second <= seconds_ * 1.001; second += step) {
            out += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>{:g} s</text>\n", x_of(second),
                               height - 10, second);
        }
        return out;
    }

    std::string title_;
    Axis axis_;
    double seconds_;
    std::string body_;
    std::string legend_;
};

std::string throughput_plot(const Timeline& timeline, double seconds) {
    const double interval_seconds = std::chrono::duration<double>(timeline.interval()).count();
    std::vector<double> acknowledged;
    std::vector<double> failed;
    for (const Interval& interval : timeline.intervals()) {
        acknowledged.push_back(static_cast<double>(interval.acknowledged) / interval_seconds);
        failed.push_back(static_cast<double>(interval.failed) / interval_seconds);
    }
    // The last piece is shorter than the others: drawn as one, it would look like a drop.
    if (acknowledged.size() > 1) {
        acknowledged.pop_back();
        failed.pop_back();
    }
    const double highest = acknowledged.empty() ? 1 : *std::ranges::max_element(acknowledged);
    Plot plot("Acknowledged per second", {.low = 0, .high = std::max(highest * 1.05, 1.0), .logarithmic = false}, seconds);
    const double gap_at = std::chrono::duration<double>(timeline.longest_gap_at()).count();
    const double gap = std::chrono::duration<double>(timeline.longest_gap()).count();
    plot.shade(gap_at, std::min(gap_at + gap, seconds), fmt::format("longest gap: {:.1f} ms", gap * 1000));
    plot.line(acknowledged, interval_seconds, "#1668b8", "acknowledged");
    if (timeline.failed_count() > 0) {
        plot.line(failed, interval_seconds, "#d33", "failed");
    }
    return plot.html();
}

std::string latency_plot(const Timeline& timeline, double seconds) {
    const double interval_seconds = std::chrono::duration<double>(timeline.interval()).count();
    std::array<std::vector<double>, 3> lines;
    double lowest = 1e9;
    double highest = 0;
    for (const Interval& interval : timeline.intervals()) {
        const std::array<double, 3> values{static_cast<double>(interval.p50_ns) / 1e6,
                                           static_cast<double>(interval.p99_ns) / 1e6,
                                           static_cast<double>(interval.max_ns) / 1e6};
        for (std::size_t i = 0; i < lines.size(); i++) {
            lines[i].push_back(values[i]);
            highest = std::max(highest, values[i]);
            lowest = values[i] > 0 ? std::min(lowest, values[i]) : lowest;
        }
    }
    const double low = std::pow(10.0, std::floor(std::log10(std::min(lowest, std::max(highest, 0.001)))));
    const double high = std::max(std::pow(10.0, std::ceil(std::log10(std::max(highest, 0.001)))), low * 10);
    Plot plot("Latency in ms (logarithmic)", {.low = low, .high = high, .logarithmic = true}, seconds);
    plot.line(lines[2], interval_seconds, "#bbb", "max");
    plot.line(lines[1], interval_seconds, "#e08a00", "p99");
    plot.line(lines[0], interval_seconds, "#1668b8", "p50");
    return plot.html();
}

}  // namespace

std::string as_html(const Report& report) {
    const Timeline& timeline = *report.timeline;
    const double seconds = std::max(std::chrono::duration<double>(timeline.elapsed()).count(), 0.001);
    std::string page =
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>ringload</title>\n<style>\n"
        "body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\n"
        "pre{background:#f5f5f5;padding:1em;overflow:auto}h1{font-size:1.5em}h2{font-size:1.1em;margin-bottom:.2em}\n"
        "svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}.grid{stroke:#e5e5e5}.legend{margin:0}\n"
        "</style></head><body>\n<h1>ringload</h1>\n";
    page += "<pre>" + escape(as_table(report)) + "</pre>\n";
    page += throughput_plot(timeline, seconds);
    page += latency_plot(timeline, seconds);
    page += "</body></html>\n";
    return page;
}

}  // namespace ringload
