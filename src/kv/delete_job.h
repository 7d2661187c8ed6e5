// A range deletion in progress: resumes by key, so that compaction may change the tree between two steps.
#pragma once

#include <optional>
#include <string>

#include "kv/store_state.h"

namespace ringfort::kv {

class DeleteJob {
  public:
    // `answer`: where removed pairs go if the request wants them; null: nobody wants them. No more than `pairs_max` are
    // removed then. The request's texts have to live as long as the job.
    void begin(const api::DeleteRangeRequest& request, Arena* answer, std::uint64_t pairs_max);
    [[nodiscard]] Step step(StoreState& state, WorkBudget& budget);
    api::DeleteRangeResponse response() const;

  private:
    void remove(StoreState& state, KeyRecord& record, WorkBudget& budget);

    bool point_{false};
    std::optional<std::string_view> end_;
    std::string position_;         // the next key to look at
    api::KeyValue* prev_{nullptr}; // room for `pairs_max_`; null: not wanted
    std::int64_t pairs_max_{0};
    std::int64_t deleted_{0};
};

}  // namespace ringfort::kv
