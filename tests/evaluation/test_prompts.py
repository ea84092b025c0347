"""Prompt retrieval: the nearest examples stand in the prompt, and what a model makes of them is judged."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from searchkit.cli import main
from searchkit.errors import ModelError, UsageError
from searchkit.evaluation import prompting, tasks
from searchkit.evaluation.evaluate import Wanted, evaluate
from searchkit.evaluation.prompting import labels_of, measure_prompts, prompt_of
from searchkit.evaluation.rouge import rouge_l, same
from searchkit.evaluation.sets import PromptSet
from tests.fakes import WordEmbedder


class Copier:
    """A language model that says what the last example says, or likes best the label said most."""

    model = "copier"

    def __init__(self, max_tokens: int = 1_000) -> None:
        self.max_tokens = max_tokens
        self.prompts: list[str] = []

    def fingerprint(self) -> str:
        return f"copier-{self.max_tokens}"

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def complete(self, prompt: str, most_tokens: int, stop: str = "\n") -> str:
        self.prompts.append(prompt)
        said = [line.removeprefix("Output: ") for line in prompt.splitlines() if line.startswith("Output: ")]
        return said[-1] if said else ""

    def log_likelihoods(self, prompt: str, continuations: Sequence[str]) -> np.ndarray:
        self.prompts.append(prompt)
        return np.asarray([prompt.count(f"Output:{one}") for one in continuations], dtype=np.float64)


def a_set(rows: Sequence[tuple[str, str]]) -> PromptSet:
    return PromptSet(texts=tuple(text for text, _ in rows), answers=tuple(answer for _, answer in rows))


def encode(texts: Sequence[str], side: str) -> np.ndarray:
    """Vectors of words, each with a direction of its own."""
    made = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            made[row] += np.random.default_rng(zlib.crc32(word.encode())).normal(size=256)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


PLACES = [(f"which city is the capital of land{n}", f"city {n} of land{n}") for n in range(60)]
ASKED = [(f"the capital of land{n} is which city please", f"city {n} of land{n}") for n in range(0, 60, 5)]


def test_the_nearest_examples_are_in_the_prompt_and_the_nearest_stands_last():
    copier = Copier()
    found = measure_prompts(a_set(PLACES), a_set(ASKED), encode, copier, shots=3)
    nearest = copier.prompts[::2]  # the others are the random ones
    for (text, answer), prompt in zip(ASKED, nearest, strict=True):
        assert prompt.endswith(f"Output: {answer}\n\nInput: {text}\nOutput:")
        assert prompt.count("Output: ") == 3
    assert found.main == "rouge_l"
    assert found.measures["accuracy"] == found.measures["rouge_l"] == 100
    assert found.measures["random_accuracy"] < 30
    assert found.measures["random_rouge_l"] < 100
    assert found.counts == {"questions": 12, "examples": 60, "labels": 0}


def test_with_few_answers_the_likeliest_label_is_taken():
    train = a_set([(f"{word} film number {n}", word) for n in range(20) for word in ("good", "bad")])
    test = a_set([(f"a {word} film again", word) for word in ("good", "bad") for _ in range(5)])
    found = measure_prompts(train, test, encode, Copier(), shots=4)
    assert found.main == "accuracy"
    assert found.measures["accuracy"] == 100
    assert found.measures["random_accuracy"] < 100
    assert list(found.items["accuracy"]) == [1.0] * 10
    assert found.counts["labels"] == 2


@pytest.mark.parametrize(("wrong", "right"), [("-1", "1"), ("A+", "a+"), ("c++", "c"), ("n/a", "n a")])
def test_a_label_is_right_only_when_it_is_that_very_label(wrong, right):
    """Labels that differ in case, a sign or a mark are two labels."""
    train = a_set([("one text", wrong)] * 3 + [("another text", right)] * 2)
    test = a_set([("some text", right)])
    found = measure_prompts(train, test, encode, Copier(), shots=8)
    assert found.counts["labels"] == 2
    assert found.measures["accuracy"] == found.measures["random_accuracy"] == 0


@pytest.mark.parametrize(
    ("train", "test", "labels"),
    [
        (["a", "b", "a", "b"], ["a"], ("a", "b")),
        (["a", "b", "a", "b"], ["c"], ()),  # nothing that an example answers
        (["a", "b", "a"], ["a"], ()),  # b is seen once
        (["a", "a"], ["a"], ()),  # nothing to choose
        ([str(n // 2) for n in range(42)], ["1"], ()),  # 21 answers
    ],
)
def test_which_answers_are_labels(train, test, labels):
    assert labels_of(a_set([("t", one) for one in train]), a_set([("t", one) for one in test])) == labels


def test_an_example_of_the_very_text_is_left_out():
    copier = Copier()
    measure_prompts(a_set(PLACES), a_set(PLACES[:4]), encode, copier, shots=60)
    for (text, _), prompt in zip(PLACES[:4], copier.prompts[::2], strict=True):
        assert prompt.count(f"Input: {text}\n") == 1


def test_what_does_not_fit_goes_from_the_farthest_on():
    copier = Copier(max_tokens=prompting.MOST_TOKENS + 40)
    measure_prompts(a_set(PLACES), a_set(ASKED), encode, copier, shots=8)
    for (text, answer), prompt in zip(ASKED, copier.prompts[::2], strict=True):
        assert copier.count_tokens(prompt) <= 40
        assert prompt.count("Output: ") == 2
        assert prompt.endswith(f"Output: {answer}\n\nInput: {text}\nOutput:")


def test_random_examples_are_the_same_in_every_run_and_for_every_model():
    first, second = Copier(), Copier()
    measure_prompts(a_set(PLACES), a_set(ASKED), encode, first, shots=3)

    def turned(texts: Sequence[str], side: str) -> np.ndarray:
        return -encode(texts, side) if side == "query" else encode(texts, side)

    measure_prompts(a_set(PLACES), a_set(ASKED), turned, second, shots=3)
    assert first.prompts[1::2] == second.prompts[1::2]
    assert first.prompts[::2] != second.prompts[::2]
    assert first.prompts[1] != first.prompts[3]


@pytest.mark.parametrize(
    ("said", "expected", "score"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", 1.0),
        ("police kill the gunman", "police killed the gunman", 0.75),  # of Lin's paper: ROUGE-L of S2
        ("the gunman kill police", "police killed the gunman", 0.5),  # and of S3
        ("a b c", "x y", 0.0),
        ("The cat!", "the  CAT", 1.0),
        ("a", "a b c", 0.5),
        ("", "a", 0.0),
        ("...", "", 1.0),
        ("кот спит", "кот", 2 / 3),
    ],
)
def test_rouge_l_is_the_share_of_words_in_common_and_in_order(said, expected, score):
    assert rouge_l(said, expected) == pytest.approx(score, abs=1e-12)
    assert rouge_l(expected, said) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(
    ("said", "expected", "equal"),
    [
        ("Paris.", "paris", True), ("in Paris", "paris", False), ("+", "-", False), ("ＡＢ", "ab", True),
        ("-1", "1", False), ("−1", "-1", True), ("-.5", ".5", False), ("+5", "5", True),
        ("3-5", "3, 5", True),
        ("c++", "c", False), ("C#.", "c#", True), ("A+", "A-", False), ("A-", "A", False),
        ("well-known", "well known", True), ("(yes!)", "Yes", True),
    ],
)  # fmt: skip
def test_answers_are_the_same_without_case_and_punctuation(said, expected, equal):
    assert same(said, expected) is equal


def write(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text, "answer": answer}) + "\n" for text, answer in rows)
    path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "places" / "train.jsonl", PLACES)
    write(tmp_path / "places" / "test.jsonl", ASKED)
    return tmp_path / "places"


def test_a_folder_of_examples_and_questions_is_a_task_that_is_kept_with_who_answered(folder, tmp_path):
    task = tasks.task_at(folder)
    assert task.kind == "prompts"
    wanted = Wanted(out=tmp_path / "out", completer=Copier())
    (found,) = evaluate(WordEmbedder(), [task], wanted)
    assert found.model == "words, answers by copier"
    assert evaluate(WordEmbedder(), [task], wanted) == [found]
    another = Copier(max_tokens=999)
    (again,) = evaluate(WordEmbedder(), [task], Wanted(out=tmp_path / "out", completer=another, again=True))
    assert another.prompts
    assert again.key != found.key


def test_without_a_language_model_or_examples_it_is_said_what_is_missing(folder: Path):
    with pytest.raises(UsageError, match="--completer"):
        evaluate(WordEmbedder(), [tasks.task_at(folder)], Wanted())
    alone = tasks.task_at(folder / "test.jsonl")
    with pytest.raises(UsageError, match=r"one file.*\n.*train.jsonl"):
        evaluate(WordEmbedder(), [alone], Wanted(completer=Copier()))
    (folder / "train.jsonl").unlink()
    with pytest.raises(UsageError, match="no file 'train'"):
        evaluate(WordEmbedder(), [tasks.task_at(folder)], Wanted(completer=Copier()))


def test_the_form_of_a_prompt():
    shown = prompt_of([("one", "1"), ("two", "2")], "three")
    assert shown == "Input: one\nOutput: 1\n\nInput: two\nOutput: 2\n\nInput: three\nOutput:"


# With a real network: a tiny GPT-2 with random weights.


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_gpt2(tmp_path_factory.mktemp("gpt2"))


def made_gpt2(folder: Path, window: int = 256, *, begins: bool = False) -> Path:
    """A GPT-2 of two layers with a tokenizer of bytes, which may put a token before every text."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(["<end>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<end> $A", special_tokens=[("<end>", 0)]
        )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(vocabulary), n_positions=window, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def completer(gpt2: Path, one_thread):
    from searchkit.embedding.completer import open_completer

    return open_completer(gpt2, device="cpu")


def test_greedy_completion_is_that_of_transformers(gpt2: Path, completer):
    import torch
    import transformers

    network = transformers.AutoModelForCausalLM.from_pretrained(gpt2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gpt2)
    for prompt in ("Input: a\nOutput:", "Input: what is it\nOutput:", "zz"):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.inference_mode():
            for _ in range(12):
                ids = torch.cat([ids, network(ids).logits[:, -1:].argmax(-1)], dim=1)
        expected = tokenizer.decode(ids[0, len(tokenizer(prompt).input_ids) :], skip_special_tokens=True)
        assert completer.complete(prompt, 12, stop="\x00") == expected.strip()


def test_likelihoods_are_those_of_each_answer_by_itself(gpt2: Path, completer):
    import torch
    import transformers

    network = transformers.AutoModelForCausalLM.from_pretrained(gpt2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gpt2)
    prompt, answers = "Input: a film\nOutput:", [" good\n\n", " b\n\n", " quite terrible\n\n"] * 4
    found = completer.log_likelihoods(prompt, answers)
    for answer, score in zip(answers, found, strict=True):
        start = tokenizer(prompt).input_ids
        ids = torch.tensor([start + tokenizer(answer).input_ids])
        with torch.inference_mode():
            logs = torch.log_softmax(network(ids).logits[0].double(), dim=-1)
        expected = sum(float(logs[place - 1, ids[0, place]]) for place in range(len(start), ids.shape[1]))
        assert score == pytest.approx(expected, abs=1e-4)


def test_a_prompt_beyond_the_window_loses_its_beginning(completer):
    assert completer.max_tokens == 256
    long = "x" * 1_000 + "end"
    assert completer.complete(long, 5) == completer.complete(long[-251:], 5)
    assert np.isfinite(completer.log_likelihoods(long, [" yes", " no"])).all()
    assert completer.complete(long, 256) == completer.complete("d", 256)  # no room but for the answer


def test_the_token_before_every_text_stays_when_a_prompt_loses_its_beginning(tmp_path, one_thread):
    from searchkit.embedding.completer import open_completer

    completer = open_completer(made_gpt2(tmp_path, begins=True), device="cpu")
    long = "x" * 1_000 + "end"
    # 256 of the window, 5 of the answer, 1 that stands before the text
    assert completer.complete(long, 5) == completer.complete(long[-250:], 5)
    one, other = (completer.log_likelihoods(text, [" yes"])[0] for text in (long, long[-251:]))
    assert one == other != completer.log_likelihoods(long[-252:-1], [" yes"])[0]


def test_a_window_without_room_for_question_and_answer_is_refused(tmp_path, completer):
    from searchkit.embedding.completer import open_completer

    with pytest.raises(ModelError, match="a window of 127 tokens, expected 128 or more"):
        open_completer(made_gpt2(tmp_path, 127), device="cpu")
    assert np.isfinite(completer.log_likelihoods("a", [" yes", "x" * 255])).all()
    with pytest.raises(UsageError, match=r"has 256 tokens; the window of .* leaves 255"):
        completer.log_likelihoods("a", [" yes", "x" * 256])


def test_an_evaluation_with_a_local_model_runs_from_the_command_line(folder, gpt2, monkeypatch, capfd):
    monkeypatch.setattr("searchkit.embedding.embedder.open_embedder", lambda *_, **__: WordEmbedder())
    write(folder / "test.jsonl", ASKED[:2])
    assert main.run(["eval", str(folder), "--completer", str(gpt2), "--json"]) == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert found["kind"] == "prompts"
    assert set(found["measures"]) == {"accuracy", "rouge_l", "random_accuracy", "random_rouge_l"}


def test_what_writes_no_text_is_refused(gpt2: Path, tmp_path: Path):
    from searchkit.embedding.completer import open_completer

    with pytest.raises(ModelError, match=r"writes no text.*BertModel(?s:.*)openai-community/gpt2"):
        open_completer(Path(__file__).parents[1] / "golden" / "bert-mean")
    for file in gpt2.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((gpt2 / "model.safetensors").read_bytes()[:-7])
    with pytest.raises(ModelError, match="cut off"):
        open_completer(tmp_path)
