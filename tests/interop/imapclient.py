"""IMAPClient: CONDSTORE, IDLE, THREAD, SORT, quota, MULTIAPPEND, MOVE, folder names beyond ASCII."""
import os, ssl, sys

# this file has the library's name
sys.path.pop(0)
import imapclient

env = os.environ
tls = ssl.create_default_context(cafile=env["TLS_CA"])
user, password = "user10@example.test", "pw-user10"
token = env["TOKEN"]
with imapclient.IMAPClient("localhost", port=int(env["IMAPS_PORT"]), ssl_context=tls) as c:
    c.login(user, password)
    assert c.has_capability("IDLE") and c.namespace().personal
    info = c.select_folder("INBOX")
    assert info[b"EXISTS"] >= 1 and info[b"HIGHESTMODSEQ"] > 0, info
    found = c.search(["SUBJECT", token])
    assert len(found) == 1, found
    one = c.fetch(found, ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]", "MODSEQ"])[found[0]]
    assert one[b"ENVELOPE"].subject.decode() == token and f"Body of {token}".encode() in one[b"BODY[]"]
    before = one[b"MODSEQ"][0]
    c.add_flags(found, [b"\\Flagged", b"$Word"])
    changed = c.fetch(c.search("ALL"), ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert list(changed) == found and b"$Word" in changed[found[0]][b"FLAGS"], changed
    assert found[0] in c.sort("REVERSE DATE") and c.thread(algorithm="REFERENCES")
    folder = "Entwürfe & mehr/日本"
    if not c.folder_exists(folder):
        c.create_folder(folder)
    assert folder in [name for _, _, name in c.list_folders()]
    c.multiappend(folder, ["Subject: 1\r\n\r\nx\r\n", "Subject: 2\r\n\r\ny\r\n"])
    assert c.folder_status(folder, ["MESSAGES"])[b"MESSAGES"] >= 2
    # another session delivers while this one idles
    c.idle()
    with imapclient.IMAPClient("localhost", port=int(env["IMAPS_PORT"]), ssl_context=tls) as other:
        other.login(user, password)
        other.append("INBOX", "Subject: idle\r\n\r\nz\r\n")
    seen = []
    while not any(r[1] == b"EXISTS" for r in seen if len(r) > 1):
        seen += c.idle_check(timeout=60)
        assert seen, "nothing was told within a minute"
    c.idle_done()
    c.move(found, folder)
    assert c.search(["SUBJECT", token]) == []
    c.delete_folder(folder)
