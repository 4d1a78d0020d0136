//! Rules about the header: who the author claims to be, what is missing, what our own checks said.
//!
//! Standards   RFC 5322 3.6 (fields), RFC 8601 (Authentication-Results)

use super::brands::{BRANDS, Brand};
use super::index::{self, Index};
use super::{CERTAIN, Facts, has_words, mailbox, text, url};
use crate::view::fields;

/// Runs them.
pub fn check(f: &mut Facts<'_, '_>) {
    missing(f);
    author(f);
    impersonation(f);
    replies(f);
    subject(f);
    mailer(f);
    authentication(f);
    block_lists(f);
    good_marks(f);
}

fn missing(f: &mut Facts<'_, '_>) {
    let m = f.message;
    if m.fields.is_empty() {
        return;
    }
    if m.field("message-id").is_none_or(<[u8]>::is_empty) {
        f.hit("NO_MESSAGE_ID", 1.0, "has no Message-ID");
    }
    if m.field("date").is_none() {
        f.hit("NO_DATE", 0.8, "has no Date");
    }
    let to = m.field("to").unwrap_or(b"");
    let folded = text::fold(to, 200).text;
    if folded.trim().is_empty() {
        f.hit("NO_TO", 0.3, "names no recipient");
    } else if folded.contains(" undisclosed ") || folded.contains(" recipients ") {
        f.hit("UNDISCLOSED", 1.1, "goes to undisclosed recipients");
    }
    let (_, to) = mailbox(to);
    if to == f.from && !f.from.is_empty() && !f.list {
        f.hit("FROM_IS_TO", 1.6, "claims to come from its own recipient");
    }
}

fn author(f: &mut Facts<'_, '_>) {
    let domain = f.from_domain.clone();
    if f.from.is_empty() || domain.is_empty() {
        f.hit("FROM_EMPTY", 1.0, "has no usable From address");
        return;
    }
    if url::is_odd_tld(&domain) {
        f.hit_with("FROM_ODD_TLD", 1.8, format!("comes from {domain}, a kind of domain mostly used by junk"));
    }
    if url::looks_random(url::label(&domain)) || domain.split('.').any(url::looks_random) {
        f.hit_with("FROM_RANDOM_DOMAIN", 1.0, format!("the sender's domain {domain} looks made up"));
    }
    if url::is_free_host(&domain) || domain.ends_with(".onmicrosoft.com") {
        f.hit_with("FROM_FREE_HOST", 1.6, format!("comes from {domain}, where anybody gets a name"));
    }
    let local = f.from.split('@').next().unwrap_or("").to_owned();
    if local.len() > 5 && url::looks_random(&local) && !f.list {
        f.hit("FROM_RANDOM_USER", 0.3, "the sender's address looks made up");
    }
    name_is_address(f, &domain);
}

fn name_is_address(f: &mut Facts<'_, '_>, domain: &str) {
    let Some(at) = f.raw_name.find('@') else {
        return;
    };
    let claimed: String = f
        .raw_name
        .get(at + 1..)
        .unwrap_or("")
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c))
        .collect();
    let claimed = claimed.trim_end_matches('.').to_lowercase();
    // a forwarding service shows the real author and his links in its own name
    let forwarded = f.links.iter().any(|(u, _)| u.domain() == url::registrable(&claimed));
    if !forwarded && claimed.contains('.') && url::registrable(&claimed) != url::registrable(domain) && !f.list {
        f.hit_with("NAME_IS_OTHER_ADDRESS", 2.0, format!("is shown as from {claimed} but comes from {domain}"));
    }
}

/// The names of each brand.
const NAMES: [&str; BRANDS.len()] = {
    let mut out = [""; BRANDS.len()];
    let mut n = 0;
    while n < BRANDS.len() {
        out[n] = BRANDS[n].names;
        n += 1;
    }
    out
};

static NAME_INDEX: Index<{ index::count(&NAMES) }> = Index::new(&NAMES);

/// The brand a folded text names, unless `domain` is its own. A longer name wins: "apple pay" over "apple".
fn false_brand(folded: &str, domain: &str) -> Option<&'static str> {
    let found = NAME_INDEX.find(&NAMES, folded);
    let (brand, name) = found.into_iter().max_by_key(|f| f.1.len())?;
    BRANDS.get(brand).filter(|b| !owns(b, domain)).map(|_| name)
}

/// The domain is the brand's own: its registrable label is listed.
pub fn owns(brand: &Brand, domain: &str) -> bool {
    let label = url::label(domain);
    domain.split('.').next_back() == Some("gov") || brand.domains.split('|').any(|d| d == label)
}

/// A brand the text names, when neither the author nor any link is its own.
pub fn foreign_brand(f: &Facts<'_, '_>) -> Option<&'static str> {
    const START: usize = 2000;
    let start = f.body.text.get(..START).unwrap_or(&f.body.text);
    let found = NAME_INDEX.find(&NAMES, start);
    let strange = |brand: &Brand| !owns(brand, &f.from_domain) && f.links.iter().all(|(u, _)| !owns(brand, &u.host));
    let all = found.iter().filter_map(|(b, name)| Some((BRANDS.get(*b)?, *name)));
    all.filter(|(brand, _)| strange(brand)).max_by_key(|f| f.1.len()).map(|f| f.1)
}

fn impersonation(f: &mut Facts<'_, '_>) {
    let domain = f.from_domain.clone();
    if domain.is_empty() || f.list {
        return;
    }
    if let Some(name) = false_brand(&f.name.text, &domain) {
        f.hit_with("FALSE_NAME", 2.6, format!("calls itself \"{name}\" but writes from {domain}"));
    } else if let Some(name) = false_brand(&f.subject.text, &domain).filter(|_| !f.reply) {
        f.hit_with("BRAND_IN_SUBJECT", 0.7, format!("speaks of \"{name}\" in the subject but comes from {domain}"));
    }
    let label = url::label(&domain).to_owned();
    if let Some(name) = brand_in_host(&domain) {
        f.hit_with("LOOKALIKE_DOMAIN", 2.6, format!("comes from {domain}, which is not {name}'s ({label})"));
    }
    role_name(f, &domain);
}

/// The brand whose name is part of a host that is not its own.
pub fn brand_in_host(host: &str) -> Option<&'static str> {
    BRANDS.iter().filter(|b| b.in_host).find_map(|brand| {
        let mut names = brand.names.split('|').filter(|n| n.len() > 4 && !n.contains(' '));
        let bytes = host.as_bytes();
        let named = names.any(|n| bytes.windows(n.len()).any(|w| w == n.as_bytes()));
        (named && !owns(brand, host)).then(|| brand.names.split('|').next().unwrap_or(""))
    })
}

/// A display name such as "IT Support" from an outside or free address.
fn role_name(f: &mut Facts<'_, '_>, domain: &str) {
    const ROLES: [&str; 26] = [
        "support",
        "admin",
        "administrator",
        "help desk",
        "helpdesk",
        "security",
        "notification",
        "notifications",
        "alert",
        "service",
        "customer service",
        "billing",
        "account team",
        "no reply",
        "noreply",
        "mailer daemon",
        "postmaster",
        "webmail",
        "mail server",
        "email server",
        "server",
        "human resources",
        "hr department",
        "payroll",
        "voicemail",
        "fax",
    ];
    let named = ROLES.iter().find(|r| has_words(&f.name.text, r));
    let recipient = mailbox(f.message.field("to").unwrap_or(b"")).1;
    let to_domain = recipient.rsplit_once('@').map_or("", |(_, d)| d);
    if let Some(role) = named.filter(|_| url::is_free_mail(domain)) {
        f.hit_with("ROLE_FROM_FREE_MAIL", 1.5, format!("a \"{role}\" that writes from {domain}"));
    }
    let label = url::label(to_domain);
    if label.len() > 3 && has_words(&f.name.text, label) && url::registrable(domain) != url::registrable(to_domain) {
        f.hit_with("NAME_IS_OUR_DOMAIN", 1.8, format!("is named after the recipient's domain but comes from {domain}"));
    }
}

fn replies(f: &mut Facts<'_, '_>) {
    let (_, reply_to) = mailbox(f.message.field("reply-to").unwrap_or(b""));
    let domain = reply_to.rsplit_once('@').map_or("", |(_, d)| d);
    if domain.is_empty() || f.list || f.from_domain.is_empty() {
        return;
    }
    let other = url::registrable(domain) != url::registrable(&f.from_domain);
    if other && url::is_free_mail(domain) {
        f.hit_with("REPLY_TO_FREE_MAIL", 2.4, format!("wants answers at {domain}, not at {}", f.from_domain));
    } else if other {
        f.hit_with("REPLY_TO_OTHER", 0.9, format!("wants answers at {domain}, not at {}", f.from_domain));
    } else if url::is_free_mail(domain) && reply_to != f.from {
        f.hit("REPLY_TO_OTHER_USER", 1.4, "wants answers at another free address");
    }
    let path = f.message.field("return-path").map(|p| mailbox(p).1).or_else(|| f.context.sender.clone());
    let path = path.unwrap_or_default();
    let path_domain = path.rsplit_once('@').map_or("", |(_, d)| d);
    if !path_domain.is_empty() && url::registrable(path_domain) != url::registrable(&f.from_domain) {
        f.hit("RETURN_PATH_OTHER", 0.3, "bounces go to another domain than the author's");
    }
}

fn subject(f: &mut Facts<'_, '_>) {
    let raw = f.message.field("subject").unwrap_or(b"").to_vec();
    let text = String::from_utf8_lossy(&raw);
    let (invisible, fancy, mixed) = (f.subject.invisible, f.subject.fancy, f.subject.mixed);
    if invisible + f.name.invisible > 0 || fancy + f.name.fancy > 1 || mixed + f.name.mixed > 0 {
        f.hit(
            "SUBJECT_DISGUISED",
            2.0,
            "the subject or sender's name is spelled with look-alike or invisible characters",
        );
    }
    let encoded = f.message.fields.iter().find(|x| x.name.eq_ignore_ascii_case(b"subject"));
    let coded = encoded.is_some_and(|x| memchr::memmem::find(x.raw, b"=?").is_some());
    if coded && raw.is_ascii() && raw.len() > 3 {
        f.hit("SUBJECT_NEEDLESSLY_ENCODED", 0.9, "the subject is encoded though plain letters would do");
    }
    if text.to_lowercase().starts_with("re:") && !f.reply {
        f.hit("FALSE_REPLY", 0.6, "looks like an answer but answers nothing");
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let upper = text.chars().filter(|c| c.is_uppercase()).count();
    if letters > 9 && upper * 10 > letters * 9 {
        f.hit("SUBJECT_SHOUTS", 1.1, "the subject is in capitals");
    }
    if text.chars().any(|c| matches!(u32::from(c), 0x1F300..=0x1FAFF | 0x2600..=0x27BF | 0x2B50..=0x2B55)) {
        f.hit("SUBJECT_PICTURES", 0.9, "the subject has little pictures");
    }
    recipient_in_subject(f);
}

fn recipient_in_subject(f: &mut Facts<'_, '_>) {
    let (_, to) = mailbox(f.message.field("to").unwrap_or(b""));
    let subject = f.message.field("subject").unwrap_or(b"").to_ascii_lowercase();
    let local = to.split('@').next().unwrap_or("");
    if to.contains('@') && memchr::memmem::find(&subject, to.as_bytes()).is_some() {
        f.hit("ADDRESS_IN_SUBJECT", 2.0, "the recipient's address stands in the subject");
    } else if local.len() > 4 && has_words(&f.subject.text, local) && !f.list && !f.reply {
        f.hit("USER_IN_SUBJECT", 1.2, "the recipient's user name stands in the subject");
    }
}

fn mailer(f: &mut Facts<'_, '_>) {
    let mailer = f.message.field("x-mailer").unwrap_or(b"").to_ascii_lowercase();
    let id = f.message.field("message-id").unwrap_or(b"").to_vec();
    if memchr::memmem::find(&mailer, b"phpmailer").is_some() || memchr::memmem::find(&mailer, b"leaf php").is_some() {
        f.hit("PHP_MAILER", 0.9, "was sent by a web script (PHPMailer)");
    }
    if f.message.field("x-php-originating-script").is_some() || f.message.field("x-php-script").is_some() {
        f.hit("PHP_SCRIPT", 0.9, "was sent by a script on a web server");
    }
    let host = id.rsplit(|&c| c == b'@').next().unwrap_or(b"").to_ascii_lowercase();
    if !id.is_empty() && (!id.contains(&b'@') || host.starts_with(b"localhost") || host.len() < 4) {
        f.hit("ODD_MESSAGE_ID", 0.5, "the Message-ID was not made by a mail program");
    }
    if f.helo_is_bare() {
        f.hit("HELO_NO_NAME", 0.8, "the sending machine did not say a full name");
    }
    let unnamed = f.context.client_name.as_deref().is_some_and(|n| n.is_empty() || n == "unknown");
    if unnamed {
        f.hit("NO_REVERSE_NAME", 0.8, "the sending machine has no name in the DNS");
    }
}

impl Facts<'_, '_> {
    fn helo_is_bare(&self) -> bool {
        self.context.helo.as_deref().is_some_and(|h| !h.contains('.') && !h.starts_with('['))
    }
}

/// Results our own verifier wrote; anybody else's are not believed.
fn authentication(f: &mut Facts<'_, '_>) {
    let trusted = fields(f.context.fields.as_bytes());
    let trusted = trusted.iter().filter(|x| x.name.eq_ignore_ascii_case(b"authentication-results"));
    let mut ours: Vec<String> = trusted.map(|x| String::from_utf8_lossy(&x.value).to_lowercase()).collect();
    ours.extend(f.message.all("authentication-results").filter_map(|v| {
        let text = String::from_utf8_lossy(v).to_lowercase();
        let id = text.split([';', ' ']).next().unwrap_or("").to_owned();
        f.context.authserv_ids.iter().any(|ours| ours.eq_ignore_ascii_case(&id)).then_some(text)
    }));
    let says = |what: &str| ours.iter().any(|t| t.contains(what));
    let (dmarc_fail, spf_fail, dkim_fail) = (says("dmarc=fail"), says("spf=fail"), says("dkim=fail"));
    let (dmarc_pass, spf_soft) = (says("dmarc=pass"), says("spf=softfail"));
    if dmarc_fail {
        f.hit("DMARC_FAIL", 2.5, "fails the policy of the domain it claims to come from (DMARC)");
    } else if spf_fail {
        f.hit("SPF_FAIL", 1.5, "comes from a machine its domain does not allow (SPF)");
    } else if spf_soft || dkim_fail {
        f.hit("AUTH_DOUBTFUL", 0.6, "its SPF or DKIM check did not pass");
    }
    if dmarc_pass && f.context.known {
        f.hit("KNOWN_AND_PROVEN", -4.0, "is from somebody the user wrote to, and provably so");
    } else if f.context.known && !dmarc_fail && !spf_fail {
        f.hit("KNOWN", -1.5, "is from somebody the user wrote to");
    }
}

fn block_lists(f: &mut Facts<'_, '_>) {
    let lists: Vec<String> = f.context.block_lists.split_ascii_whitespace().map(str::to_owned).collect();
    for (i, answer) in lists.iter().take(4).enumerate() {
        let name =
            ["BLOCK_LIST_1", "BLOCK_LIST_2", "BLOCK_LIST_3", "BLOCK_LIST_4"].get(i).copied().unwrap_or("BLOCK_LIST");
        f.hit_with(name, if i == 0 { 3.0 } else { 1.5 }, format!("is on a block list: {answer}"));
    }
}

/// Marks of mail among people; bounded, for they can be forged.
fn good_marks(f: &mut Facts<'_, '_>) {
    if f.hits.iter().any(|h| h.weight >= CERTAIN) {
        return;
    }
    if f.list {
        f.hit("MAILING_LIST", -1.5, "came through a mailing list");
    }
    if f.context.login {
        f.hit("LOGGED_IN", -2.0, "was sent by a user who logged in");
    }
    if f.message.field("list-unsubscribe").is_some() && !f.list {
        f.hit("UNSUBSCRIBE_FIELD", -0.6, "can be unsubscribed from by its header");
    }
    if f.reply {
        f.hit("IN_A_CONVERSATION", -1.5, "answers another message");
    }
}
