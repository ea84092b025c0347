"""What is done to weights after the last step: adapters merged, the whole mixed with the base."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from searchkit.training.lora import merge_adapters
from searchkit.training.settings import LoraSettings, TrainingRecipe
from searchkit.training.student import Student


def merge_and_mix(student: Student, recipe: TrainingRecipe) -> None:
    """Merge adapters, then mix the weights with the base's, if the recipe says so."""
    if recipe.lora.rank:
        merge_adapters(student.runtime.network)
    if recipe.mix == 1:
        return
    base = _numbers(Student(replace(recipe, lora=LoraSettings())))
    with torch.no_grad():
        for name, weight in _numbers(student).items():
            weight.mul_(recipe.mix).add_((1 - recipe.mix) * base[name])


def _numbers(student: Student) -> dict[str, Tensor]:
    """All of a network's floating numbers by name. Not state_dict: that has tied weights under each name."""
    module = student.module
    named = (*module.named_parameters(), *module.named_buffers())
    return {name: one for name, one in named if one.is_floating_point()}
