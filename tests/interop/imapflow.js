// imapflow: list, search, fetch, flags, append, move, idle.
const { ImapFlow } = require("imapflow");
const fs = require("fs");
const assert = require("assert");
async function main() {
  const client = new ImapFlow({
    host: "localhost", port: Number(process.env.IMAPS_PORT), secure: true, logger: false,
    tls: { ca: fs.readFileSync(process.env.TLS_CA) },
    auth: { user: "user10@example.test", pass: "pw-user10" },
  });
  await client.connect();
  assert((await client.list()).some((m) => m.path === "INBOX"));
  await client.mailboxCreate("Flow").catch((e) => { if (!/EXISTS/.test(e.serverResponseCode || "")) throw e; });
  const lock = await client.getMailboxLock("INBOX");
  try {
    const uids = await client.search({ subject: process.env.TOKEN }, { uid: true });
    assert.strictEqual(uids.length, 1);
    const m = await client.fetchOne(String(uids[0]), { source: true, envelope: true, bodyStructure: true, flags: true }, { uid: true });
    assert(m.source.toString().includes("Body of " + process.env.TOKEN));
    assert.strictEqual(m.envelope.subject, process.env.TOKEN);
    await client.messageFlagsAdd(String(uids[0]), ["\\Flagged"], { uid: true });
    await client.append("INBOX", "Subject: appended\r\n\r\nx\r\n", ["\\Seen"]);
    const moved = await client.messageMove(String(uids[0]), "Flow", { uid: true });
    assert(moved.uidMap && moved.uidMap.size === 1);
  } finally { lock.release(); }
  const status = await client.status("Flow", { messages: true, uidNext: true });
  assert(status.messages >= 1 && status.uidNext >= 2);
  await client.logout();
}
main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
