//! Every key there is: its section, type, default and description. The man page pennypost.toml(5), the file
//! etc/pennypost.toml and `pennypost check` are made from or held against this list.

use super::value::{Chance, Raw, Seconds, Setting, Size};
use crate::choice;
use std::path::PathBuf;

/// One key, for listings.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Section name; empty for the top.
    pub section: &'static str,
    /// Key name.
    pub key: &'static str,
    /// Its value.
    pub value: Raw,
    /// Description, one line each.
    pub doc: &'static [&'static str],
}

macro_rules! section {
    ($(#[doc = $sdoc:literal])+ $name:ident $section:literal {
        $( $(#[doc = $doc:literal])+ $key:ident : $type:ty = $default:expr ; )*
    }) => {
        $(#[doc = $sdoc])+
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[doc = $doc])+ pub $key: $type, )* }

        impl Default for $name {
            fn default() -> $name { $name { $( $key: $default, )* } }
        }

        impl $name {
            /// Name of the section in the file.
            pub const SECTION: &'static str = $section;

            /// Sets one key; `Ok(false)` when there is no such key.
            pub fn set(&mut self, key: &str, raw: &Raw) -> Result<bool, String> {
                match key {
                    $( stringify!($key) => self.$key = <$type as Setting>::read(raw)?, )*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// Shows every key in its order.
            pub fn each(&self, show: &mut dyn FnMut(Shown)) {
                $( show(Shown {
                    section: $section,
                    key: stringify!($key),
                    value: self.$key.raw(),
                    doc: &[$($doc),+],
                }); )*
            }
        }
    };
}

choice! {
    /// Where log lines go.
    LogTarget {
        /// Standard error.
        Stderr = "stderr",
        /// syslog, facility mail.
        Syslog = "syslog",
    }
}

choice! {
    /// How TLS is used on a listening address.
    TlsMode {
        /// Never.
        None = "none",
        /// STARTTLS.
        StartTls = "starttls",
        /// From the first octet.
        Implicit = "implicit",
    }
}

choice! {
    /// When a kernel without Landlock may still serve shared uids.
    Confinement {
        /// Refuse.
        Required = "required",
        /// Go on and say so in the log.
        Optional = "optional",
    }
}

section! {
    /// Keys above the first section.
    Top "" {
        /// Form of this file. Older forms are understood, obsolete keys are named with what took their place; a newer one
        /// than this program knows is refused.
        version: u32 = super::advice::FORM;
        /// Name of this host in greetings, Received fields and bounces; empty takes the system's host name.
        hostname: String = String::new();
        /// Where log lines go: stderr or syslog.
        log: LogTarget = LogTarget::Stderr;
        /// Debug lines too.
        debug: bool = false;
        /// Keep a waiting process of each program that is started often; false starts each from the disk, slower.
        waiting: bool = true;
    }
}

section! {
    /// Places.
    Paths "paths" {
        /// Unix sockets of the resident services.
        run: PathBuf = "/run/pennypost".into();
        /// The queue: tmp, new, cur, log, corrupt.
        queue: PathBuf = "/var/spool/pennypost/queue".into();
        /// Counters, greylist, TLS memory: state that outlives a restart.
        state: PathBuf = "/var/lib/pennypost".into();
        /// The programs.
        libexec: PathBuf = "/usr/libexec/pennypost".into();
        /// Tables, keys and this file.
        tables: PathBuf = "/etc/pennypost".into();
    }
}

section! {
    /// Who runs what: a login name, a number, or uid:gid. Not used by an ordinary user, who runs all of it.
    Ids "ids" {
        /// TLS children.
        tls: String = "pptls".into();
        /// lookup.
        lookup: String = "pplookup".into();
        /// enqueue, qrun, bounce.
        queue: String = "ppqueue".into();
        /// smtpd and the pre-login programs.
        net: String = "ppnet".into();
        /// Mailboxes of virtual users.
        mail: String = "ppmail".into();
        /// remote.
        out: String = "ppout".into();
        /// Filters.
        filter: String = "ppfilter".into();
        /// dkimsign.
        sign: String = "ppsign".into();
        /// checkauth.
        auth: String = "ppauth".into();
        /// No user below this uid is ever started as, except the mail id.
        min_uid: u32 = 1000;
        /// What to do with a shared uid on a kernel without Landlock: required refuses, optional goes on.
        landlock: Confinement = Confinement::Required;
    }
}

section! {
    /// Mailboxes.
    Mail "mail" {
        /// Home of a user whose entry in the users table names none; %u local part, %d domain, %n whole login.
        home: String = "/var/mail/pennypost/%d/%u".into();
        /// Maildir of a user, below the home unless absolute.
        maildir: String = "Maildir".into();
        /// Characters that part a local part from its extension; empty for none.
        separators: String = "+".into();
        /// Folder for what a filter called junk.
        junk_folder: String = "Junk".into();
        /// Folders made at first login.
        autocreate: Vec<String> = Vec::new();
        /// Local users of the system (NSS) get mail too.
        system_users: bool = false;
        /// Local parts are compared in NFC and lower case after an exact match failed.
        fold_case: bool = true;
        /// Default quota of a mailbox, storage; 0 is none.
        quota: Size = Size(0);
        /// Default quota of a mailbox, messages; 0 is none.
        quota_messages: u32 = 0;
        /// Over quota is a permanent failure (5.2.2) instead of a temporary one (4.2.2).
        quota_permanent: bool = false;
        /// Program that warns a user whose mailbox fills: called as the user with the percentage that was passed; empty is none.
        quota_warning: PathBuf = PathBuf::new();
        /// Percentages of the quota whose passing is told.
        quota_warning_at: Vec<u32> = vec![80, 95];
    }
}

section! {
    /// Receiving: smtpd in its MX, submission and LMTP roles.
    Smtpd "smtpd" {
        /// Largest message, octets with CRLF.
        max_size: Size = Size(50 << 20);
        /// Most recipients of one message.
        max_recipients: u32 = 1000;
        /// Most Received fields before a message counts as looping.
        max_hops: u32 = 50;
        /// Time to wait for a command or a piece of data (RFC 5321 4.5.3.2).
        timeout: Seconds = Seconds(300);
        /// Clients that may relay without authentication: addresses and CIDR networks.
        relay_clients: Vec<String> = vec!["127.0.0.0/8".into(), "::1".into()];
        /// Errors after which a client is shown out.
        max_errors: u32 = 20;
        /// AUTH without TLS is allowed from loopback addresses.
        plain_auth_loopback: bool = true;
        /// Mail from loopback on the submission service needs no AUTH.
        submission_loopback: bool = false;
        /// The envelope sender of submitted mail must belong to the login.
        sender_login: bool = true;
        /// So must the From field.
        from_login: bool = true;
        /// A message with a bare CR or LF is normalised instead of refused.
        quirk_bare_lf: bool = false;
        /// Longest line of a message, octets with CRLF; 0 is none. Longer ones are refused.
        max_line: u32 = 0;
        /// Most messages on one connection; 0 is no limit.
        max_messages: u32 = 0;
        /// Most messages an hour of one login, else of one client address (IPv6: one /64); 0 is no limit.
        rate_messages: u32 = 0;
        /// Most recipients an hour, counted the same way; 0 is no limit.
        rate_recipients: u32 = 0;
        /// The access table is asked.
        access: bool = true;
        /// EHLO keywords not to announce.
        hide: Vec<String> = Vec::new();
        /// Longest time a submitted message may be held by FUTURERELEASE; 0s does not offer it.
        hold_max: Seconds = Seconds(30 * 86400);
        /// Received fields of submitted mail do not name the client's address.
        hide_client: bool = false;
        /// Clients whose XCLIENT and XFORWARD are believed: addresses and CIDR networks.
        xclient_hosts: Vec<String> = Vec::new();
        /// From half of max_errors on, each error is answered after this time.
        tarpit: Seconds = Seconds(1);
        /// Time to wait before the greeting; who speaks meanwhile is refused.
        greet_delay: Seconds = Seconds(0);
        /// Strangers' addresses are looked up in DNS for a confirmed name.
        resolve_clients: bool = true;
        /// Strangers without a confirmed name are told to try later.
        need_client_name: bool = false;
        /// Strangers that greet with this host's own name or address, or with a bare number, are refused.
        check_helo: bool = true;
        /// Sender domains of strangers must have an MX or an address.
        check_sender_domain: bool = false;
        /// DNS lists of clients: ZONE, ZONE=ADDRESS, each with *WEIGHT; a negative weight speaks for a client.
        dnsbl: Vec<String> = Vec::new();
        /// Sum of weights from which a client is refused.
        dnsbl_threshold: u32 = 1;
        /// Time for all DNS questions about one client.
        dns_timeout: Seconds = Seconds(5);
        /// Unknown triplets of network, sender and recipient are told to try later.
        greylist: bool = false;
        /// Hosts behind relay domains are asked at RCPT whether a recipient exists; lookup remembers what they say.
        callout: bool = false;
        /// Time for one such question.
        callout_timeout: Seconds = Seconds(30);
        /// A recipient whose host cannot be asked is told to try later instead of being accepted.
        callout_defer: bool = false;
        /// Policy servers (Postfix policy delegation): unix:PATH or inet:ADDRESS:PORT, asked at RCPT.
        policy: Vec<String> = Vec::new();
        /// Milters asked during the session: unix:PATH or inet:ADDRESS:PORT.
        milters: Vec<String> = Vec::new();
        /// Time for one answer of a policy server or milter.
        policy_timeout: Seconds = Seconds(30);
    }
}

section! {
    /// Authentication.
    Auth "auth" {
        /// Mechanisms that are offered. SCRAM-SHA-256-PLUS is there too, but off: mutt with GNU SASL takes the strongest
        /// mechanism it sees and then has no channel binding for TLS 1.3.
        mechanisms: Vec<String> = ["PLAIN", "LOGIN", "SCRAM-SHA-256"].map(String::from).to_vec();
        /// Where passwords are checked: users, pam or checkpassword.
        source: String = "users".into();
        /// Program of the checkpassword interface, when source says so.
        checkpassword: String = String::new();
        /// Name of the service that PAM is asked for, when source says so: a file of /etc/pam.d.
        pam_service: String = "pennypost".into();
        /// Directory of PAM services instead of /etc/pam.d.
        pam_directory: String = String::new();
        /// Wrong passwords from one address (IPv6: one /64), or for one login, in a minute before answers are slowed.
        failures_before_delay: u32 = 60;
        /// A validator of OAUTHBEARER and XOAUTH2 tokens; empty leaves them off.
        oauth_validator: String = String::new();
    }
}

section! {
    /// Answers about addresses.
    Lookup "lookup" {
        /// How long the programs that stand in place of tables may take for one question.
        table_timeout: Seconds = Seconds(5);
    }
}

section! {
    /// The queue and its runner.
    Queue "queue" {
        /// How long delivery is tried.
        lifetime: Seconds = Seconds(5 * 86400);
        /// Shortest wait before a second try.
        retry_min: Seconds = Seconds(300);
        /// Longest wait between two tries.
        retry_max: Seconds = Seconds(4 * 3600);
        /// When the sender is told of a delay; 0s is never.
        delay_warning: Seconds = Seconds(4 * 3600);
        /// Local deliveries at once.
        local_concurrency: u32 = 20;
        /// Jobs to other hosts at once.
        remote_concurrency: u32 = 100;
        /// Jobs to one destination at once, at most.
        destination_concurrency: u32 = 20;
        /// Time limit of one local delivery.
        delivery_timeout: Seconds = Seconds(300);
        /// Where mail for the postmaster goes when no alias says.
        postmaster: String = String::new();
        /// Start with every entry held.
        start_held: bool = false;
        /// Domain of rewritten senders of forwarded mail (SRS); a local domain of its own, or one whose mail comes here.
        /// Empty rewrites none.
        srs_domain: String = String::new();
    }
}

section! {
    /// Sending.
    Remote "remote" {
        /// Name in EHLO; empty takes the hostname.
        helo: String = String::new();
        /// Source address; empty lets the kernel choose.
        source: String = String::new();
        /// Resolver, address:port; empty takes resolv.conf.
        resolver: String = String::new();
        /// Port of other hosts.
        port: u32 = 25;
        /// Use STARTTLS where it is offered.
        starttls: bool = true;
        /// Check certificates against TLSA records (DANE) where the resolver validates; it must be on loopback.
        dane: bool = true;
        /// Obey the MTA-STS policies of domains.
        mta_sts: bool = true;
        /// Port of the web servers that have these policies.
        sts_port: u32 = 443;
        /// How long a domain that had TLS has to have it, or its mail waits; shorter than queue.lifetime, so that none is
        /// given up for it. 0s remembers nothing.
        tls_memory: Seconds = Seconds(3 * 86400);
        /// Write down how TLS went, for the daily reports to domains that ask for them (TLSRPT).
        tls_reports: bool = false;
        /// Sender of those reports; empty takes postmaster at the hostname.
        report_from: String = String::new();
        /// Trusted roots for hosts whose certificate must be checked, PEM; empty takes the system's.
        ca_file: PathBuf = PathBuf::new();
        /// Send in chunks (BDAT) where it is offered.
        chunking: bool = true;
        /// Time to connect.
        connect_timeout: Seconds = Seconds(30);
        /// Time to wait for most answers (RFC 5321 4.5.3.2).
        timeout: Seconds = Seconds(300);
        /// How long an idle connection is kept for the next message.
        idle: Seconds = Seconds(5);
    }
}

section! {
    /// TLS as a server.
    TlsServer "tls" {
        /// Certificate chain, PEM.
        certificate: PathBuf = "/etc/pennypost/tls.pem".into();
        /// Private key, PEM.
        key: PathBuf = "/etc/pennypost/tls.key".into();
        /// Directory of NAME.pem and NAME.key for other server names (SNI).
        names: PathBuf = "/etc/pennypost/tls.d".into();
        /// Lowest protocol: 1.2 or 1.3.
        min_version: String = "1.2".into();
        /// Time for a handshake.
        handshake_timeout: Seconds = Seconds(30);
    }
}

section! {
    /// IMAP.
    Imapd "imapd" {
        /// Time without a command before a session ends (RFC 9051 5.4: at least 30 minutes).
        timeout: Seconds = Seconds(1800);
        /// Time before login.
        login_timeout: Seconds = Seconds(120);
        /// LOGIN without TLS is allowed from loopback addresses.
        plain_auth_loopback: bool = true;
        /// Capabilities not to announce.
        hide: Vec<String> = Vec::new();
        /// Largest APPEND, octets.
        append_limit: Size = Size(100 << 20);
        /// Messages one command may work on (RFC 9738: 1000 or more); 0 is no limit. Clients that do not know of it see the newest only.
        message_limit: u32 = 0;
        /// The same for COPY and APPEND alone, where message_limit is 0.
        save_limit: u32 = 0;
        /// Sessions one user may hold.
        max_sessions: u32 = 60;
        /// Keep an index beside the mail that makes SEARCH BODY and TEXT fast; it takes about a third of the mail's size.
        fulltext: bool = false;
        /// How often a long search tells that it goes on (RFC 9585).
        progress: Seconds = Seconds(10);
        /// Run on moves into and out of the Junk folder: program, called with spam or ham, message on stdin.
        learn: String = String::new();
        /// Sieve scripts may run on APPEND, COPY and STORE (RFC 6785): the URL of the ManageSieve server to announce; empty is off.
        imapsieve: String = String::new();
        /// Sieve script run on these where no annotation names one: the user's of that name, else NAME.sieve of the directory sieve of the
        /// tables. Works with imapsieve left empty too.
        imapsieve_script: String = String::new();
        /// Namespace prefix of personal folders: empty or INBOX.
        prefix: String = String::new();
        /// Hierarchy separator shown to clients: / or .
        separator: String = "/".into();
        /// Logins that may set the quota of other users (RFC 9208), where all have one uid; their sessions are not confined.
        admins: Vec<String> = Vec::new();
        /// Public folders: their name among the mailboxes, a blank, the directory that holds them.
        public: Vec<String> = Vec::new();
        /// Users see folders that others share with them: the directory in which sessions note who shares; empty is off.
        shared: PathBuf = PathBuf::new();
        /// The name under which other users' folders are seen.
        shared_prefix: String = "user".into();
    }
}

section! {
    /// POP3.
    Pop3d "pop3d" {
        /// Time without a command before a session ends (RFC 1939: at least 10 minutes).
        timeout: Seconds = Seconds(600);
        /// Time before login.
        login_timeout: Seconds = Seconds(120);
        /// USER and PASS without TLS are allowed from loopback addresses.
        plain_auth_loopback: bool = true;
        /// Form of UIDL's ids: dovecot (its default, %08Xu%08Xv), name (%f), or a text of %u (UID), %v (UIDVALIDITY), %f or %g (base
        /// file name) and %% with 0, a width and X (hexadecimal) before u and v: UID%u-%v is Courier's, %v.%u that of Cyrus.
        uidl: String = "dovecot".into();
        /// Time between two logins of one user (LOGIN-DELAY of RFC 2449); 0 is none.
        login_delay: Seconds = Seconds(0);
    }
}

section! {
    /// Local delivery.
    Deliver "deliver" {
        /// Mail filed into a Maildir gets a Delivered-To field. Without it, one message to several users of one uid is one file with a
        /// name in each Maildir.
        delivered_to: bool = true;
        /// Programs from .forward and .qmail may run for users with a login shell.
        pipes: bool = true;
        /// Domains whose virtual users may run programs and write outside their mailbox.
        pipe_domains: Vec<String> = Vec::new();
        /// Time limit of one program.
        pipe_timeout: Seconds = Seconds(120);
        /// Directory of programs for Sieve pipe, filter and execute.
        sieve_programs: PathBuf = "/etc/pennypost/sieve-bin".into();
        /// Sieve script (or a directory of them, in order of name) run before a user's own.
        sieve_before: PathBuf = PathBuf::new();
        /// Sieve script (or a directory of them) run after a user's own.
        sieve_after: PathBuf = PathBuf::new();
        /// Field the Sieve test spamtest reads: name, colon, regular expression whose group is the score.
        spamtest: String = "X-Spamcheck:score=(-?[0-9.]+)".into();
        /// Score that means surely spam.
        spamtest_max: u32 = 1;
        /// Field the Sieve test virustest reads, in the same form; its score is out of 5. Empty leaves it off.
        virustest: String = String::new();
        /// Redirects of one message by Sieve.
        sieve_redirects: u32 = 4;
        /// Shortest time between two vacation answers to one sender.
        vacation_min: Seconds = Seconds(86400);
    }
}

section! {
    /// ManageSieve.
    Sieved "sieved" {
        /// Time without a command before a session ends.
        timeout: Seconds = Seconds(1800);
        /// AUTHENTICATE without TLS is allowed from loopback addresses.
        plain_auth_loopback: bool = true;
        /// Largest script.
        max_script: Size = Size(1 << 20);
        /// Most scripts a user may keep.
        max_scripts: u32 = 50;
    }
}

choice! {
    /// How far a domain's DMARC policy is followed.
    DmarcAction {
        /// Only noted in the header.
        None = "none",
        /// At most to the junk folder.
        Quarantine = "quarantine",
        /// Refused where the domain asks for it.
        Reject = "reject",
    }
}

section! {
    /// The filter mailauth: SPF, DKIM, DMARC, ARC.
    Mailauth "mailauth" {
        /// Our name in Authentication-Results; empty takes the hostname.
        authserv_id: String = String::new();
        /// Resolver, ADDR:PORT; empty takes PENNYPOST_RESOLVER, else /etc/resolv.conf.
        resolver: String = String::new();
        /// DNS time for one message.
        dns_time: Seconds = Seconds(20);
        /// How far DMARC policies are followed: none, quarantine or reject.
        dmarc: DmarcAction = DmarcAction::Reject;
        /// A DMARC result that hangs on a failing DNS defers the message instead of letting it in.
        defer: bool = true;
        /// Mail that SPF fails is refused, with the domain's explanation.
        spf_reject: bool = false;
        /// Domains whose valid ARC seal excuses a DMARC failure: mailing lists and forwarders you trust.
        trusted_sealers: Vec<String> = Vec::new();
        /// Author domains whose DMARC policy is not followed.
        except: Vec<String> = Vec::new();
        /// Public suffix list for RFC 7489's view of organizations; empty leaves it to the tree walk.
        suffixes: PathBuf = PathBuf::new();
        /// Directory where results for DMARC aggregate reports are collected; empty collects none.
        reports: PathBuf = PathBuf::new();
        /// Sender of those reports; empty takes postmaster at the hostname.
        report_from: String = String::new();
        /// Failure reports (RFC 9991) for domains that ask for them; they hold headers of mail, so think first.
        failure_reports: bool = false;
    }
}

section! {
    /// The filter dkimsign.
    Dkimsign "dkimsign" {
        /// Which key signs for which author domain: `DOMAIN SELECTOR KEYFILE [name=value ...]`, one line each.
        table: PathBuf = "/etc/pennypost/dkim".into();
        /// Life of a signature; 0 is for ever.
        lifetime: Seconds = Seconds(0);
        /// What is passed on is sealed (ARC) with the key of this domain; empty seals nothing.
        arc_domain: String = String::new();
    }
}

section! {
    /// The filter spamcheck; by hand it reads this only with `-c`.
    Spamcheck "spamcheck" {
        /// Directory of the tables: `site`, and `users/ADDRESS` for users with a table of their own. Empty is ~/.spamcheck/table, then the site's.
        tables: PathBuf = PathBuf::new();
        /// The site's own rules.
        rules: PathBuf = PathBuf::new();
        /// Scores from here on are spam.
        spam_cut: Chance = Chance(0.9);
        /// Scores up to here are ham.
        ham_cut: Chance = Chance(0.3);
        /// Authentication-Results of these names are believed, beside those of earlier filters.
        authserv_ids: Vec<String> = Vec::new();
    }
}

section! {
    /// The filter virusscan; by hand it reads this only with `-c`.
    Virusscan "virusscan" {
        /// Signatures made by `virusscan --compile`; without the file the built-in ones are used.
        db: PathBuf = "/var/lib/pennypost/virus.db".into();
        /// What is done: `class=action` words as in virusscan(1), laid over the defaults.
        policy: Vec<String> = Vec::new();
        /// A clamd to ask too: socket path or host:port.
        clamd: String = String::new();
        /// Directory where refused messages are kept; empty keeps none.
        quarantine: PathBuf = PathBuf::new();
        /// Containers inside each other.
        max_depth: u32 = 32;
        /// Objects in one message.
        max_files: u32 = 10_000;
        /// One unpacked object.
        max_object: Size = Size(100 << 20);
        /// All unpacked objects of one message.
        max_total: Size = Size(400 << 20);
        /// Unpacked to packed octets, beyond the first 8 MiB.
        max_ratio: u32 = 300;
        /// Time for one message.
        max_time: Seconds = Seconds(60);
    }
}

section! {
    /// What `pennypost check --all` and `pennypost dns` go by.
    Check "check" {
        /// Addresses the world sees, where this host's own are others (NAT).
        addresses: Vec<String> = Vec::new();
        /// DNS lists on which these addresses should not stand: ZONE or ZONE=ADDRESS.
        dnsbl: Vec<String> = ["zen.spamhaus.org", "bl.spamcop.net"].map(String::from).to_vec();
        /// Domains to whose mail hosts it is tried to connect, one after another until one answers; [] tries none.
        outbound: Vec<String> = ["gmail.com", "outlook.com"].map(String::from).to_vec();
    }
}

section! {
    /// One `[[listen]]` entry: an address and the program that serves its connections.
    Listen "listen" {
        /// Name in logs.
        name: String = String::new();
        /// Address and port, `[::]:25` or `127.0.0.1:2525`; `fd:NAME` takes a socket passed by systemd.
        address: String = String::new();
        /// smtpd, imapd, pop3d, sieved, or the path of another program.
        program: String = String::new();
        /// Arguments of the program.
        args: Vec<String> = Vec::new();
        /// none, starttls or implicit.
        tls: TlsMode = TlsMode::StartTls;
        /// Most connections at once.
        max_connections: u32 = 1000;
        /// Most connections at once from one address (IPv6: one /64).
        max_per_address: u32 = 200;
        /// Most new connections a minute from one address (IPv6: one /64); 0 is no limit.
        max_rate: u32 = 0;
        /// Addresses whose connections begin with the PROXY protocol.
        proxy_from: Vec<String> = Vec::new();
        /// Pending connections the kernel keeps.
        backlog: u32 = 1024;
    }
}

section! {
    /// One `[[filter]]` entry: a program that judges a message before it is queued.
    Filter "filter" {
        /// Name in logs and in the junk line.
        name: String = String::new();
        /// Program and arguments.
        command: Vec<String> = Vec::new();
        /// Services it serves: mx, submission, lmtp; forward and own see what leaves for other hosts (qrun(8)).
        services: Vec<String> = vec!["mx".into(), "submission".into(), "lmtp".into()];
        /// It prints the whole new message instead of header fields.
        rewrite: bool = false;
        /// Runs as the signing id (it holds keys).
        sign: bool = false;
        /// Time limit.
        timeout: Seconds = Seconds(120);
        /// Recipients that opted out, of mail that comes in.
        except: Vec<String> = Vec::new();
    }
}
