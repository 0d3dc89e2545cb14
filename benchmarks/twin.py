"""``cnn_lea`` and its alternate step in PyTorch, as one would write them there. Needs torch, as nothing else does.

Windows come from ``unfold``, the fc VAE is linear layers. Phase 1 takes gradients of the main variables alone, through
encoders whose weights are fixed; phase 2 goes forward anew, without gradients outside the LEAs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import products

WINDOW, STRIDES, PADDING = 4, 2, 1  # "same" for sides that are even
BETA = 0.5
EPSILON = 1e-7
Weights = dict[str, np.ndarray]


def prepare(threads: int, coarse_products: bool) -> None:
    """As many threads, and as coarse a matrix product on a GPU, as the other framework has."""
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if coarse_products else "highest")


def device() -> torch.device:
    """The GPU, if PyTorch has one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Lea(nn.Module):
    """An fc VAE over windows of channels-first images; ``unfold`` puts a window's channels first."""

    def __init__(self, values: int, code_length: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(values, 2 * values)
        self.mean = nn.Linear(2 * values, code_length)
        self.log_std = nn.Linear(2 * values, code_length)
        self.hidden = nn.Linear(code_length, 2 * values)
        self.reconstruction = nn.Linear(2 * values, values)

    def windows(self, images: torch.Tensor) -> torch.Tensor:
        """[b, c, h, w] -> [b, rows·columns, c·wh·ww]."""
        return functional.unfold(images, WINDOW, padding=PADDING, stride=STRIDES).transpose(1, 2)

    def encode(self, windows: torch.Tensor, noise: torch.Tensor, fixed: bool) -> tuple[torch.Tensor, ...]:
        """Codes, means and logarithmic standard deviations, each [b, rows·columns, code_length]."""

        def linear(layer: nn.Linear, values: torch.Tensor) -> torch.Tensor:
            weight, bias = layer.weight, layer.bias
            return functional.linear(values, *((weight.detach(), bias.detach()) if fixed else (weight, bias)))

        features = functional.relu(linear(self.encoder, windows))
        mean, log_std = linear(self.mean, features), linear(self.log_std, features)
        return mean + torch.exp(log_std) * noise, mean, log_std

    def objective(self, windows: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and codes."""
        codes, mean, log_std = self.encode(windows, noise, fixed=False)
        reconstructions = self.reconstruction(functional.relu(self.hidden(codes)))
        rl = (reconstructions - windows).square().sum(-1).mean()
        kl = (mean.square() + torch.exp(2 * log_std) - 2 * log_std - 1).sum(-1).mean()
        return BETA * kl + rl, codes


class Network(nn.Module):
    """The layers of ``cnn_lea``, with the weights of a Keras one."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        filters = [weights[f"conv_{i}/weight"].shape for i in (1, 2)]
        self.code_length = weights["lea_1/mean/weight"].shape[0]
        self.conv_1 = nn.Conv2d(filters[0][1], filters[0][0], filters[0][2], padding="same")
        self.lea_1 = Lea(16 * filters[0][0], self.code_length)
        self.conv_2 = nn.Conv2d(filters[1][1], filters[1][0], filters[1][2], padding="same")
        self.lea_2 = Lea(16 * filters[1][0], self.code_length)
        self.hidden = nn.Linear(*reversed(weights["hidden/weight"].shape))
        self.logits = nn.Linear(*reversed(weights["logits/weight"].shape))
        self.load_state_dict({name.replace("/", "."): torch.tensor(value) for name, value in weights.items()})
        self.leas = [self.lea_1, self.lea_2]
        of_leas = {id(parameter) for lea in self.leas for parameter in lea.parameters()}
        self.main_parameters = [parameter for parameter in self.parameters() if id(parameter) not in of_leas]
        self.lea_parameters = [parameter for parameter in self.parameters() if id(parameter) in of_leas]

    def maps(self, codes: torch.Tensor) -> torch.Tensor:
        """[b, rows·columns, code_length] -> [b, code_length, rows, columns]."""
        side = int(codes.shape[1] ** 0.5)
        return codes.transpose(1, 2).reshape(-1, self.code_length, side, side)

    def main_loss(self, images: torch.Tensor, labels: torch.Tensor, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Phase 1: the log loss, encoders being fixed."""
        maps = functional.relu(self.conv_1(images))
        codes = self.lea_1.encode(self.lea_1.windows(maps), noises[0], fixed=True)[0]
        maps = functional.relu(self.conv_2(self.maps(codes)))
        codes = self.lea_2.encode(self.lea_2.windows(maps), noises[1], fixed=True)[0]
        hidden = functional.relu(self.hidden(codes.flatten(1)))
        return functional.cross_entropy(self.logits(hidden), labels)

    def lea_losses(self, images: torch.Tensor, noises: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Phase 2: the loss of each LEA, which reaches nothing but its own weights."""
        with torch.no_grad():
            windows = self.lea_1.windows(functional.relu(self.conv_1(images)))
        loss_1, codes = self.lea_1.objective(windows, noises[0])
        with torch.no_grad():
            windows = self.lea_2.windows(functional.relu(self.conv_2(self.maps(codes.detach()))))
        return loss_1, self.lea_2.objective(windows, noises[1])[0]


class Twin:
    """A network, its optimizers and the alternate step.

    Args:
        weights: from ``weights_of``.
        compile: whether ``torch.compile`` compiles both phases' losses and, with them, their gradients.
    """

    def __init__(self, weights: Weights, compile: bool = False) -> None:
        self.network = Network(weights).to(device())
        self.main_loss, self.lea_losses = self.network.main_loss, self.network.lea_losses
        if compile:
            # For the shapes at hand: another case would make them symbols, which some of PyTorch cannot compile.
            self.main_loss, self.lea_losses = (
                torch.compile(function, dynamic=False) for function in (self.main_loss, self.lea_losses)
            )
        # Fused: PyTorch's quickest.
        self.main_optimizer, self.lea_optimizer = (
            torch.optim.Adam(parameters, lr=1e-4, fused=True)
            for parameters in (self.network.main_parameters, self.network.lea_parameters)
        )
        self.steps = 0

    def stepping(
        self, images: np.ndarray, labels: np.ndarray, noises: Sequence[np.ndarray] | None = None
    ) -> Callable[[], list[float]]:
        """A function that takes a step and returns the main loss and that of each LEA.

        Args:
            images: [b, h, w, 1].
            labels: one-hot [b, classes].
            noises: of each LEA, [windows, code_length], for both phases of every step; None: drawn anew.
        """
        batch, side = images.shape[:2]
        own_images = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous().to(device())
        own_labels = torch.tensor(labels).to(device())
        shapes = [(batch, (side // factor) ** 2, self.network.code_length) for factor in (2, 4)]
        fixed = (
            None
            if noises is None
            else [torch.tensor(noise).reshape(shape).to(device()) for noise, shape in zip(noises, shapes, strict=True)]
        )

        def draw() -> list[torch.Tensor]:
            return fixed or [torch.randn(shape, device=device()) for shape in shapes]

        def step() -> list[float]:
            self._set_epsilon()
            main_loss = self.main_loss(own_images, own_labels, draw())
            self.main_optimizer.zero_grad()
            main_loss.backward()
            self.main_optimizer.step()
            lea_losses = self.lea_losses(own_images, draw())
            self.lea_optimizer.zero_grad()
            sum(lea_losses).backward()
            self.lea_optimizer.step()
            return [loss.item() for loss in (main_loss, *lea_losses)]

        return step

    def _set_epsilon(self) -> None:
        """Keras' Adam adds its epsilon before it corrects the second moment's bias, PyTorch's after."""
        self.steps += 1
        for optimizer in (self.main_optimizer, self.lea_optimizer):
            group = optimizer.param_groups[0]
            group["eps"] = EPSILON / (1 - group["betas"][1] ** self.steps) ** 0.5


def floor(leas: Sequence[tuple[int, int]]) -> Callable[[], None]:
    """As ``products.floor``: the seven matrix products of each LEA, in PyTorch."""
    calls = []
    for windows, values in leas:
        shapes = products.shapes(windows, values)
        factors = {name: torch.rand(shape, device=device()) for name, shape in shapes.items()}
        for product in products.SEVEN:
            left, right = factors[product.left], factors[product.right]
            calls.append((left.T if product.transpose_left else left, right.T if product.transpose_right else right))

    def run() -> None:
        for left, right in calls:
            output = left @ right
        output[0, 0].item()

    return run


def weights_of(model: keras.Model) -> Weights:
    """The weights of a Keras ``cnn_lea`` in PyTorch's order of axes, by layer."""
    found: Weights = {}

    def put(name: str, layer: Any, kernel: Any = lambda kernel: kernel.T, bias: Any = lambda bias: bias) -> None:
        values, biases = (np.array(keras.ops.convert_to_numpy(v)) for v in (layer.kernel, layer.bias))
        found[f"{name}/weight"] = np.ascontiguousarray(kernel(values))
        found[f"{name}/bias"] = np.ascontiguousarray(bias(biases))

    for i in (1, 2):
        put(f"conv_{i}", model.get_layer(f"conv_{i}"), lambda kernel: kernel.transpose(3, 2, 0, 1))
        own = model.get_layer(f"lea_{i}").autoencoder
        # A flat window has its channels last there, and first here.
        order = np.arange(16 * own.windows_shape[3]).reshape(4, 4, -1).transpose(2, 0, 1).ravel()
        put(f"lea_{i}/encoder", own.encoder.hidden, lambda kernel, order=order: kernel[order].T)
        put(f"lea_{i}/mean", own.mean)
        put(f"lea_{i}/log_std", own.log_std)
        put(f"lea_{i}/hidden", own.decoder.hidden)
        put(
            f"lea_{i}/reconstruction",
            own.decoder.reconstruction,
            lambda kernel, order=order: kernel[:, order].T,
            lambda bias, order=order: bias[order],
        )
    put("hidden", model.get_layer("hidden"))
    put("logits", model.get_layer("logits"))
    return found
