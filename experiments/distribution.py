"""Training on several devices, of one host or of several: who computes what, who writes, and what if one process ends.

Every process reads the whole data set and gets every batch whole; inside the step each device takes its part of it. So
any batch will do, also one that devices cannot share evenly, which then each computes as a whole, and losses are those
of a single process on the same batches.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from experiments import jobs
from experiments.jobs import Job
from experiments.runs import RunError

_DONE = b"."
_SECONDS = 60  # for processes that have found each other to connect once more
_MOMENT = 3  # seconds in which the end of a process is known to all, on a busy machine, too


class WholeBatches(keras.distribution.DataParallel):
    """Data parallelism whose batches come whole to every device, to be divided by ``divide_batches``."""

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def join(job: Job, advice: str) -> "Watch | None":
    """Joins the other processes of a job, before JAX is asked for anything; waits until all are there.

    Args:
        job: of this process.
        advice: what to do when another one ends.

    Returns:
        Who watches the others; None where there are none.

    Raises:
        RunError: one line, if they do not find each other.
    """
    if job.coordinator is None:
        return None
    import jax

    # Otherwise JAX aborts this process, with pages of its own words, when another one ends; ``Watch`` has one line.
    jax.config.update("jax_enable_recoverability", True)
    try:
        keras.distribution.initialize(job.coordinator, job.processes, job.process)
        # JAX makes of this signal a notice that the host will be taken away, and goes on.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return Watch(job, advice)
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"The processes do not find each other at {job.coordinator}: {reason}") from error


@contextlib.contextmanager
def devices(job: Job | None) -> Iterator[None]:
    """Inside, all devices, those of the other processes too, train the models that are made; None: just the first."""
    if job is None:
        yield
        return
    # Each process reads all data, so that Keras must not divide it again.
    keras.distribution.set_distribution(WholeBatches(auto_shard_dataset=False))
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside, Keras knows of no other device, so that one process may do what the others do not."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def divide_batches(model: keras.Model) -> None:
    """Has every device take its part of each batch that a model is trained or tested on, where there is more than one.

    A batch whose size the number of devices does not divide stays whole.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    mesh, axis = distribution.device_mesh, distribution.batch_dim_name
    devices = mesh.shape[mesh.axis_names.index(axis)]

    def divide(tensor: Any) -> Any:
        if tensor.shape[0] % devices:
            return tensor
        layout = keras.distribution.TensorLayout([axis] + [None] * (len(tensor.shape) - 1), mesh)
        return keras.distribution.distribute_tensor(tensor, layout)

    def divided(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda state, data: step(state, keras.tree.map_structure(divide, data))

    model.train_step, model.test_step = divided(model.train_step), divided(model.test_step)


class OnlyHere(keras.callbacks.Callback):
    """Callbacks of one process, inside which Keras knows of no other.

    Args:
        of_model: callbacks that save the model, or do not look at it.
        of_copy: callbacks that compute something with a model.
        copy: the model for those, on one device of this process.
    """

    def __init__(
        self, of_model: Sequence[keras.callbacks.Callback], of_copy: Sequence[keras.callbacks.Callback], copy: Any
    ) -> None:
        super().__init__()
        self._of_model, self._of_copy, self._copy = list(of_model), list(of_copy), copy

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for callback in (*self._of_model, *self._of_copy):
            callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        for callback in self._of_model:
            callback.set_model(model)
        for callback in self._of_copy:
            callback.set_model(self._copy)

    def _call(self, hook: str, *arguments: Any) -> None:
        with alone():
            for callback in (*self._of_copy, *self._of_model):
                getattr(callback, hook)(*arguments)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with alone():
            self._copy.set_weights(self.model.get_weights())
        self._call("on_epoch_end", epoch, logs)


class Watch:
    """Ends this process with one line as soon as another one ends before it is ``done``, whatever this one waits for.

    Process 0 holds a connection to each of the others, which the system closes where a process ends for any reason.

    Args:
        job: of this process, which has joined the others.
        advice: what the line ends with.
    """

    def __init__(self, job: Job, advice: str) -> None:
        self._job, self._advice = job, advice
        self._errors = os.dup(2)  # which imports may be keeping quiet at the moment when something is to be said
        self._peers = self._connect()
        self._threads = [threading.Thread(target=self._wait, args=peer, daemon=True) for peer in self._peers.items()]
        for thread in self._threads:
            thread.start()

    def _connect(self) -> dict[int, socket.socket]:
        """Connections by process: of process 0 to all others, of the others to process 0."""
        import numpy as np
        from jax.experimental import multihost_utils

        if self._job.process:
            port = int(multihost_utils.broadcast_one_to_all(np.zeros((), np.int32)))
            host = self._job.coordinator.rpartition(":")[0].strip("[]")
            connection = socket.create_connection((host, port), timeout=_SECONDS)
            connection.settimeout(None)
            connection.sendall(self._job.process.to_bytes(4, "big"))
            return {0: connection}
        with socket.create_server(("", 0)) as server:
            multihost_utils.broadcast_one_to_all(np.asarray(server.getsockname()[1], np.int32))
            server.settimeout(_SECONDS)
            found = [server.accept()[0] for _ in range(self._job.processes - 1)]
        return {int.from_bytes(one.recv(4, socket.MSG_WAITALL), "big"): one for one in found}

    def _wait(self, process: int, connection: socket.socket) -> None:
        try:
            received = connection.recv(1)
        except OSError:
            received = b""
        if received != _DONE:
            line = f"Process {process} has ended, and so process {self._job.process} ends too. {self._advice}"
            with contextlib.suppress(OSError):  # where nobody listens, this process ends all the same
                os.write(self._errors, f"train.py: {line}\n".encode(errors="replace"))
            jobs.end(1)

    def settle(self) -> None:
        """After an error: gives this process the time to notice that another one has ended, which then explains it."""
        for thread in self._threads:
            thread.join(_MOMENT)

    def done(self) -> None:
        """Says that this process has nothing left to do, waits until the others have said so, and leaves them.

        Process 0 leaves last: it keeps what JAX's other processes sign off from, and which they abort without.
        """
        import jax

        for connection in self._peers.values():
            with contextlib.suppress(OSError):  # one that has ended is for ``_wait`` to tell
                connection.sendall(_DONE)
        for thread in self._threads:
            thread.join()
        if self._job.process:
            jax.distributed.shutdown()
        for connection in self._peers.values():
            with contextlib.suppress(OSError), connection:  # the other one's end closes it as well
                if not self._job.process:
                    connection.recv(1)
