"""The benchmark works, and what it divides by is right. Nothing here is timed."""

import io
import itertools
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import __main__ as command
from benchmarks import (
    backend,
    cases,
    code_maps,
    gpu,
    memory,
    operations,
    products,
    profile,
    results,
    settings,
    table,
    timing,
    worker,
)
from benchmarks.sections import against_torch, coders, step, windows
from experiments import networks
from experiments.config import CONFIGS

ROOT = pathlib.Path(__file__).parents[1]
TINY = cases.Case(8, 2, (4, 6))


def test_sections_are_checked():
    assert command._names("torch,step") == ["torch", "step"]
    with pytest.raises(SystemExit):
        command._parse(["--only=steps"])


def test_a_section_that_fails_loses_no_other(monkeypatch, capsys):
    def load(name):
        def rows(_):
            if name == "step":
                raise RuntimeError("no luck\nat all")
            return [table.Row("fine")]

        return rows

    monkeypatch.setattr(command, "load", load)
    assert command.main(["--toy", "--only=step,data"]) == 1
    whole = capsys.readouterr().out.split("# All\n")[1]
    assert re.search(r"step +\| failed .* RuntimeError: no luck +\|", whole) and "fine" in whole


# Timing


def test_functions_take_turns():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = timing.interleaved(functions, 3, warmups=1)
    assert "".join(calls) == "ab" + "ababab"
    assert [len(values) for values in times.values()] == [3, 3]


def test_ratios_are_taken_within_a_turn():
    times = {"slow": [2.0, 30.0, 4.0, 8.0, 10.0], "base": [1.0, 10.0, 2.0, 2.0, 2.0]}
    assert timing.compare(times, "slow", "base") == (3.0, 2.0, 4.0)
    assert timing.compare(times, "slow", "base").times(0.5) == (1.5, 1.0, 2.0)
    assert timing.compare({"a": [3.0], "b": [2.0]}, "a", "b") == (1.5, 1.5, 1.5)
    assert timing.median(times, "slow") == 8.0


def test_toy_turns_are_few():
    told = []
    calls = []
    toy = settings.Settings(toy=True, say=told.append)
    assert len(toy.measure("this", {"a": lambda: calls.append(1)}, turns=50)["a"]) == 2
    assert len(calls) == 3 and told == ["  this: a"]


# The tables


def test_goals():
    assert table.Goal(at_most=1.3).reached(1.304) and not table.Goal(at_most=1.3).reached(1.31)
    assert table.Goal(at_least=1.0).reached(1.0) and not table.Goal(at_least=1.0).reached(0.99)
    between = table.Goal(at_least=0.85, at_most=1.15)
    assert [between.reached(value) for value in (0.8, 1.0, 1.2)] == [False, True, False]


def test_table():
    ratio = timing.Ratio(1.2345, 1.1, 0.01234)
    rows = [("a", table.Row("x", "y", ratio, table.Goal(at_most=1.2, aim=1.1), "p|q")), ("b", table.Row("none"))]
    lines = table.draw(rows).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells == ["a", "x", "y", "1.23", "1.10 to 0.0123", "at most 1.20, aim 1.10: **missed**", "p/q"]
    assert "missed" not in table.draw(rows, judge=False)


def test_rows_beside_each_other():
    one, two = timing.Ratio(1.0, 1.0, 1.0), timing.Ratio(2.0, 1.5, 2.5)
    rows = [
        ("a", table.Row("x", "y", one, table.Goal(at_most=1.2), "3 ms", "here")),
        ("a", table.Row("x", "y", two, column="there")),
        ("a", table.Row("z", "y", beside="left out", column="there")),
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.draw(rows).splitlines()]
    assert lines[0] == ["section", "what", "over", "here", "there"]
    assert lines[2] == ["a", "x", "y", "1.00 (1.00 to 1.00); 3 ms; at most 1.20: reached", "2.00 (1.50 to 2.50)"]
    assert lines[3:] == [["a", "z", "y", "", "left out"]]
    both = table.draw([*rows, ("b", table.Row("alone"))])
    assert both.startswith(table.draw(rows) + "\n| section | what") and "| b " in both


def test_sections_of_the_file():
    first = results.put("", results.GPU, "one")
    assert first == "## GPU\n\none\n"
    assert results.put("# All\n\n## Notes\n\nn\n", results.GPU, "one") == "# All\n\n## GPU\n\none\n\n## Notes\n\nn\n"
    text = "# All\n\nold\n\n## GPU\n\none\n\n## Notes\n\n## GPUs\n\nn\n"
    assert results.put(text, results.GPU, "two\n") == text.replace("one", "two")
    assert results.kept(text) == text[text.index("## GPU\n") :]
    assert results.kept("# All\n\nold ## Notes\n") == "## Notes\n\nNone yet.\n"
    assert results.kept("old\n" + first) == first + "\n## Notes\n\nNone yet.\n"
    assert results.kept("old\n## Notes\n\nn\n\n## GPU\n\none\n") == "## Notes\n\nn\n\n## GPU\n\none\n"


# Another process


def test_worker():
    with worker.Worker("jax", EXAMPLE="1") as one:
        assert one.ask("json:dumps", obj=[1, "é"]) == '[1, "\\u00e9"]'
        assert one.ask("os:getenv", key="KERAS_BACKEND") == "jax" and one.ask("os:getenv", key="EXAMPLE") == "1"
        with pytest.raises(worker.WorkerError, match="^ModuleNotFoundError: import of tensorflow halted") as raised:
            one.ask("importlib:import_module", name="tensorflow")
        assert "Traceback" in raised.value.__notes__[0]
        assert one.ask("json:loads", 60, s="[2]") == [2]
        with pytest.raises(worker.WorkerTimeout, match="not done within 0 s"):
            one.ask("subprocess:call", 0.1, args=["sleep", "1"])
        with pytest.raises(worker.WorkerError, match="process of json:loads ended with status -9"):
            one.ask("json:loads", s="[2]")


def test_worker_keeps_functions():
    asked = [
        {"function": "test_benchmarks:make_counter", "arguments": {"start": 4}, "keep": True},
        {"run": 0},
        {"run": 0},
        {"run": 1},
    ]
    answers = io.StringIO()
    worker.serve(io.StringIO("\n".join(map(json.dumps, asked))), answers)
    answers = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert answers[:3] == [{"result": 0}, {"result": None}, {"result": None}] and COUNTED == [4, 5]
    assert answers[3]["error"] == "IndexError: list index out of range"


COUNTED = []


def make_counter(start):
    counter = itertools.count(start)
    return lambda: COUNTED.append(next(counter))


def test_without_jax_its_column_says_so(monkeypatch):
    monkeypatch.setattr(step.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(step.cases, "cnn", lambda *_, **__: None)
    monkeypatch.setattr(step.cases, "step", lambda *_: lambda: sum(range(1000)))
    rows = step.rows(settings.Settings(toy=True, say=lambda _: None))
    found = [row for row in rows if row.column == step.JAX]
    assert [row.what.split(",")[0] for row in found] == ["alternate step"] * len(step.TOY_MODES)
    assert all(row.ratio is None and "not installed" in row.beside for row in found)


# On a GPU


class Instead:
    """In place of a worker: a GPU on which some of the steps fail."""

    started = 0

    def __init__(self, backend):
        Instead.started += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, function, within, /, **arguments):
        assert within > 0
        if function.endswith(":device"):
            return {"gpus": ["H1"], "facts": f"- command: `{arguments['command']}`\n"}
        if function.endswith(":rate"):
            return 4e12
        assert not arguments["toy"] and 0 < arguments["seconds"] <= gpu.STEPPING
        if arguments["precision"] == "TF32":
            raise worker.WorkerError("XlaRuntimeError: no memory")
        if arguments["model"] == "lea_fc":
            raise worker.WorkerTimeout("not done within 1 s")
        times = {"step": [0.5, 0.25, 1.0], "products": [0.25, 0.25, 0.25], "compiled": 3.2}
        return times | {"needed": 1e12, "counted": None, "peak": 3 * 2**20}


def test_gpu_command_on_a_gpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu, "Worker", Instead)
    monkeypatch.setattr(Instead, "started", 0)
    assert gpu.main([f"--output={tmp_path}", "--seconds=300"]) == 1
    assert Instead.started == 7
    shown = capsys.readouterr()
    assert shown.out.startswith("GPU: H1.\n")
    failures = shown.err.splitlines()[-1]
    assert "cnn_lea, TF32: XlaRuntimeError: no memory; lea_fc, TF32" in failures and "--output: " in failures
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.out.splitlines() if "|" in line][2:]
    expected = "cnn_lea float32 2.00 1.00 to 4.00 500 1e+03 – 2.00 4.00 50.0% 3 250 2.00 3"
    assert " ".join(lines[0]) == expected
    assert [line[2] for line in lines[3:]] == [
        "left out: the time was over",
        "failed: XlaRuntimeError: no memory",
        "left out: the time was over",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--seconds=0"], "argument --seconds: must be a number above 0. Received: '0'"),
        (["--models=lea"], "argument --models: must be of cnn_lea, lea_fc. Received: 'lea'"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--output=/not/here.md"], "--output must be a file in a folder that exists. Received: /not/here.md"),
    ],
)
def test_gpu_command_says_in_one_line_what_is_wrong(arguments, expected):
    with pytest.raises(SystemExit) as raised:
        gpu.main(arguments)
    assert raised.value.code == f"gpu.py: {expected}"  # a text: printed as an error, exit status 1


def test_gpu_command_needs_jax(monkeypatch):
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None if name == "jax" else name)
    with pytest.raises(SystemExit) as raised:
        gpu.main([])
    assert raised.value.code == "gpu.py: needs jax and keras (pip install jax keras). Received: no jax"


def has_jax():
    return step.importlib.util.find_spec("jax") is not None


# What is counted


def test_seven_products():
    assert len(products.SEVEN) == 7
    assert sum(product.of.startswith("encoder") for product in products.SEVEN) == 4
    # Each of them is n·N·2N multiply-adds.
    assert products.multiply_adds(windows=3, values=5) == 7 * 3 * 5 * 10
    assert cases.Case(64, 8).leas == [(8 * 32 * 32, 4 * 4 * 32), (8 * 16 * 16, 4 * 4 * 64)]
    for xla in (False, True):
        products.floor([(3, 5), (2, 4)], xla=xla)()
    assert [product.of for product in products.SEVEN if product not in products.AT_THE_FRONT] == [
        "encoder, gradient of its input",
        "encoder forward, phase 2",
    ]


def test_products_are_what_they_are_called(monkeypatch):
    seen = []

    def product(a, b, transpose_a, transpose_b):
        seen.append(tuple(tf.matmul(a, b, transpose_a, transpose_b).shape))
        return a

    monkeypatch.setattr(backend, "product", product)
    products.floor([(3, 5)])()
    assert seen == [(3, 10), (3, 5), (3, 10), (5, 10), (3, 5), (3, 10), (10, 5)]


def test_operations_by_hand():
    assert operations.convolution(size=4, kernel_size=3, channels=2, filters=5) == 16 * 9 * 2 * 5
    assert operations.lea(windows=3, values=16) == (3 * 16 * 32, 3 * 2 * 32 * 10, 3 * (10 * 32 + 32 * 16))
    # 4×4 images, 1 and 1 filters: pools of 2×2 leave 2×2 and 1×1 pixels.
    conv_1, conv_2, dense = 16 * 25, 4 * 9, 1 * 1024 + 1024 * 10
    assert operations.cnn_step("classic", 4, 1, (1, 1)) == 2 * conv_1 + 3 * conv_2 + 3 * dense
    # LEAs: 4 windows and 1 of 16 values, 10 codes each.
    conv_2, dense = 4 * 9 * 10, 10 * 1024 + 1024 * 10
    encoder, heads, decoder = 5 * 512, 5 * 640, 5 * (320 + 512)
    expected = 3 * conv_1 + 4 * conv_2 + 3 * dense + 4 * encoder + 5 * heads + 3 * decoder
    assert operations.cnn_step("alternate", 4, 1, (1, 1)) == expected
    assert operations.cnn_step("alternate", 4, 7, (1, 1)) == 7 * expected


@pytest.mark.parametrize("name", ["classic", "joint", "independent", "alternate"])
def test_operations_are_those_of_the_step(name):
    model = cases.cnn(TINY, "classic") if name == "classic" else cases.cnn(TINY, optimization=name)
    assert multiply_adds_of(model, TINY) == operations.cnn_step(name, TINY.size, TINY.batch, TINY.filters)


def test_operations_are_those_of_lea_fc():
    config = CONFIGS["lea_fc"].replace(jit_compile=False)
    case = cases.Case(16, 2)
    model = networks.build(config, (case.size, case.size, 1), cases.CLASSES, steps_per_epoch=1)
    networks.compile_model(model, config)
    assert multiply_adds_of(model, case) == operations.lea_fc_step(case.size, case.batch)


def multiply_adds_of(model, case):
    """Of the operations that a traced training step really needs."""
    shapes = (case.batch, case.size, case.size, 1), (case.batch, cases.CLASSES)
    model.train_step(tuple(map(tf.ones, shapes)))  # makes all variables: one that a trace makes has it traced twice
    specs = map(tf.TensorSpec, shapes)
    graph = tf.function(lambda x, y: model.train_step((x, y)), autograph=False).get_concrete_function(*specs).graph
    functions = {function.signature.name: function for function in graph.as_graph_def().library.function}
    left = [tensor.op for tensor in tf.nest.flatten(graph.outputs)] + list(graph.control_outputs)
    seen, total = set(), 0
    while left:
        operation = left.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        left += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
        if operation.type == "PartitionedCall":  # windows are cut in a function, and folded in that of its gradient
            kinds = {node.op for node in functions[operation.get_attr("f").name].node_def}
            assert not any(word in kind for kind in kinds for word in ("MatMul", "Conv", "Call", "While"))
            continue
        assert "Call" not in operation.type and "While" not in operation.type
        inputs, output = [tensor.shape for tensor in operation.inputs], (operation.outputs or [None])[0]
        if operation.type == "MatMul":
            total += output.shape.num_elements() * inputs[0][0 if operation.get_attr("transpose_a") else 1]
        elif operation.type == "Conv2D":
            total += output.shape.num_elements() * inputs[1][:3].num_elements()
        elif operation.type == "Conv2DBackpropInput":
            total += inputs[2].num_elements() * inputs[1][:3].num_elements()
        elif operation.type == "Conv2DBackpropFilter":
            total += inputs[2].num_elements() * output.shape[:3].num_elements()
    return total


# What is measured


@pytest.mark.usefixtures("eagerly")
def test_chunks_are_those_that_were_asked_for():
    model = cases.cnn(TINY, chunk_windows="auto")
    assert [lea.chunk_windows for lea in model.lea_layers] == ["auto"] * 2
    losses = cases.step(model, TINY)()
    assert {"main_loss", "lea_1_loss", "lea_2_loss"} <= losses.keys() and all(np.isfinite(list(losses.values())))


def test_models_of_table_3_2():
    assert coders.model("standard", "sb").count_params() == 51_723
    assert coders.model("vae", "fc").count_params() == 2_509_604


def test_sizes_reach_a_million_windows():
    counts = [size.windows for size in windows.SIZES]
    assert counts[0] == 1024 and counts[-1] == 2**20 and counts == sorted(counts)
    assert windows.activations(windows.SIZES[-1]) > 4 * counts[-1] * 4 * 4 * 32  # the windows alone


def test_the_peak_of_memory_is_seen():
    before = memory._restart()
    block = np.ones(2**27, np.uint8)
    peak = memory._peak()
    del block
    assert 2**27 * 0.9 < peak - before < 2**28
    if pathlib.Path("/proc/self/clear_refs").exists():
        assert memory._restart() < peak - 2**26 and memory._peak() < peak


@pytest.mark.usefixtures("eagerly")
def test_memory_of_a_step_in_this_process():
    before, peak = memory.measure(batch=1, side=8, channels=2, chunk_windows="auto", convolution=True)
    assert 0 < before <= peak


def test_profile():
    x = backend.random((200, 300))
    times = backend.operations(lambda: backend.compiled(lambda x: tf.nn.relu(tf.transpose(x) @ x))(x))
    types = profile.by_type(times)
    assert any("MatMul" in name for name in types) and all(seconds > 0 for seconds in times.values())
    assert profile.by_type({"a/b:Mul": 1.0, "c:Mul": 2.0, "MatMul.12": 3.0, "MatMul.1": 4.0}) == {
        "Mul": 3.0,
        "MatMul": 7.0,
    }


def test_torch_twin_has_the_same_losses():
    pytest.importorskip("torch", reason="torch is not installed")
    assert against_torch.differences(TINY) < against_torch.tolerance()


def test_torch_twin_trains_the_right_variables():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from benchmarks import twin

    one = twin.Twin(twin.weights_of(cases.cnn(TINY)))
    images, noises = torch.rand(2, 1, 8, 8), [torch.zeros(2, 16, 10), torch.zeros(2, 4, 10)]
    one.network.main_loss(images, torch.eye(10)[:2], noises).backward()
    assert all(parameter.grad is not None for parameter in one.network.main_parameters)
    assert all(parameter.grad is None for parameter in one.network.lea_parameters)
    one.main_optimizer.zero_grad()
    sum(one.network.lea_losses(images, noises)).backward()
    assert all(parameter.grad is None for parameter in one.network.main_parameters)
    assert all(parameter.grad is not None for parameter in one.network.lea_parameters)


def test_without_torch_its_section_says_so(monkeypatch):
    monkeypatch.setattr(against_torch.importlib.util, "find_spec", lambda name: None)
    (row,) = against_torch.rows(settings.Settings(toy=True))
    assert row.ratio is None and "not installed" in row.beside


# What a VAE hands on


@pytest.mark.usefixtures("eagerly")
def test_readings_of_code_maps_at_toy_size(tmp_path, capsys):
    command = [f"--rows={tmp_path / 'rows.jsonl'}", "--datasets=sprites", "--toy", "--part=1/18"]
    assert code_maps.main(command) == 0
    rows = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(row)["code_maps"] for row in rows] == ["sample", "sample"]
    assert "| vae | sprites | 10 | 4 | – | 0." in capsys.readouterr().out
    assert code_maps.main(command) == 0
    assert (tmp_path / "rows.jsonl").read_text().splitlines() == rows  # nothing is trained twice


def test_table_of_readings_is_that_of_the_readme(tmp_path, capsys):
    rows = (ROOT / "benchmarks" / "code_maps.jsonl").read_text().splitlines()
    lines = code_maps.table([json.loads(row) for row in rows]).splitlines()
    shutil.copy(ROOT / "benchmarks" / "code_maps.jsonl", tmp_path)
    assert code_maps.main([f"--rows={tmp_path / 'code_maps.jsonl'}"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert [path.name for path in tmp_path.iterdir()] == ["code_maps.jsonl"]  # all is stored: no data are looked for
    found = [line.split("|")[5:-1] for line in lines if line.startswith("| vae")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(readme) if line.startswith("| Fashion-MNIST, 4×4, 10"))
    assert [line.split("|")[2:-1] for line in readme[start : start + 8]] == found
    assert len(rows) == len({row for row in rows}) and len(found) == 8
