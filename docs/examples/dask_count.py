"""Counts on Dask, with a client per process: `python dask_count.py "score < 2" < ids > counts`."""

import argparse
import asyncio
import csv
import sys
import threading
from typing import Any

import distributed

from galileo_sessions import CountResult, Filter, GalileoSessions, parse_filter

dask: Any = distributed  # most of it has no types


class Galileo(distributed.WorkerPlugin):
    """Keeps a client and its event loop for the life of a worker: tasks run in threads."""

    def setup(self, worker: distributed.Worker) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="galileo", daemon=True)
        self.thread.start()
        self.client = GalileoSessions()  # the worker's environment has the key

    def teardown(self, worker: distributed.Worker) -> None:
        asyncio.run_coroutine_threadsafe(self.client.close(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def count(ids: list[str], where: Filter) -> tuple[CountResult, ...]:
    galileo: Galileo = dask.get_worker().plugins["galileo"]
    counting = galileo.client.count_all(ids, where)
    return asyncio.run_coroutine_threadsafe(counting, galileo.loop).result().results


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts the projects whose ids stdin has.")
    parser.add_argument("where", type=parse_filter, help="such as 'score < 2'")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default: 4)")
    asked = parser.parse_args()
    ids = [line.strip() for line in sys.stdin if line.strip()]
    chunks = [ids[i : i + 250] for i in range(0, len(ids), 250)]
    failed, rows = 0, csv.writer(sys.stdout)
    cluster = dask.LocalCluster(asked.workers, threads_per_worker=2, dashboard_address=None)
    with cluster, dask.Client(cluster) as client:
        client.register_plugin(Galileo(), "galileo")
        counting = client.map(count, chunks, where=asked.where, pure=False)
        for _, results in dask.as_completed(counting, with_results=True):
            for each in results:
                failed += not each.ok
                rows.writerow([each.target, each.total_count, each.error and each.error.message])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
