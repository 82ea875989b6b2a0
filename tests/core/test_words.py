"""A person's own words: beside quotations, small print, footers and marks of pictures; in the
Subject where there are none.
"""

import pytest

from gateway.mail import quoting

QUOTE = "> Kari invites you.\n>\n> When: Tuesday, 2 March 2027, 09:00-10:00\n"
ENGLISH = "On Sun, 29 Nov 2026 at 11:22, Kari Nordmann <invites@crm.example> wrote:\n"
WRAPPED = "On Sun, 29 Nov 2026 at 11:22, Kari Nordmann via Firma\nAS <invites@crm.example> wrote:\n"
FINNISH = "su 29.11.2026 klo 11.22 Kari Nordmann (invites@crm.example) kirjoitti:\n\n"
CZECH = "Dne 29. 11. 2026 v 11:22 Kari Nordmann via Firma AS\nnapsal(a) pro mnoho lidí:\n"
NORWEGIAN = "søn. 29. nov. 2026 kl. 11:22 skrev Kari Nordmann <invites@crm.example>:\n\n"
OUTLOOK = "From: Kari <k@crm.example>\nSent: 29 November 2026\nTo: Ola\nSubject: Kick-off\n\nKari invites you"
SMALL_PRINT = (
    "This e-mail and any attachments are confidential and intended solely for the\n"
    "use of the individual or entity to whom they are addressed. Should you have\n"
    "received it in error, please notify its sender.\n"
)
LONG_SMALL_PRINT = "Denne e-posten kan inneholde fortrolige opplysninger. " * 20


@pytest.mark.parametrize("head", [ENGLISH, WRAPPED, FINNISH, CZECH, NORWEGIAN, ""])
@pytest.mark.parametrize("more", ["", "-- \nOla Hansen\n"])
def test_words_below_a_quotation(head: str, more: str) -> None:
    words = quoting.own_words(f"{head}{QUOTE}\nNeste uke passer.\n\n{more}")
    assert words == "\n\n".join(
        ["Neste uke passer.", *([more.replace("-- ", "--").strip()] if more else [])]
    )


@pytest.mark.parametrize("head", [ENGLISH, WRAPPED, FINNISH, NORWEGIAN])
def test_words_between_and_on_both_sides(head: str) -> None:
    body = f"Hei\n\n{head}{QUOTE}\nKan vi ta det klokka elleve?\n{QUOTE}Rom 3 er større.\n{QUOTE}"
    assert quoting.own_words(body) == "Hei\n\nKan vi ta det klokka elleve?\n\nRom 3 er større."


def test_words_below_a_long_quotation() -> None:
    assert quoting.own_words(ENGLISH + "> a line of an agenda\n" * 2_000 + "\nJa.") == "Ja."


def test_a_line_that_announces_answers_is_the_writers() -> None:
    assert quoting.own_words(f"My answers:\n{QUOTE}yes") == "My answers:\n\nyes"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"Nei.\n\n{OUTLOOK}", "Nei."),
        (f"Nei.\n\n{'_' * 32}\n{OUTLOOK}", "Nei."),
        (f"{ENGLISH}\nKari invites you\n\nto a meeting", ""),
        (OUTLOOK, ""),
    ],
)
def test_below_a_header_without_marks_all_is_quoted(body: str, words: str) -> None:
    assert quoting.own_words(body) == words


@pytest.mark.parametrize(
    "body",
    [
        "Sent from my iPhone",
        "[image: IMG_0001.jpg]\n\nSendt fra min iPad\n",
        "[cid:image001.png@01D9]",
        "\ufffc\n",
        "-- \nOla Hansen\nFirma AS",
        "\u200b\u200d\ufeff\n\u00ad",
        LONG_SMALL_PRINT,
        SMALL_PRINT,
    ],
)
def test_what_programs_and_companies_add_is_no_word(body: str) -> None:
    assert quoting.own_words(f"{body}\n\n{ENGLISH}{QUOTE}") == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"I am ill.\n\n{SMALL_PRINT}", "I am ill."),
        (f"I am ill.\n{LONG_SMALL_PRINT}", "I am ill."),
        (f"I am ill.\nOla\n{SMALL_PRINT}", "I am ill.\nOla"),
        (f"DISCLAIMER\n{SMALL_PRINT}\nI am ill.", "I am ill."),
        (
            "CAUTION: This email originated from outside of the organization.\nI am ill.",
            "I am ill.",
        ),
        (
            "This message is confidential: I am leaving.\nDo not tell Eva.",
            "This message is confidential: I am leaving.\nDo not tell Eva.",
        ),
        (
            "Hei\nEposten din kom til meg ved en feil.\nOla",
            "Hei\nEposten din kom til meg ved en feil.\nOla",
        ),
    ],
)
def test_small_print_is_cut_and_nothing_else(body: str, words: str) -> None:
    assert quoting.own_words(body) == words


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\u200bJa\u2060,\u00ad jeg\u200d kommer\u202e", "Ja, jeg kommer"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\u200c\u00a0\u200c\u00a0Ja", "\u00a0\u00a0Ja"),
    ],
)
def test_what_draws_nothing_is_cut(text: str, seen: str) -> None:
    assert quoting.visible(text) == seen


SENTENCE = "Ola Hansen hat die Einladung zum folgenden Termin angenommen:\n\n*Kick-off*\n\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Ill.\n\nWhen: Tuesday 09:00 (UTC+01:00)\nWhere: Room 2\n\n*~*~*~*~*~*\n\nx", "Ill."),
        ("Ill.\n\nWann: Dienstag 09:00\nWo:\n\nx", "Ill."),
        ("Ill.\n\nWhen: Tuesday 09:00\n\n*~*~*~*~*~*~*~*~*~*\n\nx", "Ill."),
        ("Ill.\n\n-----Original Appointment-----\nFrom: Kari", "Ill."),
        ("Ola has accepted.\n\nWhen: 2027-03-02\n\nInvitees: Ola", ""),
        (f"{SENTENCE}Wann: 2027-03-02\nWo: Oslo\n", ""),
        (f"Bis dann!\n\n{SENTENCE}Wann: 2027-03-02\nWo: Oslo\n", "Bis dann!"),
        (f"{LONG_SMALL_PRINT}\n\nWhen: 2 March\nWhere: Oslo\n", ""),
        (f"Ill\u200b.\n\n{SMALL_PRINT}\nWhen: 2 March\nWhere: Oslo\n", "Ill."),
    ],
)
def test_a_remark_stands_above_a_copy_of_the_appointment(body: str, words: str) -> None:
    assert quoting.remark(body) == words


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("Re: Invitation: Kick-off - sorry, I cannot", "Invitation: Kick-off - sorry, I cannot"),
        ("Cannot come, am ill", "Cannot come, am ill"),
        ("Declined: Kick-off", "Declined: Kick-off"),
        ("SV: [EXTERN] Invitation: Kick-off (2 Mar 2027, 09:00)", ""),
        ("AW: Please answer again: Kick-off (2 Mar 2027, 09:00)", ""),
        ("Kick-off", ""),
        ("Re:", ""),
        ("", ""),
    ],
)
def test_what_a_subject_says_beside_ours(subject: str, words: str) -> None:
    assert quoting.subject_words(subject, ["Kick-off", ""]) == words
