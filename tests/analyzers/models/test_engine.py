"""The engine gives what the network gives on the whole image, whatever the windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from analyzers.models import engine
from analyzers.models.engine import Run, Variant


class Pointwise(nn.Module):
    """Three classes by brightness: what it says of a voxel needs no neighbour."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x, x * 0, x], 1)


class Sided(nn.Module):
    """Looks only at the column's place, so mirroring the image must change its answer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(-3, 3, x.shape[-1]).expand_as(x)
        return torch.cat([-ramp, ramp], 1)


class NeedsMemory(Pointwise):
    """Fails as CUDA does for windows above a size; remembers the sizes it was given."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.numel())
        if x.numel() > self.most:
            raise torch.OutOfMemoryError("too large")
        return super().forward(x)


def _image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def _expected(image: NDArray[np.float32]) -> NDArray[np.float32]:
    logits = torch.from_numpy(np.stack([-image, image * 0, image]))
    return logits.softmax(0).numpy()


@pytest.mark.parametrize("shape", [(16, 16, 16), (37, 21, 50), (3, 90, 5), (1, 1, 1)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_blended_windows_equal_the_whole(shape: tuple[int, int, int], mirrored: bool) -> None:
    image = _image(shape)
    run = Run((16, 24, 16), 3, 8)
    shares = engine.probabilities(Pointwise(), image, run, Variant(mirrored))
    np.testing.assert_allclose(shares, _expected(image), atol=1e-5)


def test_windows_cover_every_voxel_and_keep_their_size() -> None:
    count = np.zeros((37, 24, 50), int)
    for window in engine.windows(count.shape, (16, 24, 16)):
        assert count[window].shape == (16, 24, 16)
        count[window] += 1
    assert count.min() >= 1


def test_the_mirrored_variant_shows_the_mirrored_image() -> None:
    image, run = _image((8, 8, 16)), Run((8, 8, 16), 2, 8)
    plain = engine.probabilities(Sided(), image, run)
    mirrored = engine.probabilities(Sided(), image, run, Variant(True))
    np.testing.assert_allclose(mirrored, plain[..., ::-1], atol=1e-6)
    assert np.abs(mirrored - plain).max() > 0.5


def test_without_memory_the_windows_become_smaller_and_the_result_stays() -> None:
    image, network = _image((32, 32, 32)), NeedsMemory(16**3)
    shares = engine.probabilities(network, image, Run((32, 32, 32), 3, 8))
    np.testing.assert_allclose(shares, _expected(image), atol=1e-5)
    assert network.seen[:2] == [32**3, 16**3]


def test_a_device_with_no_memory_at_all_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        engine.probabilities(NeedsMemory(10), _image((32, 32, 32)), Run((32, 32, 32), 3, 8))


def test_agreement_is_one_for_a_stable_answer_and_low_for_one_that_flips() -> None:
    steady = np.where(_image((8, 8, 16)) > 0, 5.0, -5.0).astype(np.float32)
    assert engine.averaged(Pointwise(), steady, Run((8, 8, 16), 3, 8)).agreement == 1.0
    assert engine.averaged(Sided(), steady, Run((8, 8, 16), 2, 8)).agreement < 0.8


def test_overlap_is_the_dice_coefficient() -> None:
    one, other = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert engine.overlap(one, other) == 0.5
    assert engine.overlap(one & False, other & False) == 1.0
