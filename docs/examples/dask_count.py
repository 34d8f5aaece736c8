"""
Counts more projects than one machine should, on Dask: one client per worker process, and no coordinator.

    python dask_count.py "Col('score') < 2" --workers 4 < project_ids.txt > counts.csv

Each client learns from the answers how much it may send, and so they share the service's limit.
"""

import argparse
import asyncio
import csv
import sys
import threading

from distributed import Client, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker

from galileo_sessions import CountQuery, CountResult, GalileoSessions, parse_filter


class Galileo(WorkerPlugin):
    """Keeps a client and its event loop for the life of a worker: tasks run in threads, which have no loop."""

    def setup(self, worker: Worker) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="galileo", daemon=True)
        self.thread.start()
        self.client = GalileoSessions()  # each worker's environment has the key: clients don't travel, queries do

    def teardown(self, worker: Worker) -> None:
        asyncio.run_coroutine_threadsafe(self.client.close(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def count(queries: list[CountQuery]) -> tuple[CountResult, ...]:
    galileo = get_worker().plugins["galileo"]
    return asyncio.run_coroutine_threadsafe(galileo.client.count_all(queries), galileo.loop).result().results


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts many projects on a Dask cluster.")
    parser.add_argument("where", type=parse_filter, help="such as \"Col('score') < 2\"")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default: 4)")
    asked = parser.parse_args()
    queries = [CountQuery(line.strip(), asked.where) for line in sys.stdin if line.strip()]
    chunks = [queries[i : i + 250] for i in range(0, len(queries), 250)]
    failed, rows = 0, csv.writer(sys.stdout)
    cluster = LocalCluster(n_workers=asked.workers, threads_per_worker=2, dashboard_address=None)
    with cluster, Client(cluster) as dask:
        dask.register_plugin(Galileo(), "galileo")
        for _, results in as_completed(dask.map(count, chunks, pure=False), with_results=True):
            failed += sum(not result.ok for result in results)
            rows.writerows([result.query.project_id, result.total_count, result.error] for result in results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
