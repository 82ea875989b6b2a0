// Opens a message of the INBOX and presses a button of its invitation bar. Runs in Thunderbird's own window, given by
// Marionette: arguments are the action, user, password, Message-ID, and the function that takes the result: "pressed",
// or what went wrong.

const [action, user, password, messageId, done] = arguments;
const BUTTONS = { accept: "Accept", decline: "Decline", tentative: "Tentative" };

async function until(what, look, seconds = 40) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`never came: ${what}`);
    }
    await new Promise(resolve => window.setTimeout(resolve, 50));
  }
}

async function press() {
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
  const { cal } = ChromeUtils.importESModule("resource:///modules/calendar/calUtils.sys.mjs");

  const account = await until("the account", () => MailServices.accounts.accounts.find(one => one.incomingServer.type == "imap"));
  const server = account.incomingServer;
  server.password = password;
  await until("a calendar", () => cal.manager.getCalendars().length);

  const inbox = await until("the INBOX", async () => {
    const found = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    if (!found) {
      server.getNewMessages(server.rootFolder, null, null);
      await new Promise(resolve => window.setTimeout(resolve, 200));
    }
    return found;
  });
  const message = await until(`message ${messageId}`, async () => {
    const found = inbox.msgDatabase?.getMsgHdrForMessageID(messageId);
    if (!found) {
      await new Promise(resolve => inbox.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, { OnStartRunningUrl() {}, OnStopRunningUrl: resolve }));
    }
    return found;
  });

  const tabmail = document.getElementById("tabmail");
  const look = () => {
    const pane = tabmail.currentTabInfo.chromeBrowser?.contentDocument;
    const names = [`imip${BUTTONS[action]}Button`, `imip${BUTTONS[action]}RecurrencesButton`];
    return names.map(name => pane?.getElementById(name)).find(one => one && !one.hidden && !one.closest("#imip-bar").collapsed);
  };
  // A message that is shown while the window is still starting gets no bar (153, 2026); shown again, it does.
  const button = await until("the button", async () => {
    const tab = tabmail.openTab("mailMessageTab", { messageURI: inbox.getUriForMsg(message) });
    try {
      return await until("the button", look, 5);
    } catch {
      tabmail.closeTab(tab);
      return null;
    }
  });
  button.doCommand();
}

press().then(() => done("pressed"), error => done(`${error}\n${error.stack}`));
