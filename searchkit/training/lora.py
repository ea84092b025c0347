"""Low-rank adapters: put into a network, and merged into its weights again. The only file that knows peft."""

from __future__ import annotations

from torch import nn

from searchkit.errors import UsageError
from searchkit.training.settings import LoraSettings


def add_adapters(network: nn.Module, settings: LoraSettings) -> None:
    """Put an adapter beside every linear layer of a network, or beside those named.

    The network's own weights then stay as they are; a linear layer after the pooling, as INSTRUCTOR has one,
    is no part of it and small: it is trained whole.

    Raises:
        UsageError: peft is not installed, or no layer has such a name.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UsageError(
            "training by LoRA needs the package peft, which is not installed",
            remedy='pip install "searchkit[train]"; or leave out [lora]',
        ) from error
    paths = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    linears = {path.rpartition(".")[2] for path in paths if "pooler" not in path}
    if odd := sorted(set(settings.targets) - linears):
        raise UsageError(
            f"[lora] targets names {', '.join(odd)}, which no linear layer of the network is called",
            remedy=f"linear layers: {', '.join(sorted(linears))}",
        )
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type,unused-ignore]  # peft says int, and only divides it
        lora_dropout=settings.dropout,
        target_modules=sorted(settings.targets or linears),
        # peft warns where there is nothing to exclude, as in a T5.
        exclude_modules=r".*pooler.*" if any("pooler" in path for path in paths) else None,
        bias="none",
    )
    inject_adapter_in_model(config, network)


def merge_adapters(network: nn.Module) -> None:
    """Add every adapter to the weights it stands beside, and take it away."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [
        (parent, name, child)
        for parent in list(network.modules())
        for name, child in list(parent.named_children())
        if isinstance(child, BaseTunerLayer)
    ]
    for parent, name, child in adapted:
        child.merge()
        setattr(parent, name, child.get_base_layer())
