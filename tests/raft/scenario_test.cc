// Scripts in tests/scenarios/raft/*.txt. Lines that begin with '>' are commands; what follows is what must come of it.
// Run with --rewrite to record what does.
//
//   > voters N            a cluster of N, before all else
//   > elect ID | propose ID TEXT | crash ID | restart ID | wipe ID | isolate ID | heal | checkpoint ID | transfer ID TO
//   > change ID VOTERS..  configuration of these voters
//   > state               one line a replica
//
// After each command the cluster settles; role changes and the count of messages by kind are the trace.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "checker.h"
#include "test_cluster.h"

namespace ringfort::raft {
namespace {

bool rewrite = false;

class Scenario {
  public:
    // What the command brings about, a line each.
    std::string run(const std::string& line) {
        std::istringstream words(line);
        std::string verb;
        words >> verb;
        std::uint64_t id = 0;
        if (verb == "voters") {
            words >> id;
            cluster_ = std::make_unique<TestCluster>(id);
            cluster_->on_deliver = [this](const OwnedMessage& owned) { delivered_[owned.message.type]++; };
            return "";
        }
        if (cluster_ == nullptr) {
            return "error: no cluster\n";
        }
        if (verb == "state") {
            return state();
        }
        words >> id;
        if (verb != "heal" && (!words || cluster_->ids().size() < id || id == 0)) {
            return "error: which replica?\n";
        }
        const std::string error = act(verb, id, words);
        cluster_->settle();
        return error + trace();
    }

  private:
    std::string act(const std::string& verb, std::uint64_t id, std::istringstream& words) {
        if (verb == "elect") {
            cluster_->node(id).step(ElectionDue{});
        } else if (verb == "propose") {
            std::string text;
            words >> text;
            return cluster_->node(id).propose(text) ? "" : "refused\n";
        } else if (verb == "crash") {
            cluster_->crash(id);
        } else if (verb == "restart") {
            cluster_->restart(id);
        } else if (verb == "wipe") {
            cluster_->wipe(id);
        } else if (verb == "isolate") {
            cluster_->isolate(id);
        } else if (verb == "heal") {
            cluster_->heal();
        } else if (verb == "checkpoint") {
            cluster_->node(id).checkpoint(cluster_->node(id).applied());
        } else if (verb == "transfer") {
            std::uint64_t to = 0;
            words >> to;
            cluster_->node(id).step(TransferLeadership{.target = NodeId(to)});
        } else if (verb == "change") {
            Configuration target;
            for (std::uint64_t voter = 0; words >> voter;) {
                target.voters.push_back(NodeId(voter));
            }
            cluster_->node(id).step(ChangeConfiguration{.target = target});
        } else {
            return "error: unknown command\n";
        }
        return "";
    }

    std::string trace() {
        std::string out;
        for (const auto& [type, count] : delivered_) {
            out += std::string(to_string(type)) + " x" + std::to_string(count) + "\n";
        }
        delivered_.clear();
        return out;
    }

    std::string state() {
        std::string out;
        for (const NodeId id : cluster_->ids()) {
            TestNode& node = cluster_->node(id);
            out += std::to_string(id.value) + ": ";
            if (!node.running()) {
                out += "down\n";
                continue;
            }
            const Raft& core = node.core();
            out += std::string(to_string(core.role())) + " term " + std::to_string(core.term().value) + " leader " +
                   std::to_string(core.leader().value) + " last " + to_text(core.last()) + " commit " +
                   std::to_string(core.commit().value) + " snapshot " + to_text(core.snapshot()) +
                   (core.in_doubt() ? " in doubt" : "") + "\n";
        }
        return out;
    }

    std::unique_ptr<TestCluster> cluster_;
    std::map<MessageType, int> delivered_;
};

TEST(RaftScenarios, every_script_has_the_trace_it_states) {
    std::size_t script_count = 0;
    for (const auto& file : std::filesystem::directory_iterator(RINGFORT_RAFT_SCENARIOS)) {
        if (file.path().extension() != ".txt") {
            continue;
        }
        script_count++;
        std::ifstream in(file.path());
        std::string expected;
        std::string actual;
        Scenario scenario;
        for (std::string line; std::getline(in, line);) {
            expected += line + "\n";
            if (line.starts_with("#") || line.empty()) {
                actual += line + "\n";
            } else if (line.starts_with("> ")) {
                actual += line + "\n" + scenario.run(line.substr(2));
            }
        }
        if (rewrite) {
            std::ofstream(file.path()) << actual;
        } else {
            EXPECT_EQ(actual, expected) << file.path();
        }
    }
    EXPECT_GE(script_count, 5U);
}

}  // namespace
}  // namespace ringfort::raft

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    ringfort::raft::rewrite = argc > 1 && std::strcmp(argv[1], "--rewrite") == 0;
    return RUN_ALL_TESTS();
}
