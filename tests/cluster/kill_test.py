"""Nodes killed and paused under load: nothing acknowledged is lost, nothing stale is read."""
import subprocess
import time

from cluster_case import CALM, FOR_LONG, GAP_AFTER_KILL_MS, GAP_AFTER_PAUSE_MS, ClusterCase, alone
from processes import wait_until

ELECTION_TIMEOUT_MS = 1000


class Kill(ClusterCase):
    @alone
    def test_leader_killed_under_load_loses_no_acknowledged_write(self):
        cluster = self.cluster()

        def kill_and_start():
            leader = cluster.wait_leader()
            leader.kill()
            cluster.wait_leader(self.without(cluster, leader))
            cluster.start(leader)
            cluster.wait_ready([leader])

        def one_round(name):
            gap, result = self.gap_around(cluster, name, kill_and_start)
            self.note(f"{name}: {result['per_second']:,.0f} puts/s, {result['failed']} failed or unknown")
            return gap

        self.best_gap(GAP_AFTER_KILL_MS, one_round)
        self.same_state(cluster)

    def test_all_nodes_killed_at_once_under_load_and_restarted(self):
        cluster = self.cluster()
        load = self.load(cluster, seconds=FOR_LONG, history=True)
        self.let_run(load, 2)
        for node in cluster.nodes:
            node.process.kill()
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        cluster.wait_ready()
        load.stop()
        load.result()
        self.verify_load(load)
        self.put(cluster, "after", "all died")

    def test_what_clients_are_told_on_days_with_kills_and_pauses_is_as_promised(self):
        cluster = self.cluster()
        historian = self.historian(cluster, ["--live"])
        self.let_run(historian, 1)
        for _ in range(2):
            killed = self.kill_leader_after(cluster, historian, 1)
            paused = cluster.wait_leader(self.without(cluster, killed))
            cluster.start(killed)
            cluster.wait_ready([killed])
            paused.pause()
            cluster.wait_leader(self.without(cluster, paused))
            self.let_run(historian, 1)
            paused.resume()
            cluster.wait_ready()
        for node in cluster.nodes:
            node.process.kill()
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        cluster.wait_ready()
        wait_until(lambda: not historian.running() or historian.live().get("answered", 0) >= 1500, 120,
                   lambda: f"much is answered: {historian.live()}")
        self.assertTrue(historian.running(), "it ended early")
        figures = historian.judge(seconds=300)
        self.note(figures["line"])
        for kind in ("writes", "reads", "events told"):
            self.assertGreater(figures[kind], 300, figures["line"])
        for kind in ("marks", "resumptions", "renewals", "leases expired"):
            self.assertGreater(figures[kind], 0, figures["line"])
        self.same_state(cluster)
        if not figures["told"]:
            self.skipTest("nothing bad was found, but there were too many writes of unknown outcome to try all orders")
        self.assertGreater(figures["lease ends with keys"], 0, figures["line"])

    def test_follower_killed_and_back_sees_what_it_missed(self):
        cluster = self.cluster(extra=CALM)
        victim = cluster.followers()[0]
        victim.kill()
        others = self.without(cluster, victim)
        load = self.load(cluster, endpoints=",".join(node.client for node in others), seconds=3, history=True)
        self.assertEqual(load.result()["failed"], 0)
        self.put(cluster, "missed", "yes", endpoints=others[0].client)
        cluster.start(victim)
        cluster.wait_ready([victim])
        self.assertEqual(self.get(cluster, "missed", endpoints=victim.client), "yes")
        wait_until(lambda: self.own_copy(cluster, "missed", victim) == "yes", 30, "the follower's own copy catches up")
        self.verify_load(load)

    def test_leader_paused_and_continued_answers_no_stale_linearizable_read(self):
        cluster = self.cluster(extra=["--election-timeout", str(ELECTION_TIMEOUT_MS)])
        for round_number in range(3):
            self.put(cluster, "x", f"old{round_number}")
            paused = cluster.wait_leader()
            other = self.without(cluster, paused)[0]
            paused.pause()
            begin = time.monotonic()
            put = ["put", "x", f"new{round_number}"]
            wait_until(lambda p=put, o=other: cluster.ctl(*p, endpoints=o.client)[0] == 0, 30, "writes resume")
            self.note(f"round {round_number + 1}: writes resumed {time.monotonic() - begin:.2f} s after the pause")
            # The paused node gets the question before it learns what it slept through.
            command = [str(self.programs["ringctl"]), "--endpoints", paused.client, "get", "x", "--print-value-only"]
            question = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(question.kill)
            wait_until(lambda n=paused: cluster.unread_by(n), 20, "the question is there")
            paused.resume()
            answer, error = question.communicate(timeout=30)
            self.assertIn((question.returncode, answer), [(0, f"new{round_number}\n"), (1, "")], f"{answer} {error}")
            cluster.wait_ready([paused])
            self.assertEqual(self.get(cluster, "x", endpoints=paused.client), f"new{round_number}")

    def test_leader_paused_under_load_and_back(self):
        cluster = self.cluster()

        def pause_and_resume():
            paused = cluster.wait_leader()
            paused.pause()
            cluster.wait_leader(self.without(cluster, paused))
            time.sleep(2)   # what it slept through is the condition itself
            paused.resume()
            cluster.wait_ready()

        self.best_gap(GAP_AFTER_PAUSE_MS, lambda name: self.gap_around(cluster, name, pause_and_resume)[0])

    def test_two_of_three_paused_means_no_answer_and_then_service_again(self):
        cluster = self.cluster()
        self.put(cluster, "before", "1")
        leader = cluster.wait_leader()
        others = self.without(cluster, leader)
        for node in others:
            node.pause()
        code, output, _ = cluster.ctl("--command-timeout=3s", "put", "alone", "1", endpoints=leader.client)
        self.assertNotEqual(code, 0, f"a write was acknowledged without a majority: {output}")
        code, output, _ = cluster.ctl("--command-timeout=3s", "get", "before", endpoints=leader.client)
        self.assertNotEqual(code, 0, f"a linearizable read was answered without a majority: {output}")
        for node in others:
            node.resume()
        cluster.wait_ready()
        self.put(cluster, "together", "1")

    def kill_leader_after(self, cluster, load, seconds):
        self.let_run(load, seconds)
        leader = cluster.wait_leader()
        leader.kill()
        return leader
