"""Source code and configuration: which lines open a definition, so that a passage can say where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from searchkit.documents.decode import decode, without_template_tags
from searchkit.documents.reading import LoadOptions, read_bytes, suffix_of
from searchkit.records import LINES, Document, Heading, SourceFile

HEADING_LINE = 300  # longer lines are data or minified, not definitions
HEADING_SHOWN = 80
INDENT_STEP = 2  # the smallest usual indentation; deeper is a lower level
TAB = 4
DEEPEST_KEY = 2  # indentation of a YAML key that still counts as a heading

_C_LIKE = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|partial|async|export|default|"
    r"declare|readonly|override|virtual|inline|const|unsafe|pub(?:\([^)]{0,20}\))?|extern|suspend|open|data)\s+)*"
    r"(?:class|interface|enum|struct|trait|impl|namespace|module|mod|record|protocol|extension|object|union|"
    r"func|function|fun|fn|def|type|message|service)\b\*?[ \t]+\S|impl<"
)
# A method without keyword: modifiers, a type, a name, parentheses, an opening brace at the end of the line.
_METHOD = (
    r"(?!(?:if|for|while|switch|catch|return|else|do|using|lock|with|throw|new|await|case)\b)"
    r"(?:[\w<>\[\],.*&?:~]{1,80}[ \t]+){0,6}[\w~:$]{1,80}[ \t]*\([^;{}]{0,200}\)[^;={}]{0,60}\{[ \t]*$"
)
_DEFINITIONS = {
    "python": r"(?:async[ \t]+)?def[ \t]+\w|class[ \t]+\w",
    "ruby": r"(?:class|module|def)[ \t]+\S",
    "shell": r"function[ \t]+\w|[\w:.-]{1,80}[ \t]*\(\)",
    "powershell": r"(?i:function|filter|class|enum|workflow)[ \t]+\S",
    "sql": r"(?i:create|alter)[ \t]+(?:\w+[ \t]+){0,4}(?i:table|view|function|procedure|trigger|schema)\b",
    "braces": rf"{_C_LIKE}|{_METHOD}",
    "go": r"(?:func|type)[ \t]+\S",
    "sections": r"\[{1,2}[^\]\n]{1,120}\]{1,2}[ \t]*$",
    "keys": r"[\w\"'./-]{1,80}:(?:[ \t]*$|[ \t]*[|>&])",
    "terraform": r"(?:resource|data|module|variable|output|provider|locals|terraform)\b[^=]{0,200}\{",
    "css": r"@?[^{};/\s][^{};]{0,200}\{[ \t]*$",
}
_SUFFIXES = {
    "python": ".py .pyi .pyx",
    "ruby": ".rb .rake .ex .exs",
    "shell": ".sh .bash .zsh .ksh",
    "powershell": ".ps1 .psm1 .psd1",
    "sql": ".sql",
    "go": ".go",
    "sections": ".toml .ini .cfg .conf",
    "keys": ".yaml .yml",
    "terraform": ".tf .hcl",
    "css": ".css .scss .less",
    "braces": ".js .mjs .cjs .jsx .ts .mts .cts .tsx .rs .java .kt .kts .scala .groovy .gradle .c .h .cc "
    ".cpp .cxx .hpp .hh .cs .php .swift .m .mm .dart .proto .pl .pm .lua .vb .fs .thrift .graphql "
    ".vue .svelte",
    "": ".json .json5 .jsonc .xml .xsd .xsl .properties .bat .cmd .r .jl .erl .hs .clj .ml",
}
_LANGUAGES = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_OPENING_BRACE = re.compile(r"\{\s*$")
# Comments and decorators above a definition.
_LEAD_IN = re.compile(r"[ \t]*(?:@\w|#(?!!)|//|/\*|\*|--)")

CODE_SUFFIXES = tuple(_LANGUAGES)


def load_code(source: SourceFile, options: LoadOptions) -> Iterator[Document]:
    """Yield one Document whose text is the file's; its headings are the lines that open definitions."""
    text, encoding = decode(read_bytes(source, options.limits))
    text = without_template_tags(source.name, text)
    language = _LANGUAGES.get(suffix_of(source.name), "")
    yield Document(
        name=source.name,
        kind="code",
        text=text,
        title="",
        headings=tuple(definitions(text, language)) if language else (),
        marks=LINES,
        metadata={"encoding": encoding} if encoding else {},
    )


def definitions(text: str, language: str) -> Iterator[Heading]:
    """Yield the definitions of `text` in `language`; indentation gives the level.

    One starts where the comments and decorators directly above its line start, so that they stay with it.
    """
    pattern = re.compile(rf"[ \t]*(?:{_DEFINITIONS[language]})")
    deepest = DEEPEST_KEY if language == "keys" else HEADING_LINE
    position, lead_in = 0, -1
    for line in text.split("\n"):
        if len(line) <= HEADING_LINE and pattern.match(line):
            wide = line.expandtabs(TAB)
            indent = len(wide) - len(wide.lstrip())
            shown = _OPENING_BRACE.sub("", line).strip(" \t:;")[:HEADING_SHOWN]
            if indent <= deepest and any(char.isalnum() for char in shown):
                start = position if lead_in < 0 else lead_in
                yield Heading(start=start, level=1 + indent // INDENT_STEP, text=shown)
            lead_in = -1
        elif not _LEAD_IN.match(line):
            lead_in = -1
        elif lead_in < 0:
            lead_in = position
        position += len(line) + 1
