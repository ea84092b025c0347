"""What a training recipe may say, with its defaults. Knows values; reads no files.

A training recipe is what `searchkit train` is told; a recipe elsewhere in searchkit is the fingerprint of
what shapes stored vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from searchkit.settings import BASE_MODEL, expanded

PAPER = "paper"
IN_BATCH = "in_batch"
LOSSES = (PAPER, IN_BATCH)
GUIDES = ("none", "self", "base")  # or a model
ANCHORS = ("cosine", "similarity")
SCHEDULES = ("linear", "cosine", "constant")
MOST_STEPS = 10_000_000  # of a run; the task of each is drawn before the first
PRECISIONS = ("auto", "float32", "bfloat16")


def _no_numbers() -> Mapping[str, float]:
    return MappingProxyType({})


def _no_names() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Which rows are trained on, and how often each task has its turn."""

    files: tuple[str, ...] = ()  # paths or globs, relative to the recipe's file
    cap: int | None = None  # rows of a task at most
    alpha: float = 1.0  # a task of n rows is drawn with a weight of n ** alpha
    weights: Mapping[str, float] = field(
        default_factory=_no_numbers
    )  # of tasks, instead of n ** alpha; 0 leaves a task out
    shares: Mapping[str, float] = field(default_factory=_no_numbers)  # factors of tasks upon that weight
    held_out: int = 0  # rows of each task that are evaluated on and never trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """What is minimised. All but name, temperature and tasks is about `in_batch`."""

    name: str = PAPER
    temperature: float = 0.01
    tasks: Mapping[str, str] = field(default_factory=_no_names)  # losses of tasks that have another one
    reverse: bool = True  # from positives to queries, too
    queries: bool = False  # the other queries are candidates, too
    positives: bool = False  # the other positives are kept off a row's own, too
    guide: str = "none"  # whose cosines tell candidates that are likely to be positives
    margin: float = 0.0  # cosine by which such a candidate exceeds the positive
    guard_own: bool = False  # whether a row's own negatives may be such candidates
    groups: bool = True  # texts tied by positives or by their rows' group are never negatives of each other


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserSettings:
    """How weights are moved; the defaults are those of INSTRUCTOR's training."""

    rate: float = 2e-5
    schedule: str = "linear"
    warmup: float = 0.1  # share of the steps
    decay: float = 0.0  # of weights
    clip: float = 1.0  # largest norm of the gradient; 0 for no limit
    layer_decay: float = 1.0  # factor on the rate for each layer below the last
    freeze_embeddings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters instead of the network's whole matrices; merged at the end."""

    rank: int = 0  # 0: train all weights
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()  # last names of linear layers; () for all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSettings:
    """Keeping vectors near those of the model that training began with, or of another."""

    weight: float = 0.0
    kind: str = "cosine"
    model: str = ""  # near whose vectors: folder or id; '' for the model that training began with
    texts: int = 32  # drawn for each step
    tasks: tuple[str, ...] = ()  # whose texts are drawn; () for all
    instructions: tuple[str, ...] = ("",)  # under one of which the student reads them
    teacher_instruction: str = ""  # under which that model reads them
    temperature: float = 0.05  # of `similarity`


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """What judges the model on the way, beside rows held out: judged sets, as `searchkit eval` reads them."""

    sets: tuple[str, ...] = ()  # folders, files, suites; relative to the recipe's file
    profile: str = ""  # whose Instructions sets get that name none; '' for none


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """What the model card says beside what is known anyway."""

    licence: str = ""  # of the result, as hubs write it: "apache-2.0"
    sources: Mapping[str, str] = field(default_factory=_no_names)  # of tasks: where from, which licence


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """A whole training, as said in a TOML file."""

    folder: Path = Path()  # what relative paths are relative to; not said in the file, but its own place
    out: str  # folder of the run
    model: str = BASE_MODEL
    family: str = ""  # of the result; '' for what suits the network
    seed: int = 1
    steps: int = 0  # either these or epochs
    epochs: float = 0.0
    batch: int = 32  # rows of a step
    negatives: int = 1  # of a row, drawn anew each time where it has more
    query_tokens: int = 128  # windows: Instruction, text and special tokens
    document_tokens: int = 256
    chunk_tokens: int = 32768  # tokens whose graph is kept; larger steps go through the gradient cache
    precision: str = "auto"
    device: str = "auto"
    dropout: bool = True  # as the network's configuration says; False for none
    checkpoint_every: int = 200
    evaluate_every: int = 0  # steps; 0 for never
    patience: int = 0  # evaluations without a better one before training stops; 0 for any number
    mix: float = 1.0  # share of the trained weights in the result, the rest is the base's
    data: DataSettings = field(default_factory=DataSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)
    anchor: AnchorSettings = field(default_factory=AnchorSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    card: CardSettings = field(default_factory=CardSettings)

    @property
    def run_folder(self) -> Path:
        """Where the run keeps its log, its checkpoints and what it makes."""
        return self.folder / expanded(self.out)

    @property
    def base(self) -> str:
        """The model that training begins with: a folder beside the recipe, or a name."""
        return self.beside(self.model)

    def beside(self, name: str) -> str:
        """A model's folder beside the recipe, if there is one; else the name as it is."""
        folder = self.folder / expanded(name)
        return str(folder) if folder.is_dir() else name
