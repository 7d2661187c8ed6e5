// A range deletion in progress: resumes by key, so that compaction may change the tree between two steps.
#pragma once

#include <optional>
#include <string>

#include "kv/store_state.h"

namespace ringfort::kv {

class DeleteJob {
  public:
    // `answer`: where removed pairs go if the request wants them; null: nobody wants them. The request's texts have to
    // live as long as the job.
    void begin(StoreState& state, const api::DeleteRangeRequest& request, Arena* answer);
    [[nodiscard]] Step step(StoreState& state, WorkBudget& budget);
    api::DeleteRangeResponse response() const;

  private:
    void remove(StoreState& state, KeyRecord& record, WorkBudget& budget);

    bool point_{false};
    std::optional<std::string_view> end_;
    std::string position_;         // the next key to look at
    api::KeyValue* prev_{nullptr}; // room for every pair the interval can give; null: not wanted
    std::int64_t deleted_{0};
};

}  // namespace ringfort::kv
