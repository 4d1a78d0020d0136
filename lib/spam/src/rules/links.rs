//! Rules about links: where they lead against what they show, and the company they keep.

use super::{Facts, header, mailbox, url};

/// Runs them.
pub fn check(f: &mut Facts<'_, '_>) {
    if f.links.is_empty() {
        return;
    }
    mismatch(f);
    shape(f);
    hosts(f);
    recipient_in_link(f);
    strangers(f);
    false_brand_host(f);
}

/// The text names one domain, the link leads to another.
fn mismatch(f: &mut Facts<'_, '_>) {
    let found = f.links.iter().find_map(|(u, text)| {
        let claimed = url::claimed_host(text)?;
        let (shown, real) = (url::registrable(&claimed), u.domain());
        // the author's own domain or a list manager may count clicks
        let tracked = real == url::registrable(&f.from_domain) || url::label(shown) == url::label(real);
        (!u.host.is_empty() && shown != real && !tracked).then(|| format!("shows {claimed} but leads to {}", u.host))
    });
    if let Some(why) = found {
        f.hit_with("LINK_LIES", 1.6, why);
    }
}

fn shape(f: &mut Facts<'_, '_>) {
    let any = |f: &Facts<'_, '_>, test: &dyn Fn(&url::Url) -> bool| f.links.iter().any(|(u, _)| test(u));
    if any(f, &|u| !u.host.is_empty() && u.is_ip()) {
        f.hit("LINK_TO_NUMBER", 2.0, "links to a bare network address");
    }
    if any(f, &|u| u.userinfo) {
        f.hit("LINK_WITH_USER", 1.5, "links hide their host behind an @");
    }
    if any(f, &|u| u.host.split('.').any(|l| l.starts_with("xn--"))) {
        f.hit("LINK_PUNYCODE", 1.0, "links to a name in foreign letters");
    }
    if any(f, &|u| matches!(u.scheme.as_str(), "data" | "javascript" | "blob")) {
        f.hit("LINK_IS_CODE", 2.0, "a link is a piece of code");
    }
    if any(f, &|u| u.host.split('.').count() > 5) {
        f.hit("LINK_DEEP_HOST", 0.8, "links to a host with very many dots");
    }
    const LURES: [&str; 22] = [
        "login",
        "signin",
        "sign-in",
        "verify",
        "verif",
        "secure",
        "webmail",
        "webscr",
        "account",
        "wallet",
        "authenticate",
        "recover",
        "unlock",
        "/wp-content/",
        "/wp-includes/",
        "/wp-admin/",
        "/.well-known/",
        "cgi-bin/",
        "/owa",
        "office",
        "invoice",
        "track",
    ];
    let own = url::registrable(&f.from_domain);
    let mut foreign = String::new();
    for (u, _) in f.links.iter().filter(|(u, _)| u.domain() != own) {
        foreign.push_str(&u.host);
        foreign.push_str(&u.rest);
        foreign.push(' ');
    }
    let lure = LURES.iter().find(|l| memchr::memmem::find(foreign.as_bytes(), l.as_bytes()).is_some());
    if let Some(lure) = lure {
        f.hit_with("LINK_LURE", 0.4, format!("a link to another site has \"{lure}\" in it"));
    }
}

fn hosts(f: &mut Facts<'_, '_>) {
    let find = |f: &Facts<'_, '_>, test: &dyn Fn(&url::Url) -> bool| {
        f.links.iter().find(|(u, _)| !u.host.is_empty() && test(u)).map(|(u, _)| u.host.clone())
    };
    if let Some(host) = find(f, &|u| url::is_free_host(&u.host)) {
        f.hit_with("LINK_FREE_HOST", 1.8, format!("links to {host}, where anybody may publish"));
    }
    if let Some(host) = find(f, &|u| url::is_shortener(&u.host)) {
        f.hit_with("LINK_SHORTENED", 1.5, format!("links through {host}, which hides the target"));
    }
    if let Some(host) = find(f, &|u| url::is_odd_tld(&u.host)) {
        f.hit_with("LINK_ODD_TLD", 1.6, format!("links to {host}, a kind of domain mostly used by junk"));
    }
    if let Some(host) = find(f, &url::is_redirector) {
        f.hit_with("LINK_REDIRECTED", 0.6, format!("links through {host} to somewhere else"));
    }
    if let Some(host) = find(f, &|u| url::looks_random(url::label(&u.host))) {
        f.hit_with("LINK_RANDOM_HOST", 0.7, format!("links to {host}, which looks made up"));
    }
}

/// The recipient's address rides on the link, plainly or in base64: the page will greet him by name.
fn recipient_in_link(f: &mut Facts<'_, '_>) {
    let (_, to) = mailbox(f.message.field("to").unwrap_or(b""));
    let Some((local, domain)) = to.split_once('@').filter(|(l, _)| l.len() > 2) else {
        return;
    };
    let coded = base64_of(&to).to_lowercase();
    let percent = format!("{local}%40{domain}");
    let foreign: Vec<&str> = f
        .links
        .iter()
        .map(|(u, _)| u)
        .filter(|u| u.domain() != url::registrable(&f.from_domain) && u.domain() != url::registrable(domain))
        .filter(|u| u.scheme != "mailto")
        .map(|u| u.rest.as_str())
        .collect();
    // newsletters write `?email=` too; a fragment, a bare path or base64 is how a forged page gets its victim's name
    let bare = |r: &str| {
        let fragment = r.split_once('#').is_some_and(|(_, frag)| frag.contains(&to));
        fragment || r.ends_with(&to) && !r.ends_with(&format!("={to}")) || coded.len() > 8 && r.contains(&coded)
    };
    let hidden = foreign.iter().any(|r| bare(r));
    let here = foreign.iter().any(|r| r.contains(&to) || r.contains(&percent));
    if hidden && !f.list {
        f.hit(
            "RECIPIENT_HIDDEN_IN_LINK",
            2.0,
            "a link to a foreign site carries the recipient's address, ready to fill in a page",
        );
    } else if here && !f.list {
        f.hit("RECIPIENT_IN_LINK", 0.5, "a link to a foreign site carries the recipient's address");
    }
}

/// The base64 of an address without its last, position-dependent characters.
fn base64_of(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks_exact(3) {
        let n = chunk.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        for shift in [18, 12, 6, 0] {
            out.push(char::from(ALPHABET.get(n >> shift & 63).copied().unwrap_or(b'A')));
        }
    }
    out
}

/// No link leads to the author's own domain.
fn strangers(f: &mut Facts<'_, '_>) {
    let own = url::registrable(&f.from_domain);
    let web: Vec<&url::Url> = f.links.iter().map(|(u, _)| u).filter(|u| !u.host.is_empty()).collect();
    if f.html
        && !web.is_empty()
        && !f.list
        && !f.reply
        && web.iter().all(|u| u.domain() != own && !url::is_tracker(&u.host))
    {
        let first = web.first().map_or("", |u| u.domain()).to_owned();
        let single = web.iter().all(|u| u.domain() == first);
        f.hit("LINKS_ELSEWHERE", 0.9, "no link leads to the sender's own domain");
        if single {
            f.hit_with("ONE_FOREIGN_TARGET", 1.2, format!("every link leads to {first}"));
        }
    }
}

fn false_brand_host(f: &mut Facts<'_, '_>) {
    let mut hosts: Vec<&str> = f.links.iter().map(|(u, _)| u.host.as_str()).filter(|h| !h.is_empty()).collect();
    hosts.dedup();
    let found = hosts.iter().find_map(|h| Some((header::brand_in_host(h)?, (*h).to_owned())));
    if let Some((name, host)) = found.filter(|_| !f.list) {
        f.hit_with("LINK_FALSE_BRAND", 2.0, format!("links to {host}, which is not {name}'s"));
    }
}
