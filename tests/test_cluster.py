"""What Slurm is asked, and what is made of its answers; those of a real one are in ``test_slurm.py``."""

import pytest
from backends import once

from experiments.engines import cluster
from experiments.engines.cluster import Settings

pytestmark = once


@pytest.mark.parametrize(
    ("line", "largest"),
    [("MaxArraySize            = 1001", 1000), ("MaxArraySize = 1", 1), ("MaxArraySize = 0", 1), ("", 1)],
)
def test_arrays_are_below_the_clusters_size(line, largest):
    assert cluster.read_largest_array(f"MaxJobCount             = 10000\n{line}\nMinJobAge = 300 sec") == largest


def test_options_of_sbatch():
    assert cluster.read_options("account=x,mem=8G") == {"account": "x", "mem": "8G"}
    assert cluster.read_options("nodelist=a,b[1-3],cpus_per_task=4") == {"nodelist": "a,b[1-3]", "cpus-per-task": "4"}
    assert cluster.read_options("gres=gpu:a100:1,export=ALL,A=1") == {"gres": "gpu:a100:1", "export": "ALL", "A": "1"}
    settings = Settings("main", 2, 30, {"mem": "8G"})
    assert settings.of_sbatch() == {"time": "30", "mem": "8G", "partition": "main", "gpus-per-node": "2"}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30:00", 30), ("2:00:00", 120), ("1-12:00:00", 2160), ("infinite", float("inf")), ("n/a", float("inf"))],
)
def test_time_limits_of_partitions(text, minutes):
    assert cluster.read_minutes(text) == minutes
