// Frames of an established link, given to the part of the shard they are for.
#pragma once

#include "wire/peer_codec.h"

namespace ringfort::shard {

struct Context;
class Link;

// false: the frame has no place on an established link; the link is dropped.
bool handle_peer_frame(Context& context, Link& link, const wire::PeerFrame& frame);

}  // namespace ringfort::shard
