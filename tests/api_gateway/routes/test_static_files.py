"""`/static`: what lies in its folder, with the right types, and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api_gateway.routes.slim import slim, without_comments
from api_gateway.routes.static_files import FOLDER, TYPES, read_static, takes_gzip


def test_every_file_of_the_folder_is_served_as_what_it_is(browser: FlaskClient) -> None:
    names = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()]
    assert names
    for name in names:
        answer = browser.get(f"/static/{name}")
        text = (FOLDER / name).read_text(encoding="utf-8")
        is_code = name.endswith((".js", ".css"))
        assert (answer.status_code, answer.text) == (200, slim(text, Path(name).suffix) if is_code else text)
        assert answer.headers["Content-Type"] == TYPES[Path(name).suffix]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_who_takes_it_gets_the_same_compressed(browser: FlaskClient) -> None:
    plain = browser.get("/static/css/base.css")
    small = browser.get("/static/css/base.css", headers={"Accept-Encoding": "br, gzip"})
    assert gzip.decompress(small.data) == plain.data
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert small.headers["ETag"] != plain.headers["ETag"]


@pytest.mark.parametrize(
    ("accepted", "is_taken"),
    [
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q = 0.000", False),
        ("x-gzip, deflate", False),
    ],
)
def test_gzip_is_taken_where_it_is_named(accepted: str, is_taken: bool) -> None:
    assert takes_gzip(accepted) is is_taken


def test_a_second_visit_costs_no_content(browser: FlaskClient) -> None:
    for coding in ("identity", "gzip"):
        accepted = {"Accept-Encoding": coding}
        first = browser.get("/static/css/base.css", headers=accepted)
        assert first.headers["Cache-Control"] == "no-cache"
        tag = first.headers["ETag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = browser.get("/static/css/base.css", headers={"If-None-Match": known, **accepted})
            assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
        assert browser.get("/static/css/base.css", headers={"If-None-Match": '"other"', **accepted}).data == first.data


def test_only_lines_that_are_comments_are_left_out() -> None:
    code = """/** One.
 * Two. */
// three
export const a = "// no comment"; // behind code

  /* four */
  const b = `/* none */`; /* nor
  this */
"""
    assert (
        without_comments(code)
        == """export const a = "// no comment"; // behind code
const b = `/* none */`; /* nor
this */
"""
    )


def test_spaces_between_signs_are_left_out_and_no_others() -> None:
    for line, slimmed in {
        "const { a, b } = f(x => x + +y, [1, - -2]);": "const{a,b}=f(x=>x + +y,[1,- -2]);",
        'return a ? "b : c,  d" : `e , ${ f }`;': 'return a?"b : c,  d":`e , ${ f }`;',
        'if (a && "b \\" , c" !== d) return [e];': 'if(a&&"b \\" , c"!==d)return[e];',
        'import { a } from "./b.js";': 'import{a}from "./b.js";',
        "let g = h / i , j;": "let g = h / i , j;",
        "f(/ , /, '{ }'); // g , h": "f(/ , /, '{ }'); // g , h",
        "`a ${b ? `c , d` : e}`": "`a ${b ? `c , d` : e}`",
    }.items():
        assert slim(f"{line}\n", ".js") == f"{slimmed}\n"
    sheet = (
        '.a > .b, .c :not(d, e) {\n  margin: calc(1px - 2px);\n  content: "f , g";\n}\n@media (x: 1rem) { i { j: k } }'
    )
    assert slim(sheet, ".css") == (
        '.a > .b,.c :not(d,e){margin:calc(1px - 2px);content:"f , g";}@media (x:1rem){i{j:k}}'
    )


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.js")), ids=lambda path: path.name)
def test_no_text_of_a_module_spans_lines(path: Path) -> None:
    """Else its lines could be taken for comments, and would lose their indentation."""
    for line in without_comments(path.read_text(encoding="utf-8")).splitlines():
        assert line.count("`") % 2 == 0, line


@pytest.mark.parametrize(
    "name",
    [
        "",
        "css",
        "css/",
        "../app.py",
        "%2e%2e/app.py",
        "..%2fapp.py",
        "css/../../app.py",
        "/etc/passwd",
        "css%00",
        "CSS/base.css",
    ],
)
def test_nothing_else_is(browser: FlaskClient, name: str) -> None:
    assert browser.get(f"/static/{name}").status_code == 404


def test_files_of_other_types_are_not_taken_in(tmp_path: Path) -> None:
    for name in ("a.css", "sub/b.js", "page.html", ".hidden", "c.css~", "d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert set(read_static(tmp_path)) == {"a.css", "sub/b.js"}
