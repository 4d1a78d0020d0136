"""terminal.py WAIT TYPE [WAIT TYPE...] -- PROGRAM ARGUMENT...: a full-screen program on a terminal of its own.

Waits until its output holds WAIT, types TYPE, and so on; `+SECONDS` as WAIT is a pause for programs that show nothing to
wait for. Ends with the program's exit code. Each wait has a minute.
"""
import fcntl, os, pty, re, select, struct, sys, termios, time

split = sys.argv.index("--")
steps, command = sys.argv[1:split], sys.argv[split + 1 :]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(command[0], command)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
seen = ""


def read(until):
    """More output, or False at its end."""
    global seen
    ready, _, _ = select.select([fd], [], [], max(0, until - time.monotonic()))
    if not ready:
        return True
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    # a program asks the terminal where its cursor is and waits for the answer
    if b"\x1b[6n" in data:
        os.write(fd, b"\x1b[1;1R")
    seen += re.sub(r"\x1b(\[[0-9;?>=]*[A-Za-z]|[()][A-Z0-9]|[=>]|\][^\x07]*\x07)", "", data.decode(errors="replace"))
    return bool(data)


def give_up(why):
    print(why, "after:", seen[-2000:])
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.exit(1)


for wait, text in zip(steps[::2], steps[1::2]):
    pause = wait.startswith("+")
    end = time.monotonic() + (float(wait[1:]) if pause else 60)
    while (pause or wait not in seen) and time.monotonic() < end:
        if not read(end):
            give_up(f"the program ended before {wait!r}")
    if not pause and wait not in seen:
        give_up(f"{wait!r} never came")
    seen = ""
    os.write(fd, text.encode().decode("unicode_escape").encode("latin-1"))
end = time.monotonic() + 60
while read(end):
    if time.monotonic() > end:
        give_up("the program does not end")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
