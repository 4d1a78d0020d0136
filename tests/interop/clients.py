"""Python's own smtplib, imaplib and poplib against the instance named by the environment."""
import imaplib, os, poplib, smtplib, ssl, time

env = os.environ
tls = ssl.create_default_context(cafile=env["TLS_CA"])
user, password = "user2@example.test", "pw-user2"
stamp = f"python-{time.time_ns()}"


def port(name):
    return int(env[name + "_PORT"])


def message(subject, body="hello\r\n.dot\r\n..dots\r\n"):
    return f"From: {user}\r\nTo: {user}\r\nSubject: {subject}\r\n\r\n{body}".encode()


# smtplib: plain with pipelined DATA, STARTTLS + AUTH, LMTP
with smtplib.SMTP("localhost", port("SMTP")) as s:
    s.sendmail("a@away.test", [user], message(stamp + "-a"))
    assert s.verify(user)[0] in (250, 252)
    try:
        s.sendmail("a@away.test", ["nobody@example.test"], message("x"))
        raise AssertionError("an unknown user was accepted")
    except smtplib.SMTPRecipientsRefused as e:
        assert e.recipients["nobody@example.test"][0] == 550, e
with smtplib.SMTP("localhost", port("SUBMISSION")) as s:
    s.starttls(context=tls)
    s.login(user, password)
    s.sendmail(user, [user], message(stamp + "-b"))
with smtplib.LMTP("localhost", port("LMTP")) as s:
    s.sendmail("a@away.test", [user], message(stamp + "-c"))

# imaplib
m = imaplib.IMAP4("localhost", port("IMAP"))
m.starttls(tls)
m.login(user, password)
assert m.select("INBOX")[0] == "OK"
for tail in "abc":
    for _ in range(1200):
        m.noop()
        found = m.search(None, "SUBJECT", f"{stamp}-{tail}")[1][0].split()
        if found:
            break
        time.sleep(0.1)
    assert len(found) == 1, (tail, found)
    body = m.fetch(found[0], "(BODY.PEEK[TEXT])")[1][0][1]
    assert body == b"hello\r\n.dot\r\n..dots\r\n", body
assert m.create("Python")[0] == "OK"
assert m.append("Python", "(\\Seen $Label1)", imaplib.Time2Internaldate(1e9), message("appended"))[0] == "OK"
assert m.select("Python")[0] == "OK"
typ, data = m.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
assert b"\\Seen" in data[0] and b"$Label1" in data[0] and b'" 9-Sep-2001' in data[0], data
assert m.copy("1", "INBOX")[0] == "OK"
assert m.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
assert m.expunge()[1] == [b"1"]
assert m.close()[0] == "OK"
assert m.rename("Python", "Snake")[0] == "OK"
assert any(b"Snake" in line for line in m.list()[1])
assert m.delete("Snake")[0] == "OK"
m.logout()
try:
    imaplib.IMAP4_SSL("localhost", port("IMAPS"), ssl_context=tls).login(user, "wrong")
    raise AssertionError("a wrong password was accepted")
except imaplib.IMAP4.error:
    pass

# poplib
p = poplib.POP3("localhost", port("POP3"))
p.stls(tls)
p.user(user)
p.pass_(password)
count, size = p.stat()
assert count >= 3 and size > 0
assert len(p.list()[1]) == count == len(p.uidl()[1])
lines = p.retr(count)[1]
assert p.top(count, 0)[1] == lines[: lines.index(b"") + 1]
p.dele(count)
p.rset()
p.quit()
p = poplib.POP3_SSL("localhost", port("POP3S"), context=tls)
p.user(user)
p.pass_(password)
assert p.stat()[0] == count
p.dele(1)
p.quit()
