"""sievelib, Debian's Python library that web and desktop mail programs manage scripts with, against our sieved."""
import os
from sievelib.managesieve import Client

script = 'require ["fileinto", "vacation"];\r\nif header :contains "subject" "grün" { fileinto "Ü"; }\r\n'


def same(a, b):
    return a.splitlines() == b.splitlines()


c = Client("localhost", int(os.environ["SIEVE_PORT"]))
assert not c.connect("user11@example.test", "wrong", starttls=True, authmech="PLAIN")
c = Client("localhost", int(os.environ["SIEVE_PORT"]))
assert c.connect("user11@example.test", "pw-user11", starttls=True, authmech="PLAIN"), c.errmsg
assert "fileinto" in c.get_sieve_capabilities() and "PLAIN" in c.get_sasl_mechanisms()
assert b'"VERSION" "1.0"' in c.capability()
assert c.havespace("rules", 1000) and not c.havespace("rules", 10**12)
assert c.errcode == b"QUOTA/MAXSIZE", c.errcode
assert c.checkscript(script) and not c.checkscript("if nonsense {}")
assert b"unknown" in c.errmsg, c.errmsg
assert c.putscript("rules", script) and not c.putscript("wrong", "if nonsense {}")
assert c.listscripts() == (None, ["rules"]), c.listscripts()
assert c.setactive("rules") and c.listscripts() == ("rules", []), c.listscripts()
assert same(c.getscript("rules"), script), c.getscript("rules")
assert c.renamescript("rules", "grün") and c.listscripts() == ("grün", []), c.listscripts()
assert not c.deletescript("grün") and c.errcode == b"ACTIVE", c.errcode
assert not c.getscript("rules") and c.errcode == b"NONEXISTENT", c.errcode
assert c.setactive("") and c.deletescript("grün") and c.listscripts() == (None, [])
c.logout()
