// No part of a shard's turn does more than its budget and one step allow: what a step takes is known when it is done.
#pragma once

#include <cstdint>
#include <string>

#include "shard/turn_work.h"

namespace ringfort::sim {

// `request_bytes`: the largest request, and so the largest value, that the cluster takes. Returns what is wrong, empty if
// nothing is.
std::string check_turn_work(const shard::TurnWork& work, std::size_t request_bytes);

}  // namespace ringfort::sim
