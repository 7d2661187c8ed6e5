// Applying commands about alarms.
#include <algorithm>

#include "kv/store_impl.h"

namespace ringfort::kv {

void Store::Impl::step_alarm() {
    Alarms& alarms = state.alarms;
    cleared.clear();
    if (const auto* raise = std::get_if<AlarmRaise>(&body)) {
        const auto at = std::ranges::lower_bound(alarms, raise->alarm);
        const bool there = at != alarms.end() && *at == raise->alarm;
        if (!there && alarms.size() == alarms_max) {
            outcome = api::Errc::too_many_requests;
            return;
        }
        if (!there) {
            state.mix_alarm(raise->alarm, true);
            alarms.insert(at, raise->alarm);
        }
    } else {
        const auto& clear = std::get<AlarmClear>(body);
        std::ranges::copy_if(alarms, std::back_inserter(cleared),
                             [&](const api::Alarm& alarm) { return clear.covers(alarm); });
        for (const api::Alarm& alarm : cleared) {
            state.mix_alarm(alarm, false);
        }
        std::erase_if(alarms, [&](const api::Alarm& alarm) { return clear.covers(alarm); });
    }
    outcome = api::Result{api::AlarmResponse{cleared}};
}

std::span<const api::Alarm> Store::alarms() const {
    return impl_->state.alarms;
}

}  // namespace ringfort::kv
