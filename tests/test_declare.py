"""Declarations of what a user writes: checks, errors, defaults, schema, on a section of their own."""

from datetime import date
from typing import Annotated, Literal, Self

import pytest
from pydantic import Field, ValidationError, model_validator

from spinloom.declare import Flag, Number, OneOf, Real, Section, Whole, compose, key, partial, schema, some_given
from spinloom.errors import UserError

known = ["llg"]


class Track(Section):
    """The strip."""

    length_m: Real = key("Length.", gt=0, le=1e-5)
    cells: Whole | None = key("Number of cells.", None, ge=2)
    ends: Literal["sharp", "round"] = key("Shape of the ends.", "sharp")
    centres_m: tuple[Annotated[Real, Field(ge=0)], ...] = key("Centres.", (), max_length=2)
    RA_ohm_m2: Real | None = key("Resistance-area product.", absent=True, gt=0)


class Limits(Section):
    """At least one of them."""

    low: Real | None = key("Least.", absent=True)
    high: Real | None = key("Most.", absent=True)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        return some_given(self, type(self).model_fields)


class Top(Section):
    """A small config."""

    track: Track = key("The strip.")
    spare: Track | None = key("Another one.", None)
    engine: Annotated[str, OneOf(lambda: known)] = key("Engine.", "llg")
    demag: Flag = key("Whether there is a stray field.", True)
    some: Limits | None = key("Limits.", None)
    named: dict[Annotated[str, Field(pattern="^[a-z]+$")], Number | None] = key("Numbers by name.", dict)


TRACK = {"length_m": 1e-6}


def test_defaults_are_filled_in_and_numbers_have_the_type_of_their_key():
    made = Top.parse({"track": {"length_m": "2e-6", "cells": 8.0}, "named": {"a": 4.0, "b": 0.5}}, "f")
    assert made.dump() == {
        "track": {"length_m": 2e-6, "cells": 8, "ends": "sharp", "centres_m": []},
        "spare": None,
        "engine": "llg",
        "demag": True,
        "some": None,
        "named": {"a": 4, "b": 0.5},
    }
    assert type(made.track.cells) is int and type(made.named["a"]) is int
    assert made.track.RA_ohm_m2 is None and "RA_ohm_m2" not in made.track.dump()
    with pytest.raises(ValidationError, match="frozen"):
        made.demag = False


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "top level: key 'track' is missing"),
        ([1], "top level: found [1], allowed: object"),
        ({"track": 5}, "track: found 5, allowed: object"),
        ({"track": {}}, "track: key 'length_m' is missing"),
        ({"track": {"length_m": True}}, "track.length_m: found true, allowed: number"),
        ({"track": {"length_m": "wide"}}, "track.length_m: found wide, allowed: number"),
        ({"track": {"length_m": 0}}, "track.length_m: found 0, allowed: more than 0"),
        ({"track": {"length_m": 1}}, "track.length_m: found 1, allowed: at most 1e-5"),
        ({"track": {"length": 1}}, "track: found unknown key 'length' (did you mean 'length_m'?), allowed: RA_ohm_m2"),
        ({"track": TRACK | {"cells": 2.5}}, "track.cells: found 2.5, allowed: integer or null"),
        ({"track": TRACK | {"ends": "blunt"}}, "track.ends: found blunt, allowed: sharp, round"),
        ({"track": TRACK | {"centres_m": [0, -1]}}, "track.centres_m.1: found -1, allowed: at least 0"),
        ({"track": TRACK | {"centres_m": [0, 1, 2]}}, "track.centres_m: found [0, 1, 2], allowed: at most 2 entries"),
        ({"track": TRACK, "demag": 1}, "demag: found 1, allowed: boolean"),
        ({"track": TRACK, "engine": "lgl"}, "engine: found lgl, allowed: llg"),
        ({"track": TRACK, "named": {"A b": 1}}, "named: found A b, allowed: text that matches ^[a-z]+$"),
        ({"track": TRACK, "named": {"a": "x"}}, "named.a: found x, allowed: integer or number or null"),
        ({"track": {"length_m": float("inf")}}, "track.length_m: found Infinity, allowed: finite numbers up to 2^53"),
        ({"track": {"length_m": 2**60}}, f"track.length_m: found {2**60}, allowed: finite numbers up to 2^53"),
        ({"track": TRACK | {"RA_ohm_m2": None}}, "track.RA_ohm_m2: found null, allowed: a value, or leave the key out"),
        ({"track": TRACK | {"RA_ohm_m2": -1}}, "track.RA_ohm_m2: found -1, allowed: more than 0"),
        ({"track": TRACK | {"cells": 1e300}}, "track.cells: found 1e+300, allowed: integer or null"),
        ({"track": {"lenght_m": 1}}, "track: found unknown key 'lenght_m' (did you mean 'length_m'?), allowed: RA_ohm"),
        ({"track": TRACK, 7: 1}, "top level: found unknown key '7', allowed: demag, engine, named, some, spare, track"),
        ({"track": {**TRACK, None: 1}}, "track: found unknown key 'null', allowed: RA_ohm_m2, cells"),
        ({"track": TRACK, "named": {2.5: 1}}, "named: found 2.5, allowed: string"),
        ({"track": TRACK, "named": {None: "x"}}, "named: found null, allowed: string"),
        ({"track": {date(2026, 1, 1): 1}}, "track: found unknown key '\"2026-01-01\"', allowed: RA_ohm_m2, cells"),
        (
            {"track": TRACK, "named": {"a": {date(2026, 1, 1): 1}}},
            "named.a: found {datetime.date(2026, 1, 1): 1}, ",
        ),
        ({"track": TRACK, "some": {}}, "some: found none of these keys, allowed: one or more of high, low"),
        # the deepest of several is told
        ({"track": TRACK | {"cells": 1}, "spars": 1}, "track.cells: found 1, allowed: at least 2"),
    ],
)
def test_an_error_is_one_line_with_key_found_and_allowed(content, message):
    with pytest.raises(UserError) as error:
        Top.parse(content, "f.yaml")
    assert str(error.value).startswith(f"f.yaml: {message}") and "\n" not in str(error.value)


def test_the_names_of_plug_ins_are_those_of_the_moment(monkeypatch):
    monkeypatch.setattr("tests.test_declare.known", ["llg", "mine"])
    assert Top.parse({"track": TRACK, "engine": "mine"}, "f").engine == "mine"
    assert schema(Top)["properties"]["engine"]["enum"] == ["llg", "mine"]


def test_a_partial_section_keeps_what_was_said_alone():
    part = partial("Part", Top).parse({"track": {"length_m": 1}} | {"track": TRACK}, "f")
    assert part.model_dump(mode="json", exclude_unset=True) == {"track": TRACK}
    with pytest.raises(UserError, match="f: track.length_m: found 0, allowed: more than 0"):
        partial("Part", Top).parse({"track": {"length_m": 0}}, "f")


def test_composed_sections_are_keys_of_their_own():
    whole = compose("Whole", Top, {"strip": Track})
    assert whole.parse({"track": TRACK, "strip": TRACK}, "f").dump()["strip"]["ends"] == "sharp"
    assert "strip" not in whole.parse({"track": TRACK}, "f").dump()
    assert schema(whole)["properties"]["strip"]["description"] == "The strip."


def test_the_schema_has_bounds_defaults_and_no_references():
    rules = schema(Top)
    assert rules["required"] == ["track"] and rules["additionalProperties"] is False
    track = rules["properties"]["spare"]
    assert track["type"] == ["object", "null"] and track["default"] is None
    assert track["properties"]["length_m"] == {
        "description": "Length.", "type": "number", "exclusiveMinimum": 0, "maximum": 1e-5,
    }  # fmt: skip
    assert track["properties"]["cells"]["minimum"] == 2 and track["properties"]["cells"]["type"] == ["integer", "null"]
    assert "default" not in track["properties"]["RA_ohm_m2"] and track["properties"]["RA_ohm_m2"]["type"] == "number"


class Nested(Section):
    """A section that may lie in itself."""

    value: Real = key("A number.", 0)
    of: tuple["Nested", ...] = key("More of it.", ())


def test_a_section_may_lie_in_itself():
    assert Nested.parse({"of": [{"of": [{"value": 1}]}]}, "a").of[0].of[0].value == 1
    with pytest.raises(UserError, match="a: of.0.of.1.value: found x, allowed: number"):
        Nested.parse({"of": [{"of": [{}, {"value": "x"}]}]}, "a")
    once = schema(Nested)["properties"]["of"]["items"]
    assert once == {"type": "object", "description": "As the nested around it."}
