"""A table whose rows are shared out over two processes learns what one in one piece learns."""

import subprocess
import sys


def test_two_processes_hold_half_of_the_rows_each_and_have_the_same_bits() -> None:
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    shared = ["-m", "tests.bench.sharded_tables", "--rows", "101", "--steps", "5"]
    done = subprocess.run([*two, *shared], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = sorted(line.split(";")[0] for line in done.stdout.splitlines())
    assert told == ["process 0: 51 of 101 rows, 0 MB", "process 1: 50 of 101 rows, 0 MB"]
    assert done.stdout.count("the same bits as one piece") == 2
