// The exact text of each reply in each form. They are etcdctl's: scripts read them.
#include "printer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ringctl {
namespace {

using namespace ringfort;

std::unique_ptr<Printer> printer(Form form, bool hex = false, bool value_only = false) {
    return make_printer({.form = form, .hex = hex, .value_only = value_only});
}

Header header() {
    return {.cluster_id = 0xabc, .member_id = 0xdef, .revision = 42, .raft_term = 3, .domain = 1};
}

KeyValue pair(std::string key, std::string value) {
    KeyValue kv;
    kv.key = std::move(key);
    kv.create_revision = 40;
    kv.mod_revision = 41;
    kv.version = 2;
    kv.value = std::move(value);
    return kv;
}

GetReply two_keys() {
    GetReply reply;
    reply.header = header();
    reply.kvs = {pair("a", "1"), pair("b", "")};
    reply.more = true;
    reply.count = 7;
    return reply;
}

const std::string fields_head = "\"ClusterID\" : 2748\n\"MemberID\" : 3567\n\"Revision\" : 42\n\"RaftTerm\" : 3\n";
const std::string json_head = R"({"header":{"cluster_id":2748,"member_id":3567,"revision":42,"raft_term":3})";

TEST(PrinterGet, simple_is_key_and_value_on_lines) {
    EXPECT_EQ(printer(Form::simple)->get(two_keys()), "a\n1\nb\n\n");
    EXPECT_EQ(printer(Form::simple, false, true)->get(two_keys()), "1\n\n");
    EXPECT_EQ(printer(Form::simple, true)->get(two_keys()), "\\x61\n\\x31\n\\x62\n\n");
    EXPECT_EQ(printer(Form::simple)->get({}), "");
}

TEST(PrinterGet, json_has_base64_and_leaves_out_what_is_zero) {
    EXPECT_EQ(printer(Form::json)->get(two_keys()),
              json_head + R"(,"kvs":[{"key":"YQ==","create_revision":40,"mod_revision":41,"version":2,"value":"MQ=="},)"
                          R"({"key":"Yg==","create_revision":40,"mod_revision":41,"version":2}],"more":true,"count":7})"
                          "\n");
    GetReply none;
    none.header = header();
    EXPECT_EQ(printer(Form::json)->get(none), json_head + "}\n");
}

TEST(PrinterGet, json_names_a_domain_only_where_it_is_not_the_first) {
    GetReply reply;
    reply.header = header();
    reply.header.domain = 2;
    EXPECT_NE(printer(Form::json)->get(reply).find(R"("domain":2)"), std::string::npos);
}

TEST(PrinterGet, fields_are_one_a_line_and_quoted) {
    GetReply reply = two_keys();
    reply.kvs = {pair("a\n", "\xff")};
    EXPECT_EQ(printer(Form::fields)->get(reply),
              fields_head + "\"Key\" : \"a\\n\"\n\"CreateRevision\" : 40\n\"ModRevision\" : 41\n\"Version\" : 2\n"
                            "\"Value\" : \"\\xff\"\n\"Lease\" : 0\n\"More\" : true\n\"Count\" : 7\n");
}

TEST(PrinterPut, ok_and_what_was_there_before) {
    PutReply reply;
    reply.header = header();
    EXPECT_EQ(printer(Form::simple)->put(reply), "OK\n");
    EXPECT_EQ(printer(Form::json)->put(reply), json_head + "}\n");
    EXPECT_EQ(printer(Form::fields)->put(reply), fields_head);
    reply.prev_kv = pair("k", "old");
    EXPECT_EQ(printer(Form::simple)->put(reply), "OK\nk\nold\n");
    EXPECT_EQ(printer(Form::json)->put(reply),
              json_head + R"(,"prev_kv":{"key":"aw==","create_revision":40,"mod_revision":41,"version":2,"value":"b2xk"}})"
                          "\n");
    EXPECT_EQ(printer(Form::fields)->put(reply),
              fields_head + "\"PrevKey\" : \"k\"\n\"PrevCreateRevision\" : 40\n\"PrevModRevision\" : 41\n"
                            "\"PrevVersion\" : 2\n\"PrevValue\" : \"old\"\n\"PrevLease\" : 0\n");
}

TEST(PrinterDelete, count_and_what_was_deleted) {
    DeleteReply reply;
    reply.header = header();
    EXPECT_EQ(printer(Form::simple)->del(reply), "0\n");
    EXPECT_EQ(printer(Form::json)->del(reply), json_head + "}\n");
    reply.deleted = 1;
    reply.prev_kvs = {pair("k", "v")};
    EXPECT_EQ(printer(Form::simple)->del(reply), "1\nk\nv\n");
    EXPECT_EQ(printer(Form::json)->del(reply),
              json_head + R"(,"deleted":1,"prev_kvs":[{"key":"aw==","create_revision":40,"mod_revision":41,"version":2,)"
                          R"("value":"dg=="}]})" "\n");
    EXPECT_EQ(printer(Form::fields)->del(reply).substr(fields_head.size(), 29), "\"Deleted\" : 1\n\"PrevKey\" : \"k\"");
}

TEST(PrinterTxn, success_or_failure_and_each_reply_behind_a_blank_line) {
    TxnReply reply;
    reply.header = header();
    EXPECT_EQ(printer(Form::simple)->txn(reply), "FAILURE\n");
    EXPECT_EQ(printer(Form::json)->txn(reply), json_head + "}\n");
    reply.succeeded = true;
    GetReply get;
    get.header.revision = 42;
    get.kvs = {pair("a", "1")};
    get.count = 1;
    TxnReply nested;
    nested.replies = {PutReply()};
    reply.replies = {get, PutReply(), DeleteReply(), nested};
    EXPECT_EQ(printer(Form::simple)->txn(reply), "SUCCESS\n\na\n1\n\nOK\n\n0\n\nFAILURE\n\nOK\n");
    EXPECT_EQ(printer(Form::json)->txn(reply),
              json_head + R"(,"succeeded":true,"responses":[)"
                          R"({"Response":{"ResponseRange":{"header":{"revision":42},)"
                          R"("kvs":[{"key":"YQ==","create_revision":40,)"
                          R"("mod_revision":41,"version":2,"value":"MQ=="}],"count":1}}},)"
                          R"({"Response":{"ResponsePut":{"header":{}}}},{"Response":{"ResponseDeleteRange":{"header":{}}}},)"
                          R"({"Response":{"ResponseTxn":{"header":{},)"
                          R"("responses":[{"Response":{"ResponsePut":{"header":{}}}}]}}}]})"
                          "\n");
    EXPECT_EQ(printer(Form::fields)->txn({.header = header(), .succeeded = true, .replies = {}}),
              fields_head + "\"Succeeded\" : true\n");
}

TEST(PrinterTable, has_no_form_for_keys) {
    EXPECT_FALSE(printer(Form::table)->prints_keys());
    for (const Form form : {Form::simple, Form::json, Form::fields}) {
        EXPECT_TRUE(printer(form)->prints_keys());
    }
}

// ---------------------------------------------------------------------------------------------- the cluster

MemberListReply members() {
    MemberListReply reply;
    reply.header = header();
    reply.header.revision = 0;
    reply.members = {{.id = 0x1a,
                      .name = "n1",
                      .peer_urls = {"http://a:1", "http://b:1"},
                      .client_urls = {"http://a:2"},
                      .is_learner = false},
                     {.id = 0x2b, .name = "", .peer_urls = {"http://c:1"}, .client_urls = {}, .is_learner = true}};
    return reply;
}

TEST(PrinterMembers, simple_table_json_and_fields) {
    EXPECT_EQ(printer(Form::simple)->members(members()),
              "1a, started, n1, http://a:1,http://b:1, http://a:2, false\n2b, unstarted, , http://c:1, , true\n");
    EXPECT_EQ(printer(Form::table)->members(members()),
              "+----+-----------+------+-----------------------+--------------+------------+\n"
              "| ID |  STATUS   | NAME |      PEER ADDRS       | CLIENT ADDRS | IS LEARNER |\n"
              "+----+-----------+------+-----------------------+--------------+------------+\n"
              "| 1a |   started |   n1 | http://a:1,http://b:1 |   http://a:2 |      false |\n"
              "| 2b | unstarted |      |            http://c:1 |              |       true |\n"
              "+----+-----------+------+-----------------------+--------------+------------+\n");
    EXPECT_EQ(printer(Form::json)->members(members()),
              R"({"header":{"cluster_id":2748,"member_id":3567,"raft_term":3},"members":[)"
              R"({"ID":26,"name":"n1","peerURLs":["http://a:1","http://b:1"],"clientURLs":["http://a:2"]},)"
              R"({"ID":43,"peerURLs":["http://c:1"],"isLearner":true}]})" "\n");
    EXPECT_EQ(printer(Form::fields)->members(members()),
              "\"ClusterID\" : 2748\n\"MemberID\" : 3567\n\"Revision\" : 0\n\"RaftTerm\" : 3\n"
              "\"ID\" : 26\n\"Name\" : \"n1\"\n\"PeerURL\" : \"http://a:1\"\n\"PeerURL\" : \"http://b:1\"\n"
              "\"ClientURL\" : \"http://a:2\"\n\"IsLearner\" : false\n\n"
              "\"ID\" : 43\n\"Name\" : \"\"\n\"PeerURL\" : \"http://c:1\"\n\"IsLearner\" : true\n\n");
}

TEST(PrinterMembers, hex_writes_ids_as_hexadecimal_text) {
    EXPECT_EQ(printer(Form::json, true)->members(members()).find(
                  R"({"header":{"cluster_id":"abc","member_id":"def","raft_term":3},"members":[{"ID":"1a",)"), 0U);
    EXPECT_EQ(printer(Form::fields, true)->members(members()).find("\"ClusterID\" : abc\n\"MemberID\" : def\n"), 0U);
}

TEST(PrinterHealth, healthy_and_not) {
    const std::vector<EndpointHealth> health{
        {.endpoint = "a:1", .healthy = true, .took_ns = 2'345'678, .error = ""},
        {.endpoint = "b:2", .healthy = false, .took_ns = 743'152, .error = "no leader"}};
    EXPECT_EQ(printer(Form::simple)->health(health),
              "a:1 is healthy: successfully committed proposal: took = 2.345678ms\n"
              "b:2 is unhealthy: failed to commit proposal: no leader\n");
    EXPECT_EQ(printer(Form::json)->health(health),
              R"([{"endpoint":"a:1","health":true,"took":"2.345678ms"},)"
              "{\"endpoint\":\"b:2\",\"health\":false,\"took\":\"743.152\u00b5s\",\"error\":\"no leader\"}]\n");
    EXPECT_EQ(printer(Form::fields)->health(health),
              "\"Endpoint\" : \"a:1\"\n\"Health\" : true\n\"Took\" : 2.345678ms\n\"Error\" : \n\n"
              "\"Endpoint\" : \"b:2\"\n\"Health\" : false\n\"Took\" : 743.152\u00b5s\n\"Error\" : no leader\n\n");
    EXPECT_EQ(printer(Form::table)->health(health),
              "+----------+--------+------------+-----------+\n"
              "| ENDPOINT | HEALTH |    TOOK    |   ERROR   |\n"
              "+----------+--------+------------+-----------+\n"
              "|      a:1 |   true | 2.345678ms |           |\n"
              "|      b:2 |  false |  743.152\u00b5s | no leader |\n"
              "+----------+--------+------------+-----------+\n");
}

EndpointStatus status() {
    EndpointStatus one;
    one.endpoint = "a:1";
    one.status.header = header();
    one.status.version = "0.1.0";
    one.status.memory_bytes = 20'480;
    one.status.memory_quota_bytes = 1'000'000;
    one.status.log_bytes_written = 11;
    one.status.log_entry_bytes = 12;
    one.status.log_flushes = 13;
    one.status.cpu_us = 14;
    one.status.resident_bytes = 15;
    RangeStatus directory;
    directory.leader = 0x999;
    RangeStatus range;
    range.range = 1;
    range.domain = 1;
    range.begin = "a";
    range.leader = 0xdef;
    range.raft_term = 3;
    range.commit_index = 100;
    range.applied_index = 99;
    range.revision = 42;
    one.status.ranges = {directory, range};
    return one;
}

TEST(PrinterStatus, speaks_of_the_range_behind_the_directory) {
    EXPECT_EQ(printer(Form::simple)->status({status()}), "a:1, def, 0.1.0, 20 kB, true, false, 3, 100, 99, \n");
    EndpointStatus follower = status();
    follower.status.ranges[1].leader = 0x77;
    follower.status.errors = {"disk is slow", "clock"};
    follower.is_learner = true;
    EXPECT_EQ(printer(Form::simple)->status({follower}),
              "a:1, def, 0.1.0, 20 kB, false, true, 3, 100, 99, disk is slow, clock\n");
    EndpointStatus empty = status();
    empty.status.ranges.clear();
    EXPECT_EQ(printer(Form::simple)->status({empty}), "a:1, def, 0.1.0, 20 kB, false, false, 0, 0, 0, \n");
    const std::string rule = "+----------+-----+---------+---------+-----------+------------+"
                             "-----------+------------+--------------------+--------+\n";
    EXPECT_EQ(printer(Form::table)->status({status()}),
              rule + "| ENDPOINT | ID  | VERSION | DB SIZE | IS LEADER | IS LEARNER |"
                     " RAFT TERM | RAFT INDEX | RAFT APPLIED INDEX | ERRORS |\n" +
                  rule + "|      a:1 | def |   0.1.0 |   20 kB |      true |      false |"
                         "         3 |        100 |                 99 |        |\n" + rule);
    EXPECT_EQ(printer(Form::fields)->status({status()}),
              fields_head + "\"Version\" : \"0.1.0\"\n\"DBSize\" : 20480\n\"DBSizeInUse\" : 20480\n"
                            "\"DBSizeQuota\" : 1000000\n"
                            "\"Leader\" : 3567\n\"IsLearner\" : false\n\"RaftIndex\" : 100\n\"RaftTerm\" : 3\n"
                            "\"RaftAppliedIndex\" : 99\n\"Errors\" : []\n\"Endpoint\" : \"a:1\"\n\n");
}

TEST(PrinterStatus, json_has_etcds_names_and_the_figures_that_measuring_tools_read) {
    const auto json = nlohmann::json::parse(printer(Form::json)->status({status()}));
    ASSERT_EQ(json.size(), 1U);
    EXPECT_EQ(json[0]["Endpoint"], "a:1");
    const auto& one = json[0]["Status"];
    EXPECT_EQ(one["header"]["member_id"], 0xdef);
    EXPECT_EQ(one["leader"], 0xdef);
    EXPECT_EQ(one["dbSize"], 20'480);
    EXPECT_EQ(one["raftIndex"], 100);
    EXPECT_EQ(one["raftAppliedIndex"], 99);
    EXPECT_EQ(one["raftTerm"], 3);
    EXPECT_EQ(one["version"], "0.1.0");
    EXPECT_EQ(one["memory_bytes"], 20'480);
    EXPECT_EQ(one["log_bytes_written"], 11);
    EXPECT_EQ(one["log_entry_bytes"], 12);
    EXPECT_EQ(one["log_flushes"], 13);
    EXPECT_EQ(one["cpu_us"], 14);
    EXPECT_EQ(one["resident_bytes"], 15);
    ASSERT_EQ(one["ranges"].size(), 2U);
    EXPECT_EQ(one["ranges"][1]["begin"], "YQ==");
    EXPECT_EQ(one["ranges"][1]["revision"], 42);
    EXPECT_EQ(printer(Form::json)->status({}), "[]\n");
}

TEST(PrinterStatus, json_survives_text_that_is_no_utf8) {
    EndpointStatus one = status();
    one.status.errors = {"\xff\xfe"};
    one.status.version = "\xc3";
    EXPECT_TRUE(nlohmann::json::accept(printer(Form::json)->status({one})));
}

TEST(PrinterHash, every_form_is_etcdctls) {
    const EndpointHash one{
        .endpoint = "a:1",
        .hash = {.header = header(), .hash = 18'446'744'073'709'551'615U, .compact_revision = 7, .hash_revision = 41}};
    EXPECT_EQ(printer(Form::simple)->hashes({one, one}),
              "a:1, 18446744073709551615, 41\na:1, 18446744073709551615, 41\n");
    const std::string rule = "+----------+----------------------+---------------+\n";
    EXPECT_EQ(printer(Form::table)->hashes({one}), rule + "| ENDPOINT |         HASH         | HASH REVISION |\n" + rule +
                                                       "|      a:1 | 18446744073709551615 |            41 |\n" + rule);
    EXPECT_EQ(printer(Form::json)->hashes({one}),
              "[{\"Endpoint\":\"a:1\",\"HashKV\":" + json_head +
                  ",\"hash\":18446744073709551615,\"compact_revision\":7,\"hash_revision\":41}}]\n");
    EXPECT_EQ(printer(Form::fields)->hashes({one}),
              fields_head + "\"Endpoint\" : \"a:1\"\n\"Hash\" : 18446744073709551615\n\"HashRevision\" : 41\n"
                            "\"CompactRevision\" : 7\n\n");
}

TEST(PrinterAlarm, every_form_is_etcdctls) {
    const AlarmReply none{.header = header(), .alarms = {}};
    AlarmReply two = none;
    two.alarms = {{.member_id = 7, .type = AlarmType::nospace}, {.member_id = 8, .type = AlarmType::corrupt}};
    for (const Form form : {Form::simple, Form::table}) {
        EXPECT_EQ(printer(form)->alarms(none), "");
        EXPECT_EQ(printer(form)->alarms(two), "memberID:7 alarm:NOSPACE\nmemberID:8 alarm:CORRUPT\n");
    }
    EXPECT_EQ(printer(Form::json)->alarms(none), json_head + "}\n");
    EXPECT_EQ(printer(Form::json)->alarms(two),
              json_head + ",\"alarms\":[{\"memberID\":7,\"alarm\":1},{\"memberID\":8,\"alarm\":2}]}\n");
    EXPECT_EQ(printer(Form::fields)->alarms(two), fields_head + "\"MemberID\" : 7\n\"AlarmType\" : NOSPACE\n\n"
                                                                "\"MemberID\" : 8\n\"AlarmType\" : CORRUPT\n\n");
}

TEST(PrinterWatch, fields_are_etcdctls) {
    KeyValue one, two, gone;
    one.key = two.key = gone.key = "k";
    one.create_revision = one.mod_revision = two.create_revision = 2;
    one.version = 1;
    one.value = "one";
    two.mod_revision = 3;
    two.version = 2;
    two.value = "two";
    gone.mod_revision = 4;
    WatchReply told{.header = header(), .events = {{EventType::put, two, one}, {EventType::remove, gone, {}}}};
    EXPECT_EQ(printer(Form::fields)->watch(told),
              fields_head + "\"Type\" : PUT\n\"PrevKey\" : \"k\"\n\"PrevCreateRevision\" : 2\n\"PrevModRevision\" : 2\n"
                            "\"PrevVersion\" : 1\n\"PrevValue\" : \"one\"\n\"PrevLease\" : 0\n\"Key\" : \"k\"\n"
                            "\"CreateRevision\" : 2\n\"ModRevision\" : 3\n\"Version\" : 2\n\"Value\" : \"two\"\n"
                            "\"Lease\" : 0\n\"Type\" : DELETE\n\"Key\" : \"k\"\n\"CreateRevision\" : 0\n"
                            "\"ModRevision\" : 4\n\"Version\" : 0\n\"Value\" : \"\"\n\"Lease\" : 0\n");
    told.events.clear();
    EXPECT_EQ(printer(Form::fields)->watch(told), "progress notify: 42\n" + fields_head);
}

TEST(PrinterLease, simple_is_etcdctls_sentences) {
    const auto simple = printer(Form::simple);
    EXPECT_EQ(simple->lease_grant({.header = header(), .id = 0x1a2b, .ttl = 60}),
              "lease 0000000000001a2b granted with TTL(60s)\n");
    EXPECT_EQ(simple->lease_revoke(0x1a2b, {}), "lease 0000000000001a2b revoked\n");
    EXPECT_EQ(simple->lease_keep_alive(0x1a2b, 60, {}), "lease 0000000000001a2b keepalived with TTL(60)\n");
    const LeaseTimeToLiveReply there{.header = {}, .id = 0x1a2b, .ttl = 7, .granted_ttl = 60, .keys = {"a", "b"}};
    EXPECT_EQ(simple->lease_time_to_live(there, false), "lease 0000000000001a2b granted with TTL(60s), remaining(7s)\n");
    EXPECT_EQ(simple->lease_time_to_live(there, true),
              "lease 0000000000001a2b granted with TTL(60s), remaining(7s), attached keys([a b])\n");
    EXPECT_EQ(simple->lease_time_to_live({.header = {}, .id = 0x1a2b, .ttl = -1}, true),
              "lease 0000000000001a2b already expired\n");
    EXPECT_EQ(simple->lease_list({.header = {}, .ids = {1, 0x1a2b}}),
              "found 2 leases\n0000000000000001\n0000000000001a2b\n");
}

TEST(PrinterLease, json_and_fields_have_the_header_beside_the_rest) {
    const std::string head = R"({"cluster_id":2748,"member_id":3567,"revision":42,"raft_term":3,)";
    const auto json = printer(Form::json);
    EXPECT_EQ(json->lease_grant({.header = header(), .id = 7, .ttl = 60}), head + "\"ID\":7,\"TTL\":60,\"Error\":\"\"}\n");
    EXPECT_EQ(json->lease_revoke(7, {.header = header()}), json_head + "}\n");
    EXPECT_EQ(json->lease_keep_alive(7, 60, {.header = header(), .ttls = {60}}), head + "\"ID\":7,\"TTL\":60}\n");
    LeaseTimeToLiveReply there{.header = header(), .id = 7, .ttl = 5, .granted_ttl = 60, .keys = {"a"}};
    EXPECT_EQ(json->lease_time_to_live(there, true), head + R"("id":7,"ttl":5,"granted-ttl":60,"keys":["YQ=="]})" + "\n");
    there.keys.clear();
    EXPECT_EQ(json->lease_time_to_live(there, true), head + R"("id":7,"ttl":5,"granted-ttl":60,"keys":null})" + "\n");
    EXPECT_EQ(json->lease_list({.header = header(), .ids = {7}}), head + R"("leases":[{"id":7}]})" + "\n");

    const auto fields = printer(Form::fields);
    EXPECT_EQ(fields->lease_grant({.header = header(), .id = 7, .ttl = 60}), fields_head + "\"ID\" : 7\n\"TTL\" : 60\n");
    EXPECT_EQ(fields->lease_list({.header = header(), .ids = {7, 8}}), fields_head + "\"ID\" : 7\n\"ID\" : 8\n");
    EXPECT_EQ(printer(Form::fields, true)->lease_keep_alive(0x1a2b, 60, {}).find("\"ID\" : 0000000000001a2b") !=
                  std::string::npos,
              true);
}

}  // namespace
}  // namespace ringctl
