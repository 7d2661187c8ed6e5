"""Watches on real processes: over the leader's end, and that of the node they are served by, without a gap or a repeat."""
import base64
import json
import subprocess
import tempfile

from cluster_case import FOR_LONG, ClusterCase
from processes import wait_until

PUTS = 40


class Watch(ClusterCase):
    def watch(self, cluster, *arguments):
        told = tempfile.NamedTemporaryFile("w+")
        self.addCleanup(told.close)
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, "watch", *arguments]
        watcher = subprocess.Popen(command, stdout=told)
        self.addCleanup(lambda: (watcher.kill(), watcher.wait()))
        return told.name

    @staticmethod
    def events(told):
        with open(told, encoding="utf-8") as lines:
            replies = [json.loads(line) for line in lines if line.endswith("\n")]
        return [(event["kv"]["mod_revision"], base64.b64decode(event["kv"].get("value", "")).decode())
                for reply in replies for event in reply["Events"]]

    def test_watches_over_the_leaders_end_tell_every_change_once(self):
        cluster = self.cluster()
        cluster.must_ctl("put", "begin", "x")
        watches = [self.watch(cluster, "w/", "--prefix", "--rev", "1", "-w", "json") for _ in range(3)]
        written = []
        for number in range(PUTS):
            if number == PUTS // 2:
                leader = cluster.wait_leader()
                leader.kill()
                cluster.wait_leader(self.without(cluster, leader))
            cluster.must_ctl("put", f"w/{number % 3}", str(number))
            written.append(str(number))
        cluster.start(leader)
        cluster.wait_ready()
        for told in watches:
            wait_until(lambda told=told: len(self.events(told)) >= PUTS, 20, "everything is told")
            revisions = [revision for revision, _ in self.events(told)]
            self.assertEqual([value for _, value in self.events(told)], written)
            self.assertEqual(revisions, sorted(set(revisions)))
        self.same_state(cluster)

    def test_a_watch_on_a_node_that_stands_still_goes_on_elsewhere(self):
        cluster = self.cluster()
        told = self.watch(cluster, "k", "-w", "json")
        # The watch begins with what comes after it, so that it is there once it told something.
        def watched():
            cluster.ctl("put", "k", "there?")
            return self.events(told)
        wait_until(watched, 20, "the watch is there")
        serving = cluster.nodes[0]
        serving.pause()
        self.addCleanup(serving.resume)
        others = self.without(cluster, serving)
        cluster.wait_leader(others)
        self.put(cluster, "k", "elsewhere", endpoints=",".join(node.client for node in others))
        wait_until(lambda: self.events(told)[-1][1] == "elsewhere", 30, "the watch goes on at another node")
        revisions = [revision for revision, _ in self.events(told)]
        self.assertEqual(revisions, list(range(revisions[0], revisions[0] + len(revisions))))

    def test_watch_runs_a_program_for_each_event_and_prints_as_etcdctl(self):
        cluster = self.cluster()
        program = ["sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY"]
        told = self.watch(cluster, "k", "--rev", "1", "--prev-kv", "--", *program)
        cluster.must_ctl("put", "k", "one")
        cluster.must_ctl("put", "k", "two")
        cluster.must_ctl("del", "k")
        wanted = 'PUT\nk\none\n"PUT" "k"\nPUT\nk\none\nk\ntwo\n"PUT" "k"\nDELETE\nk\ntwo\nk\n\n"DELETE" "k"\n'

        def everything():
            with open(told, encoding="utf-8") as lines:
                return lines.read() == wanted
        wait_until(everything, 10, "the events are printed, and the program was run")

    def test_a_thousand_watches_are_told_every_acknowledged_put_over_a_nodes_end(self):
        cluster = self.cluster()
        load = self.load(cluster, op="watch", connections=9, in_flight=16, seconds=FOR_LONG, keys=10, key_bytes=8,
                         value_bytes=100, extra=["--watch-per-stream", "112", "--rate", "300", "--dial-timeout-ms", "20000"])

        def live_lines():
            return [line for line in load.errors.read_text(encoding="utf-8").splitlines() if "puts/s" in line]
        wait_until(live_lines, 60, "puts are made")
        cluster.nodes[0].kill()
        # The first line after it may be of before.
        seen = len(live_lines()) + 1
        wait_until(lambda: any("  1,008 watches" in line for line in live_lines()[seen:]), 60,
                   lambda: f"all watches are there again: {live_lines()[-3:]}")
        load.stop()
        watched = load.result()
        self.assertEqual(load.process.returncode, 0, watched)
        self.assertEqual((watched["watches"], watched["missing"], watched["ended"]), (1008, 0, 0))
        self.assertGreaterEqual(watched["resumed"], 300)
        self.assertGreater(watched["events"], 10_000)

    def test_interactive_watches_go_on_when_one_of_them_fails(self):
        cluster = self.cluster(extra=["--initial-domains", "m"])
        command = [cluster.programs["ringctl"], "--endpoints", cluster.endpoints, "watch", "-i"]
        with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as told:
            watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, stderr=errors, text=True)
            self.addCleanup(lambda: (watcher.kill(), watcher.wait()))
            watcher.stdin.write("watch a z\nwatch b\n")
            watcher.stdin.flush()

            def said(file):
                file.seek(0)
                return file.read()
            wait_until(lambda: "watch was canceled" in said(errors), 10, "the watch over two domains fails")

            def told_of():
                cluster.ctl("put", "b", "there?")
                return "there?" in said(told)
            wait_until(told_of, 10, "the other one goes on")

    def test_watch_of_what_is_compacted_says_where_one_may_begin(self):
        cluster = self.cluster()
        for number in range(5):
            cluster.must_ctl("put", "k", str(number))
        cluster.must_ctl("compaction", "4")
        for form in ("simple", "json"):
            code, told, error = cluster.ctl("watch", "k", "--rev", "2", "-w", form)
            self.assertEqual(code, 5)
            self.assertIn("required revision has been compacted; the first one kept is 4", error)
            if form == "simple":
                self.assertEqual(told, "")
            else:
                last = json.loads(told)
                self.assertEqual((last["Canceled"], last["CompactRevision"], last["Events"]), (True, 4, []))
