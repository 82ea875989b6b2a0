"""Mail domains at which anybody gets an address, and so one that looks like a robot's.

Providers of mail for everybody and of lines to homes, gathered 2026. What is missing here is judged
as the domain of an organisation. The robots that send for people at such a domain are named by
their whole addresses.
"""

DOMAINS = """
    gmail.com googlemail.com
    outlook.com outlook.de outlook.fr outlook.es outlook.it outlook.dk outlook.com.br
    hotmail.com hotmail.co.uk hotmail.de hotmail.fr hotmail.es hotmail.it hotmail.no hotmail.se
    hotmail.dk hotmail.nl hotmail.be hotmail.fi live.com live.no live.se live.dk live.de live.fr
    live.nl live.be live.fi live.it live.co.uk msn.com passport.com windowslive.com
    icloud.com me.com mac.com
    yahoo.com yahoo.no yahoo.se yahoo.dk yahoo.de yahoo.fr yahoo.es yahoo.it yahoo.fi yahoo.co.uk
    yahoo.co.jp yahoo.com.br yahoo.com.ar yahoo.com.mx yahoo.co.in yahoo.ca yahoo.com.au ymail.com
    rocketmail.com myyahoo.com aol.com aol.de aim.com verizon.net
    proton.me protonmail.com protonmail.ch pm.me tutanota.com tutanota.de tutamail.com tuta.io
    tuta.com keemail.me fastmail.com fastmail.fm mailbox.org posteo.de posteo.net posteo.no
    hushmail.com hey.com zoho.com zohomail.com zohomail.eu mail.com email.com
    gmx.de gmx.net gmx.com gmx.at gmx.ch gmx.eu web.de freenet.de t-online.de arcor.de 1und1.de
    online.de vodafone.de magenta.de
    orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr bbox.fr
    libero.it virgilio.it tiscali.it alice.it tin.it fastwebnet.it
    online.no broadpark.no frisurf.no getmail.no lyse.net altibox.no
    telia.com spray.se comhem.se bredband.net tele2.se home.se passagen.se
    mail.dk jubii.dk sol.dk stofanet.dk elisanet.fi kolumbus.fi luukku.com suomi24.fi saunalahti.fi
    simnet.is ziggo.nl kpnmail.nl planet.nl home.nl xs4all.nl hetnet.nl telenet.be skynet.be
    proximus.be bluewin.ch hispeed.ch sunrise.ch chello.at aon.at
    wp.pl o2.pl onet.pl interia.pl op.pl seznam.cz centrum.cz email.cz azet.sk freemail.hu
    citromail.hu abv.bg ukr.net i.ua yandex.ru yandex.com ya.ru mail.ru inbox.ru bk.ru list.ru
    rambler.ru
    btinternet.com sky.com virginmedia.com talktalk.net ntlworld.com comcast.net att.net
    sbcglobal.net bellsouth.net cox.net charter.net earthlink.net juno.com shaw.ca rogers.com
    bigpond.com optusnet.com.au xtra.co.nz uol.com.br bol.com.br terra.com.br ig.com.br
    rediffmail.com qq.com foxmail.com 163.com 126.com yeah.net sina.com sohu.com 139.com naver.com
    hanmail.net daum.net
"""
PUBLIC = frozenset(DOMAINS.split())
ROBOTS = {
    "calendar-notification@google.com": ("gmail.com", "googlemail.com"),
    "noreply@google.com": ("gmail.com", "googlemail.com"),
    "noreply@email.apple.com": ("icloud.com", "me.com", "mac.com"),
    "no_reply@email.apple.com": ("icloud.com", "me.com", "mac.com"),
    "noreply@insideicloud.icloud.com": ("icloud.com", "me.com", "mac.com"),
}
"""The provider's own senders, and for whom each of them sends."""


def is_public(domain: str) -> bool:
    """Whether a domain is such a provider's, or lies below one."""
    labels = domain.split(".")
    return any(".".join(labels[at:]) in PUBLIC for at in range(len(labels)))


def is_robot_for(sender: str, domain: str) -> bool:
    """Whether the provider itself sends from this address for people at `domain`."""
    return domain in ROBOTS.get(sender, ())
