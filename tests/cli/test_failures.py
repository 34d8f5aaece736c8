"""Failures are reported in the end: three of each kind, and how many more there are."""

from support.processes import IDS, WHERE, objects


async def test_a_failure_is_reported_with_its_reason(server, run):
    """On stderr with all lines of its text; the other counts go on, and the exit status is 1."""
    server.fail_next(422, body={"detail": [{"loc": ["body", "filter_tree"], "msg": "not yours", "type": "x"}]})
    status, out, err = await run("count", *IDS[:2], "--concurrency", "1", "--where", WHERE)
    _, failed, counted = out.splitlines()
    assert status == 1
    assert failed == f"{IDS[0]}          failed  ValidationError"
    assert counted.split()[0] == IDS[1]
    first, *more, last = err.splitlines()
    assert first.startswith(f"{IDS[0]}: 422")
    assert all(line.startswith("  ") for line in more)
    assert "not yours" in err
    assert last == f"1 of 2 projects counted, 1 failed, {counted.split()[1]} sessions"


async def test_failures_that_are_alike_are_summed_up(server, run):
    """Three of each type and status are shown, all are counted, and none is left out of the rows."""
    server.fail_next(404, times=5)
    server.fail_next(400, body="no", times=1)
    status, out, err = await run("count", *IDS, "--concurrency", "1", "--format", "json")
    errors = [row for row in objects(out) if "error" in row]
    assert (status, [row["project_id"] for row in errors]) == (1, IDS[:6])
    assert errors[5]["error"]["type"] == "ResponseError"
    assert errors[5]["error"]["message"].startswith("400")
    *first, other, more, total = err.splitlines()
    assert [line.partition(":")[0] for line in (*first, other)] == [*IDS[:3], IDS[5]]
    assert more == "2 more counts failed with NotFoundError; --errors FILE writes all of them"
    assert total.startswith("6 of 12 projects counted, 6 failed, ")


async def test_all_failures_are_in_a_file(server, run, tmp_path):
    """As JSON lines, also if an error ends it all; a file that can't be written is bad usage."""
    file = tmp_path / "errors.jsonl"
    server.fail_next(404, times=5)
    await run("count", *IDS, "--concurrency", "1", "--errors", str(file))
    rows = objects(file.read_text())
    assert [row["project_id"] for row in rows] == IDS[:5]
    assert rows[0]["error"]["type"] == "NotFoundError"
    server.fail_next(404)
    server.fail_next(401)
    status, _, _ = await run("count", *IDS, "--concurrency", "1", "--errors", str(file))
    assert (status, [row["error"]["type"] for row in objects(file.read_text())]) == (
        1,
        ["NotFoundError", "AuthenticationError"],
    )
    server.fail_next(404)
    await run("count", *IDS, "--concurrency", "1", "--fail-fast", "--errors", str(file))
    assert [row["project_id"] for row in objects(file.read_text())] == IDS[:1]
    status, _, _ = await run("count", *IDS, "-w", "scor < 2", "--check", "--fail-fast", "--errors", str(file))
    assert (status, [row["error"]["type"] for row in objects(file.read_text())]) == (2, ["FilterCheckError"])
    status, _, _ = await run("count", "Nobody's", "--errors", str(file))
    assert (status, file.read_text()) == (2, "")  # nothing came from the service that failed
    assert (await run("count", IDS[0], "--errors", str(tmp_path / "no" / "file"))).status == 2
