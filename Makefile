# make run       build, start a private server on loopback, send and read real mail, stay until Ctrl-C (ONCE=1: leave)
# make test      everything: unit, black box, dialogues, interop
# make check     format, lints, man pages, scripts/check-*, tests
# make deb       Debian packages in dist/; make tarball: one archive for systems without packages
# make install   DESTDIR= prefix=/usr/local

prefix = /usr/local
sysconfdir = /etc
libexecdir = $(prefix)/libexec
bindir = $(prefix)/bin
mandir = $(prefix)/share/man
DESTDIR =
DIST = dist
CARGO = cargo
TARGET = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
MUSL = $(shell uname -m)-unknown-linux-musl
BIN = $(TARGET)/release

# programs that ask NSS for no names (a module of NSS crashes in a static program) and need neither PAM nor OpenSSL; all
# others are always linked against glibc
STATIC = bounce spamcheck virusscan milter
GLIBC := $(filter-out $(STATIC),$(shell scripts/programs))
COMMANDS = sendmail qctl maildirctl pennypost sieve spamcheck virusscan mailauth dkimsign milter enqueue deliver

.PHONY: all run check test fuzz bench install uninstall deb tarball clean lint

all:
	@scripts/build '$(CARGO)' '$(TARGET)' '$(MUSL)' '$(GLIBC)' '$(STATIC)'

run:
	@scripts/run

test:
	@scripts/test

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	scripts/check-man
	scripts/check-hier
	scripts/check-source

check: lint all
	scripts/check-links $(BIN)
	$(MAKE) test

fuzz:
	@scripts/fuzz

bench:
	@ls tests/bench

install: all
	@scripts/install '$(DESTDIR)' '$(prefix)' '$(bindir)' '$(libexecdir)' '$(mandir)' '$(sysconfdir)' '$(BIN)' '$(GLIBC) $(STATIC)' '$(COMMANDS)'

uninstall:
	@scripts/install --remove '$(DESTDIR)' '$(prefix)' '$(bindir)' '$(libexecdir)' '$(mandir)' '$(sysconfdir)' '$(BIN)' '$(GLIBC) $(STATIC)' '$(COMMANDS)'

deb: all
	@scripts/deb --from '$(BIN)' '$(DIST)'

tarball: all
	@FROM='$(BIN)' PROGRAMS='$(GLIBC) $(STATIC)' COMMANDS='$(COMMANDS)' scripts/tarball '$(DIST)'

clean:
	$(CARGO) clean
