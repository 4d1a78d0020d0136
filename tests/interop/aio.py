"""aiosmtplib: as a host (STARTTLS), as a client that logs in (STARTTLS and TLS from the start), several at once."""
import asyncio, os, ssl
from email.message import EmailMessage

import aiosmtplib

env = os.environ
tls = ssl.create_default_context(cafile=env["TLS_CA"])
user, password, token = "user2@example.test", "pw-user2", env["TOKEN"]


def message(tail):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = user, user, f"{token}-{tail}"
    m.set_content("gr\u00fc\u00dfe\n.one dot\n..two\n")
    m.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="\u00e4.bin")
    return m


def port(name):
    return int(env[name + "_PORT"])


async def main():
    common = {"hostname": "localhost", "tls_context": tls}
    login = {"username": user, "password": password}
    sent = await asyncio.gather(
        aiosmtplib.send(message("mx"), port=port("SMTP"), start_tls=True, **common),
        aiosmtplib.send(message("starttls"), port=port("SUBMISSION"), start_tls=True, **login, **common),
        aiosmtplib.send(message("smtps"), port=port("SMTPS"), use_tls=True, **login, **common),
    )
    assert all(not errors and answer.startswith("2.0.0 queued as ") for errors, answer in sent), sent
    # a client of its own: several messages on one connection, refusals, RSET, VRFY
    async with aiosmtplib.SMTP(port=port("SMTP"), start_tls=True, **common) as client:
        await client.ehlo()
        assert client.supports_extension("smtputf8") and client.supports_extension("chunking")
        try:
            await client.sendmail("a@away.test", ["nobody@example.test"], b"Subject: x\r\n\r\nx\r\n")
            raise AssertionError("an unknown user was accepted")
        except aiosmtplib.SMTPRecipientsRefused as e:
            assert e.recipients[0].code == 550, e
        errors, answer = await client.sendmail(
            "a@away.test", ["nobody@example.test", user], b"Subject: x\r\n\r\nx\r\n", mail_options=["BODY=8BITMIME"])
        assert list(errors) == ["nobody@example.test"] and answer.startswith("2.0.0"), (errors, answer)
        await client.rset()
        assert (await client.vrfy(user)).code in (250, 252)
    try:
        await aiosmtplib.send(message("x"), port=port("SUBMISSION"), start_tls=True, username=user, password="no", **common)
        raise AssertionError("a wrong password was accepted")
    except aiosmtplib.SMTPAuthenticationError as e:
        assert e.code == 535, e


asyncio.run(main())
