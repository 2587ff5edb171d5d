import pytest

from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import BOOKS_BY_REGION, GAME_MARKETS, books_of, with_lay


def test_regions() -> None:
    assert list(BOOKS_BY_REGION) == ["us", "us2", "us_dfs", "us_ex", "uk", "eu", "fr", "se", "au"]
    assert all(books == tuple(sorted(set(books))) for books in BOOKS_BY_REGION.values())
    assert {region: len(books) for region, books in BOOKS_BY_REGION.items()} == {
        **{"us": 11, "us2": 10, "us_dfs": 4, "us_ex": 5, "uk": 20, "eu": 28, "fr": 5, "se": 13, "au": 13}
    }


def test_a_book_of_two_regions_is_there_once() -> None:
    books = books_of(["us", "eu"])
    assert books.count("betonlineag") == 1
    assert list(books) == sorted(books)
    assert books_of([]) == ()


def test_an_unknown_region_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="nearest is 'us_dfs'") as caught:
        books_of(["us", "usdfs"])
    assert caught.value.code == "UNKNOWN_REGION"


def test_markets() -> None:
    assert with_lay(("h2h", "spreads")) == ("h2h", "h2h_lay", "spreads")
    assert with_lay(("outrights",)) == ("outrights", "outrights_lay")
    assert with_lay(()) == ()
    assert {"alternate_team_totals_q4", "h2h_3_way_p1", "totals_1st_5_innings", "outrights_lay"} <= set(GAME_MARKETS)
