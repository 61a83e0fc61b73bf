"""Large arrays to and from a CUDA device, by way of page-locked memory.

A copy into new memory of the ordinary kind is held up by its pages, each of which the system gives
at first touch. PyTorch keeps page-locked memory for the next transfer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def sent(values: NDArray[Any], device: str) -> torch.Tensor:
    """The array on the device; on the CPU it shares the memory."""
    import torch

    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device) if device.startswith("cuda") else tensor.to(device)


def fetched(tensor: torch.Tensor) -> NDArray[Any]:
    """The tensor as an array of the host; from the CPU it shares the memory."""
    import torch

    if tensor.device.type != "cuda":
        return tensor.numpy()
    here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return here.copy_(tensor).numpy()
