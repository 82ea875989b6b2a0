"""Templates in the reader's language.

Security: everything is escaped by the template engine; the CSP forbids whatever gets past that.
"""

from functools import lru_cache
from pathlib import Path

import jinja2

from gateway import i18n
from gateway.web import keys
from gateway.web.pages import phrases, words

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGES = ("nb", "en")
"""Those that the pages are written in; others see English."""


def language(accepted: str, preferred: str = "") -> str:
    """What the reader prefers, else the first of those that the browser accepts."""
    names = (preferred, *(part.partition(";")[0] for part in accepted.split(",")))
    return next((name for name in map(i18n.find, names) if name in LANGUAGES), "en")


def render(template: str, language: str, **facts: object) -> str:
    return _environment(language).get_template(template).render(facts)


@lru_cache(maxsize=8)
def _environment(language: str) -> jinja2.Environment:
    texts = i18n.catalogue(language)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        texts.gettext, texts.ngettext, newstyle=True, pgettext=texts.pgettext
    )
    environment.globals |= {
        "path": keys.path,
        "phrases": phrases,
        "words": words,
        "language": language,
    }
    return environment
