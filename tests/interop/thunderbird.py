"""Thunderbird without a screen, driven by its own remote protocol (Marionette): an account as a user would set it up.

What is there is read, marked and flagged; a message is copied into a new folder, another deleted; one is written and sent
by submission, with its copy in Sent; one that arrives while it idles is told. The password is in the profile,
the certificate an exception, as after a click of the user.
"""
import base64, itertools, json, os, smtplib, socket, ssl, subprocess, sys, time

profile, user = sys.argv[1:3]
LIMIT = 120
LOG = profile + "/imap"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Driver:
    """Commands are `[0, NUMBER, NAME, PARAMETERS]`, answers `[1, NUMBER, ERROR, RESULT]`, each behind its length and a colon."""

    def __init__(self, port, program):
        end = time.monotonic() + LIMIT
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=2 * LIMIT)
                break
            except ConnectionRefusedError:
                assert program.poll() is None and time.monotonic() < end, "thunderbird does not listen"
                time.sleep(0.1)
        self.stream, self.numbers = self.socket.makefile("rb"), itertools.count(1)
        self.read()
        self.ask("WebDriver:NewSession", {"capabilities": {}})
        self.ask("WebDriver:SetTimeouts", {"script": LIMIT * 1000})
        self.ask("Marionette:SetContext", {"value": "chrome"})

    def read(self):
        length = b""
        while (octet := self.stream.read(1)) != b":":
            assert octet, "thunderbird hung up"
            length += octet
        return json.loads(self.stream.read(int(length)))

    def ask(self, name, parameters):
        data = json.dumps([0, next(self.numbers), name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self.read()
        assert error is None, f"{name}: {error['error']}: {error['message']}\n{error.get('stacktrace', '')}"
        return result

    def run(self, body, *arguments):
        """Runs the body of an async function inside Thunderbird."""
        script = "const done = arguments[arguments.length - 1];\n(async (...args) => {\n%s\n})(...arguments).then(" % (HEAD + body)
        script += "v => done({ value: v }), e => done({ error: `${e} ${e.stack}` }));"
        result = self.ask("WebDriver:ExecuteAsyncScript", {"script": script, "args": list(arguments), "sandbox": "system"})
        value = result["value"]
        assert "error" not in value, value["error"]
        return value.get("value")


HEAD = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const pause = ms => new Promise(go => Cc["@mozilla.org/timer;1"].createInstance(Ci.nsITimer)
  .initWithCallback(go, ms, Ci.nsITimer.TYPE_ONE_SHOT));
const until = async look => { for (;;) { const found = look(); if (found) { return found; } await pause(100); } };
// what asynchronous operations of folders tell their end to
const ended = begin => new Promise((go, fail) => begin({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener", "nsIMsgSendListener", "nsIStreamListener"]),
  OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { status ? fail(new Error(`status ${status}`)) : go(); },
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
  onStopCopy(status) { status ? fail(new Error(`copy: ${status}`)) : go(); },
}));
const server = () => MailServices.accounts.findServer("USER", "localhost", "imap");
const folder = name => server().rootFolder.subFolders.find(f => f.name.toLowerCase() === name.toLowerCase());
const message = (where, subject) => where && [...where.messages].find(m => m.subject === subject);
""".replace("USER", user)


ACCOUNT = """
const [user, password, imaps, submission, der] = args;
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
for (const port of [imaps, submission]) {
  overrides.rememberValidityOverride("localhost", port, {}, db.constructX509FromBase64(der), false);
}
const login = async (origin) => {
  const info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  info.init(origin, null, origin, user, password, "", "");
  await Services.logins.addLoginAsync(info);
};
await login("imap://localhost"); await login("smtp://localhost");
const incoming = MailServices.accounts.createIncomingServer(user, "localhost", "imap");
incoming.port = imaps; incoming.socketType = Ci.nsMsgSocketType.SSL;
incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
incoming.loginAtStartUp = false; incoming.doBiff = false;
const outgoing = MailServices.outgoingServer.createServer("smtp");
const smtp = outgoing.QueryInterface(Ci.nsISmtpServer);
smtp.hostname = "localhost"; smtp.port = submission; smtp.username = user;
smtp.socketType = Ci.nsMsgSocketType.alwaysSTARTTLS; smtp.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
MailServices.outgoingServer.defaultServer = outgoing;
const identity = MailServices.accounts.createIdentity();
identity.email = user; identity.fullName = "Tester"; identity.smtpServerKey = outgoing.key;
const account = MailServices.accounts.createAccount();
account.incomingServer = incoming; account.addIdentity(identity);
incoming.valid = true;
incoming.performExpand(null);
await until(() => folder("INBOX"));
if (!folder("Sent")) { incoming.rootFolder.createSubfolder("Sent", null); }
const copies = await until(() => folder("Sent"));
identity.doFcc = true; identity.fccFolderURI = copies.URI;
return [...incoming.rootFolder.subFolders].map(f => f.name);
"""

READ = """
const [subject] = args;
const inbox = folder("INBOX");
const found = await until(() => { inbox.updateFolder(null); return message(inbox, subject); });
const uri = inbox.getUriForMsg(found);
const text = await new Promise((go, fail) => {
  let data = "";
  MailServices.messageServiceFromURI(uri).streamMessage(uri, {
    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
    onStartRequest() {},
    onDataAvailable(request, stream, offset, count) {
      const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
      input.init(stream); data += input.read(count);
    },
    onStopRequest(request, status) { status ? fail(new Error(`read: ${status}`)) : go(data); },
  }, null, null, false, "", false);
});
inbox.markMessagesRead([found], true);
inbox.markMessagesFlagged([found], true);
return text;
"""

FILE = """
const [kept, thrown, name] = args;
const inbox = folder("INBOX");
server().rootFolder.createSubfolder(name, null);
const target = await until(() => folder(name));
await ended(l => MailServices.copy.copyMessages(inbox, [message(inbox, kept)], target, false, l, null, false));
await ended(l => inbox.deleteMessages([message(inbox, thrown)], null, false, false, l, true));
"""

SEND = """
const [to, subject, body] = args;
const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
const account = MailServices.accounts.findAccountForServer(server());
const identity = account.identities[0];
fields.from = identity.email; fields.to = to; fields.subject = subject;
const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
await new Promise((go, fail) => {
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
    onStartSending() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {}, onSendNotPerformed() {},
    onStopSending(id, status, text) { status ? fail(new Error(`send: ${status} ${text}`)) : go(); },
    onTransportSecurityError(id, status) { fail(new Error(`TLS: ${status}`)); },
  };
  send.createAndSendMessage(null, identity, account.key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null,
    "text/plain", body, null, null, listener, "", "", Ci.nsIMsgCompType.New).catch(fail);
});
"""


def main():
    port = free_port()
    os.makedirs(profile, exist_ok=True)
    preferences = {
        "marionette.port": port,
        "app.update.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "mail.provider.suppress_dialog_on_startup": True,
        "mail.shell.checkDefaultClient": False,
        "mailnews.start_page.enabled": False,
        "mail.biff.show_alert": False,
        "network.dns.localDomains": "localhost",
    }
    with open(f"{profile}/user.js", "w") as f:
        f.writelines(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
    command = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", profile]
    logging = {"MOZ_LOG": "IMAP:4,sync", "MOZ_LOG_FILE": LOG}
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=os.environ | logging)
    try:
        test(Driver(port, program))
    finally:
        program.terminate()
        program.wait(LIMIT)


def test(driver):
    token = os.environ["TOKEN"]
    read, thrown, sent = (f"{token}-{what}" for what in ("read", "thrown", "sent"))
    ports = int(os.environ["IMAPS_PORT"]), int(os.environ["SUBMISSION_PORT"])
    with open(os.environ["TLS_CA"]) as f:
        der = base64.b64encode(ssl.PEM_cert_to_DER_cert(f.read())).decode()
    print("folders:", driver.run(ACCOUNT, user, "pw-" + user.split("@")[0], *ports, der))
    text = driver.run(READ, read)
    assert f"Body of {read}" in text, text
    print("read")
    driver.run(FILE, read, thrown, f"Kept {token}")
    print("filed")
    driver.run(SEND, user, sent, f"Grüße: Body of {sent}\n")
    print("sent")
    for where in ("INBOX", "Sent"):
        driver.run("const [where, subject] = args; const it = folder(where);"
                   "await until(() => { it.updateFolder(null); return message(it, subject); });", where, sent)
    print("received")
    # now and then it has a reason to ask at that moment, and is not told
    assert any(told(driver, f"{token}-late{n}") for n in range(10)), "no word of new mail while it idles"
    print("told")


def told(driver, subject):
    """Delivers a message while Thunderbird idles; whether it heard of it by that."""
    end = time.monotonic() + LIMIT
    while not [line for line in log() if "S-INBOX:SendData: " in line][-1].endswith(" IDLE"):
        assert time.monotonic() < end, "it does not idle"
        time.sleep(0.1)
    before = len(log())
    text = f"From: a@away.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@away.test>\r\n\r\nx\r\n"
    with smtplib.SMTP("localhost", int(os.environ["SMTP_PORT"])) as s:
        s.sendmail("a@away.test", [user], text)
    driver.run('const [subject] = args; await until(() => message(folder("INBOX"), subject));', subject)
    return any("HandleIdleResponses: idle response" in line for line in log()[before:])


def log():
    """What it tells of its IMAP conversations."""
    with open(LOG + ".moz_log", errors="replace") as f:
        return f.read().splitlines()


main()
