"""What the pages show to whom: nothing that the key may not do, with and without script; and where a key lands."""

from __future__ import annotations

import re

import pytest

from tests.support.ring import OPERATOR_KEY, SmallRing, ask, make_key

BROWSER = {"Accept": "text/html"}
FOLDER, TRASH, CLUSTER = "/?prefix=shown/", "/trash?prefix=shown/", "/cluster-view"
# What stands in which page, and for whom: the scripts are held to the same by data-rights.
OFFERS = {
    FOLDER: {
        'id="new-folder"': "write",
        'action="/files" method="post"': "write",
        'id="choose-files"': "write",
        "js/uploads/main.js": "write",
        'id="drop-here"': "write",
        "curl -T FILE": "write",
        '/delete" aria-labelledby': "delete",
    },
    TRASH: {
        '/restore" aria-labelledby': "write",
        'id="empty-trash"': "delete",
        '/delete?permanent=true" aria-labelledby': "delete",
    },
    CLUSTER: {'data-act="drain"': "admin", 'data-act="check"': "admin"},
}


@pytest.fixture(scope="module")
def shown(keyed: SmallRing) -> SmallRing:
    """With a file to be seen, and one in the trash."""
    for path in ("shown/a", "shown/gone", "shown/inner/b", "elsewhere/c"):
        assert ask(keyed, "PUT", f"/fs/{path}", OPERATOR_KEY, data=b"x").status_code == 201
    assert ask(keyed, "DELETE", "/fs/shown/gone", OPERATOR_KEY).status_code == 200
    return keyed


def page(ring: SmallRing, target: str, key: str, status: int = 200) -> str:
    answer = ask(ring, "GET", target, key, headers=BROWSER)
    assert answer.status_code == status, answer.text
    return answer.text


def views(text: str) -> list[str]:
    navigation = text.partition('<nav class="views"')[2].partition("</nav>")[0]
    return re.findall(r'href="([^"]+)"', navigation)


def names(text: str) -> list[str]:
    return re.findall(
        r'<a id="n\d+" href="[^"]+">(.*?)</a>', text.partition('<tbody id="rows">')[2].partition("</tbody>")[0]
    )


@pytest.mark.parametrize(
    "rights", [["read"], ["read", "write"], ["read", "delete"], ["read", "write", "delete", "admin"]]
)
def test_a_page_offers_exactly_what_the_key_may_do(shown: SmallRing, rights: list[str]) -> None:
    key = make_key(shown, rights)["key"]
    for target, offers in OFFERS.items():
        text = page(shown, target, key)
        assert f'data-rights="{" ".join(rights)}"' in text
        assert {offer for offer in offers if offer in text} == {
            offer for offer, right in offers.items() if right in rights
        }


def test_a_key_that_may_only_read_is_told_so_and_has_nothing_to_pick_in_the_trash(shown: SmallRing) -> None:
    key = make_key(shown, ["read"])["key"]
    assert "Read only" in page(shown, FOLDER, key)
    assert 'class="list no-pick no-act"' in page(shown, TRASH, key)
    assert "Read only" not in page(shown, FOLDER, OPERATOR_KEY)


def test_the_header_leads_only_where_the_key_may_go(shown: SmallRing) -> None:
    for rights, prefix, expected in (
        (["read"], "", ["/", "/trash", "/cluster-view", "/docs"]),
        (["read", "write"], "shown/", ["/", "/trash", "/docs"]),
        (["write"], "", ["/docs"]),
        (["admin"], "", ["/cluster-view", "/docs"]),
    ):
        assert views(page(shown, "/docs", make_key(shown, rights, prefix=prefix)["key"])) == expected


@pytest.mark.parametrize("target", ["/", "/?prefix=", "/?prefix=sho", "/?search=sh"])
def test_a_key_bound_to_a_folder_lands_in_it(shown: SmallRing, target: str) -> None:
    text = page(shown, target, make_key(shown, ["read"], prefix="shown/")["key"])
    assert names(text) == ["inner", "a"]
    assert 'data-prefix="shown/"' in text


def test_a_key_bound_to_the_beginning_of_names_sees_them_in_their_folder(shown: SmallRing) -> None:
    text = page(shown, "/", make_key(shown, ["read"], prefix="shown/inn")["key"])
    assert names(text) == ["inner"]
    assert 'data-prefix="shown/"' in text
    assert 'name="search" value="inn"' in text


def test_folders_above_the_key_s_own_are_named_but_lead_nowhere(shown: SmallRing) -> None:
    text = page(shown, "/", make_key(shown, ["read"], prefix="shown/inner/")["key"])
    assert "<li><a>shown</a></li>" in text
    assert '<a href="/?prefix=shown%2Finner%2F" aria-current="page">inner</a>' in text


def test_another_folder_than_the_key_s_own_is_refused_and_not_shown(shown: SmallRing) -> None:
    key = make_key(shown, ["read"], prefix="shown/")["key"]
    assert "outside_prefix" in page(shown, "/?prefix=elsewhere/", key, 403)
    assert "outside_prefix" in page(shown, "/?prefix=shown&search=x", key, 403)
    assert names(page(shown, "/trash", key)) == ["shown/gone"]


def test_who_looks_after_the_cluster_but_may_read_nothing_is_led_there(shown: SmallRing) -> None:
    answer = ask(shown, "GET", "/", make_key(shown, ["admin"])["key"], headers=BROWSER)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/cluster-view")
    script = ask(shown, "GET", "/", make_key(shown, ["admin"])["key"])
    assert (script.status_code, script.json["code"]) == (403, "right_missing")


def test_a_key_that_may_only_write_is_told_why_and_can_sign_out(shown: SmallRing) -> None:
    client, key = shown.client, make_key(shown, ["write"])["key"]
    signed_in = client.post(
        "/sign-in", data={"key": key, "next": "/"}, headers={**BROWSER, "Sec-Fetch-Site": "same-origin"}
    )
    assert signed_in.status_code == 303
    refused = client.get("/", headers=BROWSER)
    assert refused.status_code == 403
    assert "the right read" in refused.text
    assert 'action="/sign-out"' in refused.text
    assert "Back to the files" not in refused.text
