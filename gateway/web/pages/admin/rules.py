"""The rules that a message met, in words (docs/rules.md). What a rule said of this very message
stands beside it in the gateway's own words.
"""

from gateway.i18n import marked
from gateway.model import Outcome

OUTCOMES = {
    Outcome.APPLIED: marked("The answer was taken"),
    Outcome.UNCHANGED: marked("It changes nothing"),
    Outcome.DUPLICATE: marked("It had its effect before"),
    Outcome.OLD_ANSWER: marked("A newer answer counts"),
    Outcome.SEEN: marked("The letter was seen"),
    Outcome.PROPOSAL: marked("Another time is asked for"),
    Outcome.DELEGATED: marked("Passed on to somebody else"),
    Outcome.REFRESHED: marked("The invitation is sent again"),
    Outcome.AWAY: marked("An automatic reply: somebody is away"),
    Outcome.COMMENT: marked("Words for the owner"),
    Outcome.BOUNCED: marked("A letter did not arrive"),
    Outcome.DELAYED: marked("A letter is late"),
    Outcome.DELIVERED: marked("A letter arrived"),
    Outcome.HELD: marked("Held: a person has to decide"),
    Outcome.PARTY_CRASHER: marked("From somebody who is not invited"),
    Outcome.UNKNOWN_INVITATION: marked("About an invitation that nobody knows"),
    Outcome.CLOSED: marked("It is cancelled, removed or over"),
    Outcome.NOT_AN_ANSWER: marked("Not an answer"),
    Outcome.MALFORMED: marked("Nothing in it can be understood"),
    Outcome.TOO_LARGE: marked("Too large to be read"),
    Outcome.IGNORED: marked("Set aside"),
}
KEYS = marked("What the message offers to find its row by")
ORDER = marked("How it compares with the answer that was taken last")
TIME = marked("Which time orders the answer")
DATE = marked("Which date is meant")
OLD = marked("It is from before the last move")
AGAIN = marked("It had its effect before")
RULES = {
    "kind": marked("What kind of message it is"),
    "probe": marked("A letter of the gateway to itself"),
    "sender": marked("Who sent it, and whether our own server vouches for that"),
    "token_key": KEYS,
    "uid_key": KEYS,
    "message_id_key": KEYS,
    "address_key": KEYS,
    "token": marked("It came to the token of a row"),
    "bounce_mark": marked("A report that came to the bounce address of a letter"),
    "bounce_recipient": marked("A report that names the token and the address of the row"),
    "bounce_unmarked": marked("A report about a letter of an earlier program"),
    "bounce_message_id": marked("A report that names a letter to the row"),
    "bounce_uid": marked("A report that names the row's follow-up and address"),
    "bounce_prose": marked("A report in words that came elsewhere: only its words are kept"),
    "bounce_untied": marked("A report that belongs to no letter"),
    "token_known_sender": marked("The token, and a sender who is known: it counts"),
    "dmarc_fail": marked("Our own mail server says that the sender is forged"),
    "token_robot": marked("The token, sent by a robot of the same organisation: it counts"),
    "token_forwarded": marked("The token, but somebody else sent it"),
    "token_of_another": marked("The token belongs to one follow-up, the UID to another"),
    "other_entry": marked("It is about another entry of the invitee's calendar"),
    "passed_on_letter": marked("A participant answers from the letter to another one"),
    "speaks_for_another": marked("A participant answers for another one"),
    "alias": marked("The token, but an address that is not known: the same person?"),
    "former_address": marked("It comes from the address that the invitee had before"),
    "message_id": marked("It replies to a letter of ours"),
    "uid_authenticated": marked("UID and address agree, and the sender is authenticated"),
    "uid_unauthenticated": marked("UID and address agree; authentication is not required here"),
    "uid_held": marked("UID and address agree, but the sender is not authenticated"),
    "which_date": marked("Invited to several dates, and the answer names none"),
    "party_crasher": marked("From somebody who is not invited"),
    "unknown": marked("Neither UID nor token is known"),
    "appointed": marked("A person said whose answer it is"),
    "returned": marked("A letter of ours came back with it, which does not count"),
    "link_check": marked("The answer link is not whole: it counts as text only"),
    "same_bytes": AGAIN,
    "repeat": AGAIN,
    "closed": marked("It is cancelled, removed or over"),
    "old_time": OLD,
    "old_date": OLD,
    "first": ORDER,
    "newer": ORDER,
    "same_key": ORDER,
    "overtaken": ORDER,
    "dtstamp": TIME,
    "dtstamp_missing": TIME,
    "dtstamp_early": TIME,
    "dtstamp_echoed": TIME,
    "dtstamp_future": TIME,
    "this_and_future": DATE,
    "lost_recurrence_id": DATE,
    "no_such_date": DATE,
    "date_gone": DATE,
    "needs_action": marked("It answers nothing"),
    "reply_as_counter": marked("A reply that asks for another time"),
    "counter": marked("Another time is asked for"),
    "refresh": marked("The invitation is asked for again"),
    "receipt": marked("The letter was displayed"),
    "receipt_message_id": marked("The receipt names a letter to the row"),
    "receipt_untied": marked("The receipt belongs to no letter of the row"),
    "complaint": marked("An abuse report, which is nobody's words"),
    "delegated": marked("Passed on to somebody else"),
    "auto_reply": marked("An automatic reply"),
    "text": marked("A person's own words"),
    "untied": marked("It names no invitation of ours"),
    "unread": marked("Nothing in it can be understood, but it came to a token"),
}


def words(name: str) -> str:
    """A key of the catalogue; the name itself of a rule that has no words."""
    outcome = Outcome(name) if name in OUTCOMES else None
    return RULES.get(name) or (OUTCOMES[outcome] if outcome is not None else name)
