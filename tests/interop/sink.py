"""sink.py PORT DIR: an SMTP server that takes everything and keeps each message as a file in DIR."""
import os, socketserver, sys

port, place = int(sys.argv[1]), sys.argv[2]
os.makedirs(place, exist_ok=True)


class Handler(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def data(self):
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        with open(f"{place}/{os.urandom(8).hex()}", "wb") as f:
            f.write(b"".join(lines))
        self.say("250 2.0.0 taken")

    def handle(self):
        self.say("220 sink.remote.test ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.wfile.write(b"250-sink.remote.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"DATA":
                self.data()
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 2.0.0 ok")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", port), Handler).serve_forever()
