"""The ManageSieve library of Debian, the way mail programs of Thunderbird's age drive it."""
import os
import managesieve

host, port = "localhost", int(os.environ["SIEVE_PORT"])
script = 'require ["fileinto", "vacation"];\r\nif header :contains "subject" "grün" { fileinto "Ü"; }\r\n'

m = managesieve.MANAGESIEVE(host, port, use_tls=True, tls_verify=False)
assert "PLAIN" in m.loginmechs and "fileinto" in m.capabilities, m.capabilities
assert m.login("", "user11@example.test", "pw-user11") == "OK"
assert m.havespace("rules", 1000) == "OK"
assert m.havespace("rules", 10**12) == "NO"
assert m.putscript("rules", script) == "OK"
assert m.putscript("wrong", "if nonsense {}") == "NO"
assert m.response_text and b"unknown" in m.response_text if isinstance(m.response_text, bytes) else "unknown" in m.response_text
result, scripts = m.listscripts()
assert result == "OK" and [(str(n), a) for n, a in scripts] == [("rules", False)], scripts
assert m.setactive("rules") == "OK"
result, text = m.getscript("rules")
assert result == "OK" and text.rstrip() == script.rstrip(), text
assert m.deletescript("rules") == "NO"
assert m.setactive("") == "OK" and m.deletescript("rules") == "OK"
assert m.logout() == "OK"
