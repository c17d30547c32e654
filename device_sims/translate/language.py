"""mumax3's script language, a small part of Go's: text to a tree of `Node`.

A new line ends a statement where Go puts a semicolon: after a name, a number, a text, a closing bracket or ``++``.
Names do not mind case, keywords do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

from spinloom.errors import UserError

GRAMMAR = r"""
start: items
items: stmt? (SEMI stmt?)*
block: "{" items "}"

?stmt: expr | assign | for | if | block
assign: expr ASSIGN expr | expr STEP
for: "for" simple? SEMI expr? SEMI simple? block   -> counted
   | "for" expr? block                             -> while
?simple: expr | assign
if: "if" expr block ("else" (if | block))?

?expr: conjunction | expr "||" conjunction   -> or
?conjunction: comparison | conjunction "&&" comparison   -> and
?comparison: sum | comparison COMPARE sum   -> binary
?sum: product | sum (PLUS | MINUS) product   -> binary
?product: unary | product (TIMES | OVER | MODULO) unary   -> binary
?unary: postfix | MINUS unary -> unary | PLUS unary -> unary | NOT unary -> unary
?postfix: atom
   | postfix "." NAME                  -> attribute
   | postfix "(" (expr ("," expr)* ","?)? ")"   -> call
   | postfix "[" expr "]"              -> index
?atom: NAME -> name | NUMBER -> number | STRING -> text | "(" expr ")"

ASSIGN: ":=" | "+=" | "-=" | "*=" | "/=" | /=(?!=)/
STEP: "++" | "--"
COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
MODULO: "%"
NOT: /!(?!=)/
NAME: /[^\W\d]\w*/
NUMBER.2: /0[xX][0-9a-fA-F]+|(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?/
STRING: /"(\\.|[^"\\\n])*"|`[^`]*`/
SEMI: ";"
NEWLINE: /\r?\n/
COMMENT: /\/\/[^\n]*|\/\*(.|\n)*?\*\//
BLANK: /[ \t\f\ufeff]+/
%ignore COMMENT
%ignore BLANK
"""

ENDING = {"NAME", "NUMBER", "STRING", "STEP", "RPAR", "RSQB", "RBRACE"}  # tokens after which a new line is a semicolon


@dataclass(frozen=True)
class Node:
    """A part of a script: its kind, its parts, and the line on which it begins."""

    kind: str
    parts: tuple[Any, ...]
    line: int


class _Semicolons:
    """Puts Go's semicolons in place of new lines."""

    always_accept = ("NEWLINE",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        last = ""
        for token in stream:
            if token.type != "NEWLINE":
                last = token.type
                yield token
            elif last in ENDING:
                last = "SEMI"
                yield Token.new_borrow_pos("SEMI", ";", token)


@v_args(meta=True)
class _Tree(Transformer):
    """Makes nodes of lark's trees, with values in place of tokens."""

    def __default__(self, data, children, meta) -> Any:
        kept = [child for child in children if not (isinstance(child, Token) and child.type == "SEMI")]
        return Node(str(data), tuple(kept), meta.line if not meta.empty else 0)

    def counted(self, meta, children):
        parts: list[Any] = [None, None, None]
        at = 0
        for child in children[:-1]:
            if isinstance(child, Token) and child.type == "SEMI":
                at += 1
            else:
                parts[at] = child
        return Node("counted", (*parts, children[-1]), meta.line)

    def name(self, meta, children):
        return Node("name", (str(children[0]).lower(), str(children[0])), meta.line)

    def attribute(self, meta, children):
        return Node("attribute", (children[0], str(children[1]).lower()), meta.line)

    def number(self, meta, children):
        text = str(children[0]).replace("_", "")
        if text.isdecimal() or text[:2].lower() == "0x":
            return Node("value", (int(text, 16) if "x" in text.lower() else int(text),), meta.line)
        return Node("value", (float(text),), meta.line)

    def text(self, meta, children):
        literal = str(children[0])
        return Node("value", (literal[1:-1] if literal[0] == "`" else ast.literal_eval(literal),), meta.line)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic", propagate_positions=True, postlex=_Semicolons())


def parse(text: str, name: str) -> Node:
    """Return a script as a tree.

    Parameters
    ----------
    text : str
    name : str
        Of the file, for errors.

    Raises
    ------
    UserError
        If it is not of mumax3's language, with the line.
    """
    try:
        return _Tree().transform(_parser().parse(text + "\n"))
    except UnexpectedInput as error:
        lines = text.splitlines()
        line = error.line if 0 < (error.line or 0) <= len(lines) else len(lines)
        shown = lines[line - 1].strip() if lines else ""
        raise UserError(
            f"{name}: line {line}: found '{shown[:60]}', which cannot be read from column {error.column}, allowed: "
            "mumax3's script language"
        ) from None
