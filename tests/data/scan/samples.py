#!/usr/bin/env python3
"""Writes the attack samples of the scanner tests: EICAR in every wrapping a mail can bring, bombs, name tricks.

usage: samples.py DIR      one file a sample in DIR, and DIR/MANIFEST with lines `name kind`:
  exact        EICAR comes out octet for octet: a hash signature finds it
  body         EICAR comes out with octets around it: a body signature finds it
  unscannable  must not be called clean
  name         harmless content under a bad name
  clean        harmless
Needs only Python; formats of 7zz, arj, zstd, lzip, genisoimage, compress, cpio, ar are made when the tool is there.
The EICAR string is the public anti-malware test file (eicar.org).
"""
import base64, binascii, bz2, gzip, hashlib, io, lzma, os, quopri, shutil, struct, subprocess, sys, tarfile, tempfile, zipfile, zlib

E = rb'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD' + rb'-ANTIVIRUS-TEST-FILE!$H+H*'
OUT, MANIFEST = sys.argv[1], []
B = b'BoUnDaRy'


def put(name, data, kind):
    with open(os.path.join(OUT, name), 'wb') as f:
        f.write(data)
    MANIFEST.append('%s %s\n' % (name, kind))


def b64(d, width=76):
    s = base64.b64encode(d)
    return b'\n'.join(s[i:i + width] for i in range(0, len(s), width)) + b'\n'


HEAD = b'From: a@example.org\nTo: b@example.org\nSubject: test\nMessage-ID: <1@example.org>\n'


def part(body, cte=b'base64', ctype=b'application/octet-stream', name=b'', extra=b''):
    h = b'Content-Type: ' + ctype + (b'; name="' + name + b'"' if name else b'') + b'\n'
    if cte:
        h += b'Content-Transfer-Encoding: ' + cte + b'\n'
    return h + extra + b'\n' + body


def multi(*parts, head=HEAD, ct=None, b=B, preamble=b'', epilogue=b'', last=True, mime=b'MIME-Version: 1.0\n'):
    ct = ct if ct is not None else b'Content-Type: multipart/mixed; boundary="' + b + b'"\n'
    m = head + mime + ct + b'\n' + preamble
    for p in parts:
        m += b'--' + b + b'\n' + p + (b'' if p.endswith(b'\n') else b'\n')
    return m + (b'--' + b + b'--\n' if last else b'') + epilogue


TEXT = part(b'hello\n', cte=b'7bit', ctype=b'text/plain')


def att(d, **k):
    return multi(TEXT, part(b64(d), **k))


def uu(d, name=b'eicar.txt'):
    out = b'begin 644 ' + name + b'\n'
    for i in range(0, len(d), 45):
        out += binascii.b2a_uu(d[i:i + 45])
    return out + b'`\nend\n'


def mail():
    put('00-raw-eicar', E, 'exact')
    put('10-b64', att(E), 'exact')
    put('10-b64-junk', multi(TEXT, part(b'\n'.join(b'*' + l[:20] + b'!-.' + l[20:] for l in b64(E).split(b'\n') if l))), 'exact')
    put('10-b64-1char-lines', multi(TEXT, part(b64(E, 1))), 'exact')
    put('10-b64-nopad', multi(TEXT, part(b64(E).replace(b'=', b''))), 'exact')
    put('10-b64-leading-blank', multi(TEXT, part(b'\n\n  \n' + b64(E))), 'exact')
    put('10-b64-mid-padding', multi(TEXT, part(b64(E[:34]) + b64(E[34:]))), 'exact')
    put('10-b64-one-long-line', multi(TEXT, part(b64(E, 10000) )), 'exact')
    put('10-b64-trailing-text', multi(TEXT, part(b64(E) + b'\nand then some text follows here.\n')), 'exact')
    put('10-single-part-b64', HEAD + part(b64(E)), 'exact')
    put('10-7bit', multi(TEXT, part(E + b'\n', cte=b'7bit')), 'exact')
    put('10-qp', multi(TEXT, part(quopri.encodestring(E) + b'\n', cte=b'quoted-printable')), 'exact')
    put('10-uu-cte', multi(TEXT, part(uu(E), cte=b'x-uuencode')), 'exact')
    put('10-uu-in-text', multi(part(b'look:\n\n' + uu(E) + b'bye\n', cte=b'7bit', ctype=b'text/plain')), 'exact')
    put('10-uu-no-mime', HEAD + b'\nlook:\n' + uu(E), 'exact')
    y = b''.join(b'=' + bytes([(c + 42 + 64) & 255]) if (c + 42) & 255 in (0, 10, 13, 61) else bytes([(c + 42) & 255]) for c in E)
    put('10-yenc', HEAD + b'\n=ybegin line=128 size=68 name=eicar.txt\n' + y + b'\n=yend size=68\n', 'exact')
    e = part(b64(E), cte=None)
    ct = b'Content-Type: application/octet-stream\n'
    for n, h in {
        'cte-comment': b'Content-Transfer-Encoding: base64 (comment)\n',
        'cte-precomment': b'Content-Transfer-Encoding: (x) base64\n',
        'cte-quoted': b'Content-Transfer-Encoding: "base64"\n',
        'cte-semi': b'Content-Transfer-Encoding: base64;\n',
        'cte-spaces': b'Content-Transfer-Encoding:    base64   \n',
        'cte-folded': b'Content-Transfer-Encoding:\n base64\n',
        'cte-space-before-colon': b'Content-Transfer-Encoding : base64\n',
        'cte-upper': b'CONTENT-TRANSFER-ENCODING: BASE64\n',
        'cte-twowords': b'Content-Transfer-Encoding: base64 8bit\n',
        'cte-unknown': b'Content-Transfer-Encoding: x-whatever\n',
        'cte-dup-b64-first': b'Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n',
        'cte-dup-b64-last': b'Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n',
        'cte-missing': b'',
    }.items():
        put('11-' + n, multi(TEXT, ct + h + b'\n' + b64(E)), 'exact')
    put('11-cte-on-multipart', HEAD + b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n'
        + b64(b'--x\nContent-Type: text/plain\n\nhi\n--x\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n' + b64(E) + b'--x--\n'), 'exact')
    put('11-cte-on-multipart-clear', multi(TEXT, part(b64(E)), ct=b'Content-Type: multipart/mixed; boundary="BoUnDaRy"\nContent-Transfer-Encoding: base64\n'), 'exact')
    p = (TEXT, part(b64(E)))
    M = b'Content-Type: multipart/mixed; '
    for n, c in {
        'absent': b'Content-Type: multipart/mixed\n', 'empty': M + b'boundary=""\n', 'case': M + b'BOUNDARY=BoUnDaRy\n',
        'wrong-case-value': M + b'boundary=boundary\n',
        'comment': M + b'boundary=(x)BoUnDaRy (y)\n', 'dup-first': M + b'boundary=BoUnDaRy; boundary=other\n',
        'dup-last': M + b'boundary=other; boundary=BoUnDaRy\n', 'folded': M + b'\n\tboundary=\n "BoUnDaRy"\n',
        'missing-endquote': M + b'boundary="BoUnDaRy\n', 'nosemicolon': b'Content-Type: multipart/mixed boundary="BoUnDaRy"\n',
        'nul': M + b'boundary="BoUn\0DaRy"\n', 'rfc2231-cont': M + b'boundary*0=BoUn; boundary*1=DaRy\n',
        'rfc2231-ext': M + b"boundary*=us-ascii''BoUnDa%52y\n", 'singlequote': M + b"boundary='BoUnDaRy'\n",
        'space-around-eq': M + b'boundary = "BoUnDaRy"\n', 'trailing-ws': M + b'boundary="BoUnDaRy   "\n',
        'prefix': M + b'boundary="BoUn"\n',
    }.items():
        put('12-b-' + n, multi(*p, ct=c), 'exact')
    put('12-b-no-final', multi(*p, last=False), 'exact')
    put('12-b-long-200', multi(*p, b=b'x' * 200), 'exact')
    put('12-b-unquoted-special', multi(*p, b=b'a=b/c:d', ct=M + b'boundary=a=b/c:d\n'), 'exact')
    put('12-2000-parts', multi(*([TEXT] * 1999 + [p[1]])), 'exact')
    put('12-ct-image-b64', att(E, ctype=b'image/png'), 'exact')
    put('12-ct-text-plain-b64', att(E, ctype=b'text/plain'), 'exact')
    put('12-dup-content-type', multi(*p, ct=M + b'boundary="BoUnDaRy"\nContent-Type: text/plain\n'), 'exact')
    put('12-dup-content-type-last-plain', multi(*p, ct=b'Content-Type: text/plain\n' + M + b'boundary="BoUnDaRy"\n'), 'exact')
    put('12-header-continuation-blankish', multi(TEXT, b'Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\nX-A: b\n   \n' + b64(E)), 'exact')
    put('12-lf-only', multi(*p), 'exact')
    put('12-crlf', multi(*p).replace(b'\n', b'\r\n'), 'exact')
    put('12-cr-only', multi(*p).replace(b'\n', b'\r'), 'exact')
    m = multi(*p).split(b'\n')
    put('12-mixed-eol', b''.join(l + (b'\n', b'\r\n')[i % 2] for i, l in enumerate(m)), 'exact')
    put('12-long-header-first-40k', b'X-Long: ' + b'a' * 40000 + b'\n' + multi(*p), 'exact')
    put('12-many-headers', b''.join(b'X-%d: y\n' % i for i in range(3000)) + multi(*p), 'exact')
    put('12-multipart-in-epilogue', multi(TEXT, epilogue=b'\n--BoUnDaRy\n' + p[1] + b'--BoUnDaRy--\n'), 'exact')
    put('12-epilogue', multi(TEXT, epilogue=p[1]), 'exact')
    put('12-preamble', multi(TEXT, preamble=p[1]), 'exact')
    put('12-multipart-related-alt', multi(TEXT, multi(TEXT, p[1], head=b'', mime=b'', b=b'inner')), 'exact')
    put('12-multipart-unknown-subtype', multi(*p, ct=b'Content-Type: multipart/strange; boundary=BoUnDaRy\n'), 'exact')
    put('12-no-mime-version', multi(*p, mime=b''), 'exact')
    put('12-no-known-first-header', multi(*p, head=b'Zork: 1\nBlub: 2\n', mime=b''), 'exact')
    put('12-nul-in-header', multi(*p, head=HEAD + b'X-Nul: a\0b\n'), 'exact')
    put('13-rfc822-b64-x01', att(att(E), ctype=b'message/rfc822'), 'exact')
    m = att(E)
    for n in range(1, 51):
        m = HEAD + b'Content-Type: message/rfc822\n\n' + m
        if n in (1, 5, 12):
            put('13-rfc822-x%02d' % n, m, 'exact')
        if n in (20, 50):
            put('13-rfc822-x%02d' % n, m, 'exact-or-unscannable')
    m = HEAD + b'\nhi\n'
    for n in range(1, 51):
        m = HEAD + b'Content-Type: message/rfc822\n\n' + m
    put('13-rfc822-x50-harmless', m, 'unscannable')
    m = att(E)
    for n in range(1, 13):
        m = HEAD + b'Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n' + b64(m)
        if n in (5, 12):
            put('13-rfc822-b64-x%02d' % n, m, 'exact')
    def nest(depth, inner):
        head = HEAD + b'Content-Type: multipart/mixed; boundary=b0\n\n'
        body, end = b'', b''
        for i in range(depth):
            body += b'--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n' % (i, i + 1)
            end = b'--b%d--\n' % i + end
        return head + body + b'--b%d\n' % depth + inner + b'--b%d--\n' % depth + end
    put('13-multipart-nest-x010', nest(10, p[1]), 'exact')
    for d in (40, 120):
        put('13-multipart-nest-x%03d' % d, nest(d, p[1]), 'exact-or-unscannable')
        put('13-multipart-nest-x%03d-harmless' % d, nest(d, TEXT), 'unscannable')
    put('13-dsn-returned', multi(TEXT, b'Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\n', b'Content-Type: message/rfc822\n\n' + att(E), ct=b'Content-Type: multipart/report; report-type=delivery-status; boundary=BoUnDaRy\n').replace(B, b'OuTeR', 0), 'exact')
    put('13-forward-inline-plain', HEAD + b'\nsee below\n\n----- Forwarded -----\n' + att(E), 'exact')
    put('13-forward-inline-single', HEAD + b'\nsee below\n\n' + HEAD + part(b64(E)), 'exact')
    put('13-mbox', b'From a@b Mon Jan  1 00:00:00 2024\n' + HEAD + b'\nfirst\n\nFrom c@d Mon Jan  1 00:00:00 2024\n' + att(E), 'exact')
    put('13-text-rfc822-headers', multi(part(HEAD + part(b64(E)), cte=b'7bit', ctype=b'text/rfc822-headers')), 'exact')
    put('13-partial-1of2', HEAD + b'Content-Type: message/partial; id="x"; number=1; total=2\n\n' + HEAD + b'\nhalf\n', 'unscannable')
    put('14-dup-cte-harmless', multi(TEXT, b'Content-Type: text/plain\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\naGVsbG8gd29ybGQsIGhlbGxvIQ==\n'), 'unscannable')


NAMES = {
    'rtlo': 'invoice\u202efdp.exe'.encode(), 'dblext': b'photo.jpg.scr', 'clsid': b'a.txt.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}',
    'trailingdot': b'run.exe.', 'nul': b'run.exe\0.txt', 'ads': b'run.exe::$DATA', 'manyspaces': b'letter.pdf' + b' ' * 60 + b'.exe',
    'quotes': b'run\\".exe',
}


def names():
    for n, v in NAMES.items():
        put('14-name-%s' % n, multi(TEXT, part(b64(b'harmless\n'), name=v)), 'name')
        put('14-name-%s-eicar' % n, multi(TEXT, part(b64(E), name=v)), 'exact')
    for n, v in {
        '2047': b'Content-Type: application/octet-stream; name="=?utf-8?B?' + base64.b64encode(b'run.exe') + b'?="\n',
        '2231-ext': b"Content-Type: application/octet-stream; name*=utf-8''run%2Eexe\n",
        '2231-cont': b'Content-Type: application/octet-stream; name*0="run"; name*1=".exe"\n',
        '2231-cont-ext': b"Content-Type: application/octet-stream; name*0*=utf-8''run%2e; name*1=exe\n",
    }.items():
        for k, d in (('', b'harmless\n'), ('-eicar', E)):
            put('14-name-%s%s' % (n, k), multi(TEXT, v + b'Content-Transfer-Encoding: base64\n\n' + b64(d)), 'exact' if k else 'name')
    put('14-name-in-zip', zipped([('dir/run.pdf.exe', b'harmless')]), 'name')


def tnef(name, data):
    def a(i, d, level=2):
        return struct.pack('<BII', level, i, len(d)) + d + struct.pack('<H', sum(d) & 0xffff)
    return struct.pack('<IH', 0x223e9f78, 1) + a(0x00069002, b'\0' * 14) + a(0x00018010, name + b'\0') + a(0x0006800f, data)


def zipped(members, method=8):
    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w', method) as z:
        for n, d in members:
            z.writestr(n, d)
    return f.getvalue()


def local(name, data, method=8, flags=0, crc=None, csize=None, usize=None, extra=b'', packed=None):
    if packed is None:
        packed = data if method == 0 else zlib.compress(data, 9)[2:-4]
    return struct.pack('<IHHHHHIIIHH', 0x04034b50, 20, flags, method, 0, 0, zlib.crc32(data) if crc is None else crc,
        len(packed) if csize is None else csize, len(data) if usize is None else usize, len(name), len(extra)) + name + extra + packed


def central(name, data, off, method=8, flags=0, crc=None, csize=None, usize=None, packed=None):
    if packed is None:
        packed = data if method == 0 else zlib.compress(data, 9)[2:-4]
    return struct.pack('<IHHHHHHIIIHHHHHII', 0x02014b50, 20, 20, flags, method, 0, 0, zlib.crc32(data) if crc is None else crc,
        len(packed) if csize is None else csize, len(data) if usize is None else usize, len(name), 0, 0, 0, 0, 0, off) + name


def end(n, size, off):
    return struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, n, n, size, off, 0)


def archive(*members, tail=b''):
    """members: (local record, central maker)"""
    body, cd = b'', b''
    for loc, cen in members:
        cd += cen(len(body))
        body += loc
    return body + cd + end(len(members), len(cd), len(body)) + tail


def zips():
    n, h = b'e.txt', b'harmless text, nothing more'
    put('20-zip-stored', zipped([('e.txt', E)], 0), 'exact')
    put('20-zip-deflate', zipped([('e.txt', E)]), 'exact')
    put('20-zip-bzip2', zipped([('e.txt', E)], 12), 'exact')
    put('20-zip-lzma', zipped([('e.txt', E)], 14), 'exact')
    d = lambda o: central(n, E, o)
    put('20-zip-bad-crc', archive((local(n, E, crc=1), lambda o: central(n, E, o, crc=1))), 'exact')
    put('20-zip-fake-enc-central-only', archive((local(n, E), lambda o: central(n, E, o, flags=1))), 'exact')
    put('20-zip-fake-encrypted-flag', archive((local(n, E, flags=1), lambda o: central(n, E, o, flags=1))), 'exact')
    put('20-zip-name-empty', archive((local(b'', E), lambda o: central(b'', E, o))), 'exact')
    put('20-zip-prepended-4k', b'\x90' * 4096 + archive((local(n, E), d)), 'exact')
    put('20-zip-sfx-MZ', b'MZ' + b'\0' * 4094 + archive((local(n, E), d)), 'exact')
    put('20-zip-local-method-mismatch', archive((local(n, E, method=0, packed=zlib.compress(E, 9)[2:-4]), d)), 'exact')
    put('20-zip-local-size0', archive((local(n, E, crc=0, csize=0, usize=0), d)), 'exact')
    put('20-zip-no-central', local(n, E), 'exact')
    put('20-zip-local-hdr-broken', archive((b'XX' + local(n, E)[2:], d)), 'exact')
    put('20-zip-entry-only-in-local', local(b'x', E) + archive((local(n, h), lambda o: central(n, h, len(local(b'x', E))))), 'exact')
    put('20-zip-entry-only-in-local-2', archive((local(n, h), lambda o: central(n, h, o)))[:-22] + local(b'x', E) + archive((local(n, h), lambda o: central(n, h, o))), 'exact')
    put('20-zip-two-concat', archive((local(n, h), lambda o: central(n, h, o))) + archive((local(n, E), d)), 'exact')
    put('20-zip-two-concat-first', archive((local(n, E), d)) + archive((local(n, h), lambda o: central(n, h, o))), 'exact')
    packed = zlib.compress(E, 9)[2:-4]
    dd = struct.pack('<IIII', 0x08074b50, zlib.crc32(E), len(packed), len(E))
    put('20-zip-dd-infozip', archive((local(n, E, flags=8, crc=0, csize=0, usize=0) + dd, lambda o: central(n, E, o, flags=8))), 'exact')
    put('20-zip-dd-stream', local(n, E, flags=8, crc=0, csize=0, usize=0) + dd, 'exact')
    put('20-zip-dd-stored-stream', local(n, E, method=0, flags=8, crc=0, csize=0, usize=0) + struct.pack('<IIII', 0x08074b50, zlib.crc32(E), 68, 68) + local(b'f', h), 'exact')
    z = E
    for i in range(1, 41):
        z = zipped([('n%d' % i, z)])
        if i in (3, 10, 16, 20):
            put('20-zip-nest-x%02d' % i, z, 'exact')
        if i == 40:
            put('20-zip-nest-x40', z, 'unscannable')
    z = zipped([('e.txt', E)])
    gif = b'GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;'
    put('20-poly-gif-zip', gif + z, 'exact')
    put('20-poly-jpg-zip', b'\xff\xd8\xff\xe0\0\x10JFIF\0' + b'\x11' * 200 + b'\xff\xd9' + z, 'exact')
    put('20-poly-mp3-zip', b'ID3\x03\0\0\0\0\0\x0a' + b'\0' * 10 + b'\xff\xfb\x90\x44' * 400 + z, 'exact')
    put('20-poly-html-zip', b'<html><body>hi</body></html>\n' + z, 'exact')
    put('20-poly-pdf-zip', pdf([(b'', b'BT ET')]) + z, 'exact')
    put('20-poly-gif-eicar', gif + E, 'body')


def pdf(streams, trailer=b''):
    out = b'%PDF-1.4\n'
    for i, (d, s) in enumerate(streams):
        out += b'%d 0 obj\n<< /Length %d %s >>\nstream\n' % (i + 1, len(s), d) + s + b'\nendstream\nendobj\n'
    return out + b'trailer << /Root 1 0 R ' + trailer + b'>>\nstartxref\n0\n%%EOF\n'


def a85(d):
    return base64.a85encode(d) + b'~>'


def documents():
    put('20-pdf-flate', pdf([(b'/Type /EmbeddedFile /Filter /FlateDecode', zlib.compress(E))]), 'exact')
    put('20-pdf-hex', pdf([(b'/Filter /ASCIIHexDecode', E.hex().encode() + b'>')]), 'exact')
    put('20-pdf-a85', pdf([(b'/Filter /ASCII85Decode', a85(E))]), 'exact')
    put('20-pdf-chain', pdf([(b'/Filter [/ASCII85Decode /ASCIIHexDecode /FlateDecode]', a85(zlib.compress(E).hex().encode() + b'>'))]), 'exact')
    put('20-pdf-chain-hexname', pdf([(b'/Filter [/ASCII#38#35Decode /Fl#61teDecode]', a85(zlib.compress(E)))]), 'exact')
    put('20-pdf-runlength', pdf([(b'/Filter /RL', bytes([len(E) - 1]) + E + b'\x80')]), 'exact')
    bomb = b'\0' * 30000000
    for _ in range(3):
        bomb = zlib.compress(bomb, 9)
    put('30-pdf-chain-bomb', pdf([(b'/Filter [' + b'/FlateDecode ' * 17 + b']', bomb)]), 'unscannable')
    obj = struct.pack('<II', 0x501, 2) + struct.pack('<I', 8) + b'Package\0' + struct.pack('<II', 0, 0)
    native = struct.pack('<H', 2) + b'e.txt\0C:\\e.txt\0' + struct.pack('<HHI', 0, 3, 9) + b'C:\\e.txt\0' + struct.pack('<I', len(E)) + E + b'\0\0'
    obj += struct.pack('<I', len(native)) + native
    put('20-rtf-objdata', b'{\\rtf1{\\object\\objemb{\\*\\objclass Package}{\\*\\objdata ' + obj.hex().encode() + b'}}}', 'exact')
    hx = obj.hex().encode()
    put('20-rtf-objdata-broken', b'{\\rtf1{\\object{\\*\\objdata ' + b'\r\n'.join(hx[i:i + 31] + b'{\\*\\x}' for i in range(0, len(hx), 31)) + b'}}', 'exact')
    put('20-ole2-ole10native', ole([('\x01Ole10Native', struct.pack('<I', len(native)) + native)]), 'exact')
    put('20-ole2-stream', ole([('Data', b'xx' + E + b'yy')]), 'body')
    put('20-ole2-big-stream', ole([('Data', E + b'\0' * 0)] + [('Pad', b'p' * 9000)]), 'exact')
    put('20-docx-embedded', zipped([('[Content_Types].xml', b'<Types/>'), ('word/document.xml', b'<w/>'), ('word/embeddings/e.bin', E)]), 'exact')
    put('20-docx-ole-ole10native', zipped([('[Content_Types].xml', b'<Types/>'), ('word/embeddings/oleObject1.bin', ole([('\x01Ole10Native', struct.pack('<I', len(native)) + native)]))]), 'exact')
    put('20-ooxml-encrypted', ole([('EncryptedPackage', b'x' * 100), ('EncryptionInfo', b'y' * 100)]), 'unscannable')
    put('20-onenote', bytes.fromhex('e4525c7b8cd8a74daeb15378d02996d3') + b'\0' * 100 + bytes.fromhex('e716e3bd65261145a4c48d4d0b7a9eac') + struct.pack('<QIQ', len(E), 0, 0) + E, 'exact')
    put('16-html-datauri', b'<html><a href="data:application/octet-stream;base64,' + base64.b64encode(E) + b'">x</a></html>', 'exact')
    put('16-html-smuggling-js', b'<html><script>var d=atob("' + base64.b64encode(E) + b'");var b=new Blob([d]);a.href=URL.createObjectURL(b);</script></html>', 'exact')
    h = base64.b64encode(E)
    put('16-html-smuggling-concat', b'<html><script>var d=atob("' + h[:30] + b'"+"' + h[30:] + b'");URL.createObjectURL(new Blob([d]));</script></html>', 'exact')
    put('16-html-smuggling-array', b'<html><script>var d=new Uint8Array([' + b','.join(b'%d' % c for c in E) + b']);URL.createObjectURL(new Blob([d]));</script></html>', 'exact')
    put('16-html-smuggling-harmless', b'<html><script>var d=atob("' + base64.b64encode(b'some harmless text that is long enough') + b'");URL.createObjectURL(new Blob([d]));</script></html>', 'name')
    put('16-svg-b64', b'<svg xmlns="http://www.w3.org/2000/svg"><image href="data:image/png;base64,' + base64.b64encode(E) + b'"/></svg>', 'exact')
    put('15-tnef', att(tnef(b'e.txt', E), ctype=b'application/ms-tnef'), 'exact')
    put('15-tnef-wrongtype', att(tnef(b'e.txt', E), ctype=b'image/png'), 'exact')
    put('15-tnef-zip', att(tnef(b'e.zip', zipped([('e.txt', E)])), ctype=b'application/ms-tnef'), 'exact')


PAD = bytes.fromhex('28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a')


def rc4(key, data):
    s, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + s[i] + key[i % len(key)]) & 255
        s[i], s[j] = s[j], s[i]
    i = j = 0
    for c in data:
        i = (i + 1) & 255
        j = (j + s[i]) & 255
        s[i], s[j] = s[j], s[i]
        out.append(c ^ s[(s[i] + s[j]) & 255])
    return bytes(out)


def aes(bits, key, iv, data):
    r = subprocess.run(['openssl', 'enc', '-aes-%d-cbc' % bits, '-K', key.hex(), '-iv', iv.hex(), '-nopad'], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return r.stdout


def pkcs(d):
    n = 16 - len(d) % 16
    return d + bytes([n]) * n


def encrypted_pdfs():
    """Standard security handler with the empty user password (ISO 32000-2 7.6)."""
    h = lambda s: b'<' + s.hex().encode() + b'>'
    md5 = lambda b: hashlib.md5(b).digest()
    body = zlib.compress(E)
    o, fid, p = bytes(range(32)), b'0123456789abcdef', -44
    key = md5(PAD + o + struct.pack('<i', p) + fid)
    for _ in range(50):
        key = md5(key)
    u = rc4(key, md5(PAD + fid))
    for i in range(1, 20):
        u = rc4(bytes(c ^ i for c in key), u)
    okey = md5(key + b'\1\0\0' + b'\0\0')
    def doc(enc, data, ident=b''):
        return pdf([(b'/Filter /FlateDecode', data)], b'/Encrypt 9 0 R ' + ident) + b'9 0 obj << /Filter /Standard ' + enc + b' >> endobj\n'
    ident = b'/ID [' + h(fid) + h(fid) + b'] '
    put('20-pdf-rc4-emptypw', doc(b'/V 2 /R 3 /Length 128 /P -44 /O ' + h(o) + b' /U ' + h(u + bytes(16)), rc4(okey, body), ident), 'exact')
    put('20-pdf-rc4-password', doc(b'/V 2 /R 3 /Length 128 /P -44 /O ' + h(o) + b' /U ' + h(bytes(32)), rc4(okey, body), ident), 'unscannable')
    if not shutil.which('openssl'):
        print('skipped, no openssl: 20-pdf-aes256-emptypw')
        return
    akey = md5(key + b'\1\0\0' + b'\0\0' + b'sAlT')
    cf = lambda m: b'/StmF /StdCF /StrF /StdCF /CF << /StdCF << /CFM /' + m + b' >> >> '
    put('20-pdf-aes128-emptypw', doc(b'/V 4 /R 4 /Length 128 /P -44 ' + cf(b'AESV2') + b'/O ' + h(o) + b' /U ' + h(u + bytes(16)), bytes(16) + aes(128, akey, bytes(16), pkcs(body)), ident), 'exact')
    fkey = bytes(range(1, 33))
    def r5(salt):
        return hashlib.sha256(salt).digest()
    def r6(salt):
        k, n = hashlib.sha256(salt).digest(), 0
        while True:
            e = aes(128, k[:16], k[16:32], k * 64)
            k = (hashlib.sha256, hashlib.sha384, hashlib.sha512)[sum(e[:16]) % 3](e).digest()
            n += 1
            if n >= 64 and e[-1] <= n - 32:
                return k[:32]
    for r, f in ((5, r5), (6, r6)):
        vs, ks = b'validate', b'keysalt.'
        u = f(vs) + vs + ks
        ue = aes(256, f(ks), bytes(16), fkey)
        put('20-pdf-aes256-r%d-emptypw' % r, doc(b'/V 5 /R %d /Length 256 /P -44 ' % r + cf(b'AESV3') + b'/O ' + h(bytes(48)) + b' /U ' + h(u) + b' /UE ' + h(ue), bytes(16) + aes(256, fkey, bytes(16), pkcs(body))), 'exact')


def ole(streams):
    """A minimal compound file: all streams in big sectors or the mini stream as their size wants."""
    mini, minifat, big = b'', [], []
    entries = []
    sectors = []  # (content chunks)
    fat = {}
    def chain(data):
        first = len(sectors)
        n = max(1, -(-len(data) // 512))
        for i in range(n):
            sectors.append(data[i * 512:(i + 1) * 512].ljust(512, b'\0'))
            fat[first + i] = first + i + 1 if i + 1 < n else 0xfffffffe
        return first
    for name, data in streams:
        if len(data) < 4096:
            start = len(minifat)
            n = max(1, -(-len(data) // 64))
            for i in range(n):
                minifat.append(start + i + 1 if i + 1 < n else 0xfffffffe)
            mini += data.ljust(n * 64, b'\0')
        else:
            start = chain(data)
        entries.append((name, 2, start, len(data)))
    root = chain(mini) if mini else 0xfffffffe
    mf = chain(struct.pack('<%dI' % len(minifat), *minifat).ljust(-(-len(minifat) * 4 // 512) * 512, b'\xff')) if minifat else 0xfffffffe
    d = b''
    for name, kind, start, size in [('Root Entry', 5, root, len(mini))] + entries:
        u = (name + '\0').encode('utf-16-le')
        d += u.ljust(64, b'\0') + struct.pack('<HBBIII', len(u), kind, 1, 0xffffffff, 0xffffffff, 1 if kind == 5 else 0xffffffff) + b'\0' * 36 + struct.pack('<IQ', start, size)
    directory = chain(d.ljust(-(-len(d) // 512) * 512, b'\0'))
    at = len(sectors)
    fat[at] = 0xfffffffd
    table = struct.pack('<%dI' % (at + 1), *[fat[i] for i in range(at + 1)]).ljust(512, b'\xff')
    sectors.append(table)
    head = b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' + b'\0' * 16 + struct.pack('<HHHHH', 0x3e, 3, 0xfffe, 9, 6) + b'\0' * 6
    head += struct.pack('<IIIIIIIII', 0, 1, directory, 0, 4096, mf, 1, 0xfffffffe, 0) + struct.pack('<I', at) + b'\xff' * 432
    return head + b''.join(sectors)


def streams():
    put('20-gz', gzip.compress(E), 'exact')
    put('20-gz-multimember', gzip.compress(E[:30]) + gzip.compress(E[30:]), 'exact')
    put('20-gz-trailing', gzip.compress(b'harmless') + E, 'exact')
    put('20-bz2', bz2.compress(E), 'exact')
    put('20-xz', lzma.compress(E), 'exact')
    put('20-lzma-alone', lzma.compress(E, lzma.FORMAT_ALONE), 'exact')
    put('20-zlib-raw', zlib.compress(E), 'exact')
    for fmt, n in ((tarfile.USTAR_FORMAT, 'ustar'), (tarfile.GNU_FORMAT, 'gnu'), (tarfile.PAX_FORMAT, 'pax')):
        f = io.BytesIO()
        with tarfile.open(fileobj=f, mode='w', format=fmt) as t:
            i = tarfile.TarInfo('d/' + 'n' * (150 if n != 'ustar' else 40))
            i.size = len(E)
            t.addfile(i, io.BytesIO(E))
        put('20-tar-' + n, f.getvalue(), 'exact')
    tar = f.getvalue()
    put('20-tar-gz', gzip.compress(tar), 'exact')
    put('20-tar-bz2', bz2.compress(tar), 'exact')
    put('20-tar-xz', lzma.compress(tar), 'exact')
    v7 = bytearray(512)
    v7[:5] = b'e.txt'
    v7[100:108] = b'0000644\0'
    v7[124:136] = b'%011o\0' % len(E)
    v7[148:156] = b' ' * 8
    v7[148:156] = b'%06o\0 ' % sum(v7)
    put('20-tar-v7', bytes(v7) + E.ljust(512, b'\0') + b'\0' * 1024, 'exact')
    put('20-rar4-stored', rar4(E, 0x30), 'exact')
    put('20-rar4-compressed', rar4(b'whatever', 0x33), 'unscannable')
    put('20-swf-cws', b'CWS\x06\0\0\0\0' + zlib.compress(E), 'exact')


def rar4(data, method):
    n = b'e.txt'
    h = struct.pack('<BHH', 0x74, 0x8000, 32 + len(n)) + struct.pack('<IIBIIBBHI', len(data), len(data), 2, zlib.crc32(data), 0, 29, method, len(n), 0x20) + n
    m = struct.pack('<BHH', 0x73, 0, 13) + b'\0' * 6
    crc = lambda b: struct.pack('<H', zlib.crc32(b) & 0xffff)
    return b'Rar!\x1a\x07\0' + crc(m) + m + crc(h) + h + data


def bombs():
    put('30-gz-1g-zeros', zero_gz(1 << 30), 'unscannable')
    big = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b''.join(big.compress(b'\0' * (1 << 20)) for _ in range(50)) + big.flush()
    size = 50 << 20
    crc = 0
    for _ in range(50):
        crc = zlib.crc32(b'\0' * (1 << 20), crc)
    loc = local(b'z', b'', crc=crc, csize=len(packed), usize=size, packed=packed)
    cd = b''.join(central(b'z%04d' % i, b'', 0, crc=crc, csize=len(packed), usize=size) for i in range(1000))
    put('30-zip-overlap-1000x50M', loc + cd + end(1000, len(cd), len(loc)), 'unscannable')
    body, cd = b'', b''
    for i in range(20000):
        n = b'%05d.txt' % i
        d = b'%05d' % i
        cd += central(n, d, len(body), method=0)
        body += local(n, d, method=0)
    put('30-zip-20000files', body + cd + end(20000 & 0xffff, len(cd), len(body)), 'unscannable')
    def tree(depth, path):
        if depth == 0:
            return b'%s ' % path.encode() * 2000
        return zipped([('n%d' % i, tree(depth - 1, path + '/%d' % i)) for i in range(12)])
    inner = tree(4, '')
    put('30-zip-nested-bomb', inner, 'unscannable')
    z = io.BytesIO()
    with zipfile.ZipFile(z, 'w', 8) as f:
        for i in range(10):
            f.writestr('z%d' % i, b'\0' * (100 << 20))
        f.writestr('e.txt', E)
    put('30-zip-10x100M', z.getvalue(), 'exact')
    z = io.BytesIO()
    with zipfile.ZipFile(z, 'w', 8) as f:
        f.writestr('pad-then', b'\0' * (101 << 20) + E)
    put('30-eicar-after-101M', z.getvalue(), 'unscannable')
    put('30-qp-flood', HEAD + part(b'=41' * 3000000, cte=b'quoted-printable', ctype=b'text/plain'), 'clean')
    put('30-nested-comments', HEAD + b'Content-Type: text/plain; name=' + b'(' * 100000 + b'\n\nhi\n', 'clean')
    put('30-header-flood', HEAD + b'Content-Type: multipart/mixed; ' + b'boundary="' * 20000 + b'\n\nhi\n', 'clean')


def zero_gz(n):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    out = b'\x1f\x8b\x08\0\0\0\0\0\0\x03'
    for _ in range(n >> 20):
        out += c.compress(b'\0' * (1 << 20))
    return out + c.flush() + struct.pack('<II', 0, n & 0xffffffff)


def tools():
    tmp = tempfile.mkdtemp()
    src = os.path.join(tmp, 'e.txt')
    with open(src, 'wb') as f:
        f.write(E)
    with open(os.path.join(tmp, 'big.txt'), 'wb') as f:
        f.write(b''.join(b'line %d of a file that packs well\n' % i for i in range(4000)))
    exe = os.path.realpath(shutil.which('ls') or sys.executable)
    shutil.copy(exe, os.path.join(tmp, 'prog.bin'))

    def run(name, kind, args, out, stdin=None):
        if not shutil.which(args[0]):
            print('skipped, no %s: %s' % (args[0], name))
            return
        r = subprocess.run(args, cwd=tmp, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        data = r.stdout if out is None else open(os.path.join(tmp, out), 'rb').read() if os.path.exists(os.path.join(tmp, out)) else b''
        if data:
            put(name, data, kind)
        else:
            print('skipped, %s failed: %s' % (args[0], name))

    def sz(name, kind, ext, *opts, files=('e.txt', 'big.txt')):
        out = name + ext
        run(name, kind, ['7zz', 'a', '-bso0', '-bsp0', *opts, out, *files], out)

    sz('20-7z-lzma', 'exact', '.7z', '-m0=lzma')
    sz('20-7z-lzma2', 'exact', '.7z', '-m0=lzma2')
    sz('20-7z-ppmd', 'exact', '.7z', '-m0=ppmd')
    sz('20-7z-bzip2', 'exact', '.7z', '-m0=bzip2')
    sz('20-7z-deflate', 'exact', '.7z', '-m0=deflate')
    sz('20-7z-copy', 'exact', '.7z', '-m0=copy')
    sz('20-7z-nonsolid', 'exact', '.7z', '-ms=off')
    sz('20-7z-delta', 'exact', '.7z', '-m0=delta:4', '-m1=lzma2')
    sz('20-7z-bcj2', 'exact', '.7z', '-m0=bcj2', '-m1=lzma', '-m2=lzma', '-m3=lzma', '-mb0s0:1', '-mb0s1:2', '-mb0s2:3', files=('prog.bin', 'e.txt'))
    sz('20-7z-bcj', 'exact', '.7z', '-m0=bcj', '-m1=lzma2', files=('prog.bin', 'e.txt'))
    sz('20-7z-enc', 'unscannable', '.7z', '-psecret')
    sz('20-7z-enc-hdr', 'unscannable', '.7z', '-psecret', '-mhe=on')
    sz('20-zip-deflate64', 'exact', '.zip', '-tzip', '-mm=deflate64')
    sz('20-zip-ppmd', 'exact', '.zip', '-tzip', '-mm=ppmd')
    sz('20-zip-xz', 'exact', '.zip', '-tzip', '-mm=xz')
    sz('20-zip-enc-zc', 'unscannable', '.zip', '-tzip', '-psecret')
    sz('20-zip-enc-aes', 'unscannable', '.zip', '-tzip', '-psecret', '-mem=AES256')
    sz('20-wim', 'body', '.wim', '-twim', files=('e.txt',))
    for form in ('bin', 'odc', 'newc', 'crc', 'ustar'):
        run('20-cpio-' + form, 'exact', ['cpio', '-o', '--quiet', '-H', form], None, b'e.txt\nbig.txt\n')
    run('20-ar', 'exact', ['ar', 'r', 'x.a', 'e.txt'], 'x.a')
    run('20-arj', 'exact', ['arj', 'a', '-y', 'x.arj', 'big.txt', 'e.txt'], 'x.arj')
    run('20-arj-m4', 'exact', ['arj', 'a', '-y', '-m4', 'y.arj', 'big.txt', 'e.txt'], 'y.arj')
    run('20-iso', 'exact', ['genisoimage', '-quiet', '-J', '-R', '-o', 'x.iso', 'e.txt', 'big.txt'], 'x.iso')
    run('20-compress-Z', 'exact', ['compress', '-c'], None, E)
    run('20-lz', 'exact', ['lzip', '-c'], None, E)
    run('20-zst', 'exact', ['zstd', '-q', '-c'], None, E)
    tar = open(os.path.join(OUT, '20-tar-gnu'), 'rb').read()
    run('20-tar-zst', 'exact', ['zstd', '-q', '-c'], None, tar)
    run('20-tar-Z', 'exact', ['compress', '-c'], None, tar)
    run('20-tar-lz', 'exact', ['lzip', '-c'], None, tar)
    shutil.rmtree(tmp)


os.makedirs(OUT, exist_ok=True)
mail()
names()
zips()
documents()
encrypted_pdfs()
streams()
bombs()
tools()
with open(os.path.join(OUT, 'MANIFEST'), 'w') as f:
    f.writelines(MANIFEST)
print('%d samples' % len(MANIFEST))
