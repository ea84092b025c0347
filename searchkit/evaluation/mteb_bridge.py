"""Lets the `mteb` package evaluate any model and profile of searchkit. The only file that knows mteb.

    import mteb
    from searchkit.evaluation.mteb_bridge import MtebEncoder

    mteb.evaluate(MtebEncoder("hkunlp/instructor-large"), mteb.get_tasks(["SciFact", "STS16"]))

mteb is no dependency: it brings half a gigabyte of packages for tables that nothing else here needs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from searchkit.arrays import Float32Matrix
from searchkit.embedding.embedder import Embedder, open_embedder
from searchkit.embedding.hashes import value_sha256
from searchkit.embedding.sources import BASE_ALIASES
from searchkit.errors import DataInvalid, UsageError, near_names
from searchkit.profile import SIDES, Profile, Side

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

INSTALL = 'pip install "searchkit[mteb]"'
NO_PROFILE = ""
# By type of task, and by nothing finer: instructions chosen task by task are chosen on the test's data.
PROFILES: dict[str, str] = {
    "Retrieval": "wiki-retrieval",
    "InstructionRetrieval": "wiki-retrieval",
    "Reranking": "wiki-retrieval",
    "InstructionReranking": "wiki-retrieval",
    "Clustering": "topic-clustering",
    "PairClassification": "document-duplicates",
    "STS": "semantic-similarity",
    "Summarization": "semantic-similarity",
    "BitextMining": "semantic-similarity",
    "Classification": "classification",
    "MultilabelClassification": "classification",
    "Regression": "classification",
}
# Types whose texts mteb tells apart as queries and documents.
OF_TWO_SIDES = ("Retrieval", "InstructionRetrieval", "Reranking", "InstructionReranking")
# A profile's name or file; or literals by "instruction", for both sides, or by "query" and "document".
Wanted: TypeAlias = str | Mapping[str, str]
_FORMS = 'expected "PROFILE", {profile = ".."}, {instruction = ".."} or {query = "..", document = ".."}'


class MtebEncoder:
    """A searchkit model in the form that mteb calls an encoder (its EncoderProtocol, version 2).

    Args:
        model: a folder, an id, or an Embedder that is open.
        revision: commit, tag or branch on the hub.
        profile: name or file of a profile for all tasks; None for one by type of task (`PROFILES`); '' for no
            instruction at all.
        instructions: what holds instead, by mteb's name of a task or of a type, or a TOML file of it. A value
            is a profile's name, {"profile": name}, {"instruction": literal}, or literals by side,
            {"query": .., "document": ..}; '' for none. A task's name goes before its type.
        device, precision, max_tokens: as of `open_embedder`.

    Literal texts are put before texts as they are; what a Profile says is rendered as the model's family was
    trained to read it, which for a model without instructions is nothing.

    Raises:
        UsageError: mteb is not installed; an instruction takes a quarter of the window or more; or a type of
            task without sides is given two.
        ProfileNotFound: a profile is not there. DataInvalid: the table is not of that form.
    """

    def __init__(
        self,
        model: str | Path | Embedder,
        revision: str | None = None,
        *,
        profile: str | None = None,
        instructions: Mapping[str, Wanted] | str | Path | None = None,
        device: str | None = None,
        precision: str = "auto",
        max_tokens: int | None = None,
    ) -> None:
        _mteb()
        table = _table(instructions)
        self.embedder: Embedder = (
            open_embedder(
                model, device=device or "auto", precision=precision, max_tokens=max_tokens, revision=revision
            )
            if isinstance(model, (str, Path))
            else model
        )
        by_type = PROFILES if profile is None else dict.fromkeys(PROFILES, profile)
        # Rendered now: what is wrong with one shows before hours of embedding.
        self._literals = {
            name: _literals(self.embedder, name, wanted) for name, wanted in {**by_type, **table}.items()
        }
        _require_one_for_texts_without_sides(self._literals, profile)
        self.mteb_model_meta = _meta(self.embedder, self._literals)

    def instruction(self, task: str, kind: str, side: Side | None) -> str:
        """The literal text before the texts of one side of a task of mteb.

        side: None where mteb does not tell: of tasks whose texts all play the same part.

        Raises:
            UsageError: the two sides differ and it is not told which one is meant; or nothing is said of
                tasks of this type.
        """
        found = self._literals.get(task, self._literals.get(kind))
        if found is None:
            raise UsageError(
                f"there is no instruction for task '{task}', of type '{kind}'{near_names(kind, PROFILES)}",
                remedy=f"name one: instructions={{'{kind}': ...}}; '' for none",
            )
        if side is None and len(set(found.values())) > 1:
            raise UsageError(
                f"task '{task}', of type '{kind}', has no sides, and was given two instructions: "
                + ", ".join(f"{one} {text!r}" for one, text in found.items()),
                remedy="give it one: {'instruction': ...}, or the profile of a symmetric task",
            )
        return found[side or "document"]

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **options: Any,
    ) -> Float32Matrix:
        """Embed what mteb hands over: batches of columns, of which 'text' is read.

        prompt_type: mteb's 'query' or 'document', or None. options: batch sizes and bars; they change no
            vector.

        Returns: (n, dim) float32, rows of length 1, in order.

        Raises: UsageError: there is no text; otherwise as of `instruction`.
        """
        del hf_split, hf_subset, options
        side = None if prompt_type is None else _side(str(getattr(prompt_type, "value", prompt_type)))
        instruction = self.instruction(str(task_metadata.name), str(task_metadata.type), side)
        texts: list[str] = []
        for batch in inputs:
            if "text" not in batch:
                raise UsageError(
                    f"task '{task_metadata.name}' holds {', '.join(batch)} and no text",
                    remedy="searchkit embeds texts: choose tasks whose modalities are ['text']",
                )
            texts += batch["text"]
        return self.embedder.embed(texts, instruction)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of all with all, as a tensor, which mteb goes on with."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines row by row, as a tensor."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(embeddings1, embeddings2)


def read_table(file: Path) -> dict[str, Wanted]:
    """Instructions by task or type from a TOML file. Raises: UsageError, DataInvalid."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataInvalid(f"{file}: {error}") from error
    return _checked(table, str(file))


def _table(instructions: Mapping[str, Wanted] | str | Path | None) -> dict[str, Wanted]:
    if instructions is None:
        return {}
    if isinstance(instructions, (str, Path)):
        return read_table(Path(instructions))
    return _checked(instructions, "instructions")


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Wanted]:
    for name, wanted in table.items():
        keys = None if isinstance(wanted, str) else set(wanted) if isinstance(wanted, Mapping) else {"?"}
        known = keys is None or keys in ({"profile"}, {"instruction"}, {"query", "document"})
        if not known or (keys and not all(isinstance(text, str) for text in wanted.values())):
            raise DataInvalid(f"{where}: {name} = {wanted!r}", remedy=_FORMS)
    return dict(table)


def _literals(embedder: Embedder, name: str, wanted: Wanted) -> dict[Side, str]:
    said = {"profile": wanted} if isinstance(wanted, str) else wanted
    if "profile" not in said:
        literals: dict[Side, str] = {side: said.get(side, said.get("instruction", "")) for side in SIDES}
        for text in literals.values():
            embedder.check_instruction(text)
        return literals
    if said["profile"] == NO_PROFILE:
        return dict.fromkeys(SIDES, "")
    profile = Profile.load(said["profile"])
    return {side: embedder.instruction_for(profile, side) for side in SIDES}


def _require_one_for_texts_without_sides(
    literals: Mapping[str, Mapping[Side, str]], profile: str | None
) -> None:
    """Now, and not when hours later a run comes to such a task. Of a task's own name no type is known."""
    types = [name for name in PROFILES if name not in OF_TWO_SIDES]
    if not (two := [name for name in types if len(set(literals[name].values())) > 1]):
        return
    whose = f"profile '{profile}' has" if profile is not None else "they were given"
    by_type = "{" + ", ".join(f"'{name}': '{profile or 'PROFILE'}'" for name in OF_TWO_SIDES) + "}"
    raise UsageError(
        f"tasks of type {', '.join(two)} have no sides, and {whose} two instructions",
        remedy=f"name types: instructions={by_type}; others take one, {{'instruction': ...}}",
    )


def _side(named: str) -> Side:
    for side in SIDES:
        if side == named:
            return side
    raise UsageError(f"mteb asks for '{named}'", remedy=f"searchkit knows {', '.join(SIDES)}")


def _meta(embedder: Embedder, literals: Mapping[str, Mapping[Side, str]]) -> ModelMeta:
    """What mteb writes beside its results, and finds kept ones by.

    Its revision is a hash of all that shapes vectors, and instructions make an experiment of their own: with
    the hub's commit alone, the results of one precision or profile would be taken for those of another.
    """
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    instructed = any(text for sides in literals.values() for text in sides.values())
    return ModelMeta.create_empty(
        {
            "name": _name(embedder.model),
            "revision": value_sha256(embedder.fingerprint())[:16],
            "embed_dim": embedder.dim,
            "max_tokens": embedder.max_tokens,
            "similarity_fn_name": ScoringFunction.COSINE,
            "use_instructions": instructed,
            "experiment_kwargs": {"instructions": value_sha256(literals)[:16]} if instructed else None,
        }
    )


def _name(model: str) -> str:
    """A model's name as mteb wants it: an owner, a stroke, a name."""
    if model in BASE_ALIASES:
        return BASE_ALIASES[-1]
    parts = Path(model).parts
    is_id = len(parts) == 2 and not Path(model).exists() and not Path(model).is_absolute()
    return model if is_id else f"local/{Path(model).absolute().name}"


def _mteb() -> None:
    try:
        import mteb  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"evaluating with mteb needs it, and it cannot be imported: {error}", remedy=INSTALL
        ) from error


__all__ = ["PROFILES", "MtebEncoder", "read_table"]
