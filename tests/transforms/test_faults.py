import pytest

from pagecast.dataset.sample import Article
from pagecast.dataset.shard import ArticleError
from transforms.errors import map_with_errors


class Panic(BaseException):
    """Like pyo3's PanicException, which is not an Exception."""


def process(article: Article) -> str:
    match article.text:
        case "bad":
            raise ValueError("too bad")
        case "panic":
            raise Panic("rust")
        case "disk":
            raise OSError(28, "No space left on device")
        case "stop":
            raise KeyboardInterrupt
    return article.text.upper()


def article(row: int, text: str) -> Article:
    return Article(row, f"w{row}", "", text)


def test_attempt_names_the_article_and_goes_on() -> None:
    items = [article(1, "a"), article(2, "bad"), article(3, "b"), article(4, "panic")]
    results, errors = map_with_errors("chew", items, process, lambda a: a)
    assert results == ["A", "B"]
    assert errors == (
        ArticleError(2, "w2", "chew", "ValueError: too bad"),
        ArticleError(4, "w4", "chew", "Panic: rust"),
    )


@pytest.mark.parametrize(("text", "error"), [("disk", OSError), ("stop", KeyboardInterrupt)])
def test_attempt_lets_trouble_pass_that_is_not_the_articles(
    text: str, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        map_with_errors("chew", [article(1, text)], process, lambda a: a)
