// What is behind Raft's public face, for tests that compare, copy or spoil it.
#pragma once

#include "raft/core.h"

namespace ringfort::raft {

struct Inside {
    static Core& of(Raft& raft) { return *raft.core_; }
    static const Core& of(const Raft& raft) { return *raft.core_; }
    static std::unique_ptr<Raft> copy(const Raft& raft) {
        return std::unique_ptr<Raft>(new Raft(std::make_unique<Core>(*raft.core_)));
    }
};

}  // namespace ringfort::raft
