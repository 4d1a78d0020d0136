//! Addresses and links: hosts, registrable domains, the company a link keeps.
//!
//! Standards   RFC 3986 3 for the shape of a URL, read as leniently as a browser does
//! Invariants  1. linear in the input   2. every byte string is accepted
//! Trust       hostile bytes

/// A link taken apart, all in lower case.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Url {
    /// `http`, `https`, `mailto`, `data` ... without the colon.
    pub scheme: String,
    /// Something stood before an `@` in the authority.
    pub userinfo: bool,
    /// The host.
    pub host: String,
    /// Path, query and fragment.
    pub rest: String,
}

impl Url {
    /// Takes a link apart; `None` without a scheme or a host where one is needed.
    pub fn parse(bytes: &[u8]) -> Option<Url> {
        let mut text = String::from_utf8_lossy(bytes.get(..1000).unwrap_or(bytes)).into_owned();
        text.retain(|c| !c.is_control()); // browsers drop tabs and newlines inside an address
        text.make_ascii_lowercase();
        let text = text.trim();
        let (scheme, rest) = text.split_once(':')?;
        let good = scheme.len() < 20 && !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
        if !good {
            return None;
        }
        let mut url = Url { scheme: scheme.to_owned(), rest: rest.to_owned(), ..Url::default() };
        if !matches!(scheme, "http" | "https" | "ftp") {
            return Some(url);
        }
        let rest = rest.trim_start_matches(['/', '\\']);
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(u, h)| (u, h));
        url.userinfo = !user.is_empty();
        url.host = host.split(':').next().unwrap_or("").trim_end_matches('.').to_owned();
        url.rest = tail.to_owned();
        (!url.host.is_empty()).then_some(url)
    }

    /// The registrable domain of the host.
    pub fn domain(&self) -> &str {
        registrable(&self.host)
    }

    /// The host is a number.
    pub fn is_ip(&self) -> bool {
        self.host.starts_with('[')
            || self.host.starts_with("0x")
            || self.host.chars().all(|c| c.is_ascii_digit() || c == '.')
    }
}

/// Second labels under which names are registered in many country domains.
const SECOND: [&str; 22] = [
    "co", "com", "net", "org", "gov", "gob", "ac", "edu", "or", "ne", "go", "gouv", "mil", "ltd", "plc", "me", "sch",
    "nhs", "info", "nom", "web", "in",
];

/// The part of a host that somebody registered: a rule of thumb, not the public suffix list.
pub fn registrable(host: &str) -> &str {
    let mut dots = host.rmatch_indices('.').map(|(i, _)| i);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else {
        return host;
    };
    let middle = host.get(second + 1..last).unwrap_or("");
    let country = host.len() - last == 3;
    let from = if country && SECOND.contains(&middle) { dots.next() } else { Some(second) };
    from.and_then(|i| host.get(i + 1..)).unwrap_or(host)
}

/// The label before the public suffix: `paypal` of `www.paypal.co.uk`.
pub fn label(host: &str) -> &str {
    registrable(host).split('.').next().unwrap_or("")
}

/// Links in plain text.
pub fn in_text(text: &[u8], max: usize) -> Vec<&[u8]> {
    let mut out = Vec::new();
    for at in memchr::memmem::find_iter(text, b"://") {
        let start = text.get(..at).unwrap_or(b"");
        let scheme = start.iter().rev().take_while(|c| c.is_ascii_alphabetic()).count();
        let from = text.get(at - scheme.min(at)..).unwrap_or(b"");
        let end = from.iter().position(|c| c.is_ascii_whitespace() || matches!(c, b'<' | b'>' | b'"' | b')' | b']'));
        if scheme > 0 && out.len() < max {
            out.push(from.get(..end.unwrap_or(from.len())).unwrap_or(from));
        }
    }
    out
}

/// The host that a link's visible text claims, if it looks like an address at all.
pub fn claimed_host(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim().to_lowercase();
    if text.len() > 200 || text.contains(char::is_whitespace) || text.contains('@') {
        return None;
    }
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
    let host = bare.split(['/', '?', '#', ':']).next().unwrap_or("");
    let tld = host.rsplit('.').next().unwrap_or("");
    let sound = host.contains('.') && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    let named = text.len() != bare.len() || host.starts_with("www.") || matches!(tld, "com" | "net" | "org");
    (sound && named && tld.len() >= 2 && tld.chars().all(|c| c.is_ascii_alphabetic())).then(|| host.to_owned())
}

/// Hosting, form and file services where anybody gets an address for nothing. Matched as a suffix of the host.
const FREE_HOSTS: &[&str] = &[
    "web.app",
    "firebaseapp.com",
    "pages.dev",
    "workers.dev",
    "r2.dev",
    "netlify.app",
    "vercel.app",
    "herokuapp.com",
    "github.io",
    "gitlab.io",
    "glitch.me",
    "weebly.com",
    "wixsite.com",
    "wixstudio.io",
    "webflow.io",
    "blogspot.com",
    "sites.google.com",
    "forms.gle",
    "docs.google.com",
    "drive.google.com",
    "storage.googleapis.com",
    "appspot.com",
    "amazonaws.com",
    "azurewebsites.net",
    "azurefd.net",
    "azureedge.net",
    "windows.net",
    "cloudapp.azure.com",
    "duckdns.org",
    "ngrok.io",
    "ngrok-free.app",
    "ngrok.app",
    "000webhostapp.com",
    "repl.co",
    "replit.app",
    "surge.sh",
    "square.site",
    "mystrikingly.com",
    "godaddysites.com",
    "fleek.co",
    "ipfs.io",
    "dweb.link",
    "cf-ipfs.com",
    "translate.goog",
    "trycloudflare.com",
    "onrender.com",
    "render.com",
    "fly.dev",
    "deno.dev",
    "jotform.com",
    "typeform.com",
    "forms.office.com",
    "cognitoforms.com",
    "canva.com",
    "notion.site",
    "gitbook.io",
    "framer.app",
    "framer.website",
    "carrd.co",
    "plesk.page",
    "myftp.org",
    "ddns.net",
    "hopto.org",
    "zapto.org",
    "sytes.net",
    "serveo.net",
    "loclx.io",
    "backblazeb2.com",
    "digitaloceanspaces.com",
    "linodeobjects.com",
    "ondigitalocean.app",
    "cloudwaysapps.com",
    "wpengine.com",
    "myshopify.com",
    "beehiiv.com",
    "teachable.com",
    "tumblr.com",
    "yolasite.com",
    "webnode.page",
    "site123.me",
    "atwebpages.com",
    "infinityfreeapp.com",
    "rf.gd",
    "epizy.com",
    "byethost.com",
    "liveblog365.com",
    "wasabisys.com",
    "zohopublic.com",
    "clickfunnels.com",
    "systeme.io",
    "cprapid.com",
    "ctfcloud.net",
    "cloudaccess.host",
    "mybluehost.me",
    "hostingersite.com",
    "temp.domains",
    "secureserver.net",
    "plus.codes",
    "softr.app",
    "bubbleapps.io",
    "lovable.app",
    "vusercontent.net",
];

/// Services that hide where a link leads.
const SHORTENERS: &[&str] = &[
    "bit.ly",
    "tinyurl.com",
    "t.co",
    "goo.gl",
    "is.gd",
    "cutt.ly",
    "rb.gy",
    "t.ly",
    "rebrand.ly",
    "ow.ly",
    "s.id",
    "lnkd.in",
    "tiny.cc",
    "shorturl.at",
    "qrco.de",
    "linktr.ee",
    "v.gd",
    "bl.ink",
    "short.gy",
    "surl.li",
    "urlz.fr",
    "u.to",
    "x.co",
    "bit.do",
    "buff.ly",
    "adf.ly",
    "shorte.st",
    "l.ead.me",
    "me-qr.com",
    "qr.io",
    "dub.sh",
    "lihi.cc",
    "reurl.cc",
    "shrtco.de",
    "2no.co",
    "tinyurl.mobi",
    "chilp.it",
    "clck.ru",
    "vk.cc",
    "l.wl.co",
    "wa.me",
    "shorter.me",
    "encurtador.com.br",
    "abre.ai",
    "urlshortner.com",
    "rebrandly.com",
    "n9.cl",
    "acortar.link",
    "kutt.it",
    "soo.gd",
    "cli.re",
    "dik.si",
    "hyp.sh",
    "smarturl.it",
    "page.link",
    "onelink.me",
    "app.link",
    "go.link",
];

/// Cheap top-level domains that mail from strangers comes from far more than mail one wants.
const ODD_TLDS: &[&str] = &[
    "xyz",
    "top",
    "click",
    "icu",
    "shop",
    "online",
    "site",
    "live",
    "club",
    "buzz",
    "cyou",
    "cfd",
    "sbs",
    "rest",
    "monster",
    "quest",
    "tk",
    "ml",
    "ga",
    "cf",
    "gq",
    "link",
    "space",
    "website",
    "store",
    "fun",
    "pw",
    "bond",
    "lol",
    "beauty",
    "hair",
    "skin",
    "makeup",
    "autos",
    "boats",
    "homes",
    "mom",
    "pics",
    "world",
    "today",
    "work",
    "support",
    "services",
    "life",
    "email",
    "digital",
    "zip",
    "mov",
    "rocks",
    "guru",
    "center",
    "company",
    "agency",
    "solutions",
    "live",
    "ninja",
    "win",
    "bid",
    "loan",
    "men",
    "date",
    "stream",
    "download",
    "racing",
    "review",
    "trade",
    "party",
    "science",
    "faith",
    "accountant",
    "cricket",
    "gdn",
    "vip",
    "ltd",
    "cam",
    "uno",
    "best",
    "run",
    "help",
    "host",
    "press",
    "tech",
    "pro",
    "su",
    "ink",
    "red",
    "blue",
    "wang",
    "ren",
    "kim",
    "one",
    "fit",
    "yachts",
    "motorcycles",
    "qpon",
    "shopping",
    "cloud",
    "tokyo",
    "lat",
    "biz",
    "sa.com",
    "za.com",
    "ru.com",
    "us.com",
    "uk.com",
    "eu.com",
    "br.com",
    "de.com",
];

fn is_under(host: &str, list: &[&str]) -> bool {
    list.iter().any(|s| host.strip_suffix(s).is_some_and(|p| p.is_empty() || p.ends_with('.')))
}

/// Anybody may publish there.
pub fn is_free_host(host: &str) -> bool {
    is_under(host, FREE_HOSTS)
}

/// Hides where it leads.
pub fn is_shortener(host: &str) -> bool {
    is_under(host, SHORTENERS)
}

/// A top-level domain few wanted senders use.
pub fn is_odd_tld(host: &str) -> bool {
    is_under(host, ODD_TLDS)
}

/// Hosts through which mailing services count clicks for honest senders.
const TRACKERS: &[&str] = &[
    "sendgrid.net",
    "list-manage.com",
    "mailchimp.com",
    "mandrillapp.com",
    "awstrack.me",
    "hubspotlinks.com",
    "hubspotemail.net",
    "exacttarget.com",
    "exct.net",
    "mailgun.org",
    "mailgun.com",
    "sparkpostmail.com",
    "rs6.net",
    "constantcontact.com",
    "sendibt2.com",
    "sendibt3.com",
    "brevo.com",
    "mailjet.com",
    "mjt.lu",
    "klaviyomail.com",
    "customeriomail.com",
    "pstmrk.it",
    "createsend.com",
    "cmail19.com",
    "cmail20.com",
    "mailerlite.com",
    "getresponse.com",
    "intercom-mail.com",
    "iterable.com",
    "braze.com",
    "responsys.net",
    "eloqua.com",
    "marketo.com",
    "mktomail.com",
    "substack.com",
    "safelinks.protection.outlook.com",
    "urldefense.com",
    "urldefense.proofpoint.com",
];

/// Counts clicks or checks links for others.
pub fn is_tracker(host: &str) -> bool {
    is_under(host, TRACKERS)
}

/// An open redirector of a well-known site, by host and path.
pub fn is_redirector(url: &Url) -> bool {
    let paths: [(&str, &str); 14] = [
        ("google.", "/url?"),
        ("google.", "/amp/"),
        ("googleadservices.com", "adurl="),
        ("doubleclick.net", "/"),
        ("bing.com", "/ck/a"),
        ("youtube.com", "/redirect"),
        ("linkedin.com", "/slink"),
        ("linkedin.com", "/redir"),
        ("facebook.com", "/l.php"),
        ("instagram.com", "u="),
        ("slack-redir.net", "/"),
        ("baidu.com", "/link?"),
        ("yandex.", "redir"),
        ("alibaba.com", "redirect"),
    ];
    paths.iter().any(|(host, path)| url.host.contains(host) && url.rest.contains(path))
        || (["url=http", "redirect=http", "goto=http", "redir=http", "target=http", "dest=http", "u=http"]
            .iter()
            .any(|p| url.rest.contains(p)))
}

const FREE_MAIL: &[&str] = &[
    "gmail.com",
    "googlemail.com",
    "yahoo",
    "hotmail",
    "outlook",
    "live",
    "aol",
    "gmx",
    "web.de",
    "mail.ru",
    "yandex",
    "protonmail",
    "proton.me",
    "icloud.com",
    "msn.com",
    "zoho",
    "mail.com",
    "163.com",
    "126.com",
    "qq.com",
    "rediffmail.com",
    "tutanota",
    "libero.it",
    "bol.com.br",
    "uol.com.br",
    "terra.com.br",
    "orange.fr",
    "laposte.net",
    "free.fr",
    "ymail.com",
    "inbox.ru",
    "bk.ru",
    "list.ru",
    "rambler.ru",
    "consultant.com",
    "usa.com",
    "email.com",
    "dr.com",
    "post.com",
    "naver.com",
    "daum.net",
    "hanmail.net",
    "seznam.cz",
    "wp.pl",
    "o2.pl",
    "onet.pl",
    "t-online.de",
    "virgilio.it",
    "comcast.net",
    "att.net",
    "sbcglobal.net",
    "verizon.net",
    "cox.net",
    "btinternet.com",
];

/// A mail provider where anybody gets an address.
pub fn is_free_mail(domain: &str) -> bool {
    FREE_MAIL.iter().any(|f| if f.contains('.') { domain == *f } else { label(domain) == *f })
}

/// How many separate numbers a label holds.
fn digit_runs(label: &str) -> usize {
    label.split(|c: char| !c.is_ascii_digit()).filter(|r| !r.is_empty()).count()
}

/// A label no person would choose: long, with many digits, or few vowels.
pub fn looks_random(label: &str) -> bool {
    let letters = label.chars().filter(char::is_ascii_alphabetic).count();
    let digits = label.chars().filter(char::is_ascii_digit).count();
    let vowels = label.chars().filter(|c| "aeiouy".contains(*c)).count();
    let run = label.split(|c: char| !c.is_ascii_alphabetic() || "aeiouy".contains(c)).map(str::len).max().unwrap_or(0);
    let mixed = digits >= 3 && letters >= 4 && label.len() >= 9 && digit_runs(label) > 1;
    mixed || (letters >= 10 && vowels * 6 < letters) || run >= 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_a_browser_reads_them() {
        let u = Url::parse(b"HTTPS://paypal.com@Evil.Example:8080/Login?x=1").unwrap();
        assert_eq!((u.host.as_str(), u.userinfo, u.rest.as_str()), ("evil.example", true, "/login?x=1"));
        assert_eq!(Url::parse(b"http:\\\\a.example\\b").unwrap().host, "a.example");
        assert_eq!(Url::parse(b"mailto:a@b").unwrap().scheme, "mailto");
        assert!(Url::parse(b"http://").is_none());
        assert!(Url::parse(b"no link").is_none());
        assert!(Url::parse(b"http://127.0.0.1/").unwrap().is_ip());
    }

    #[test]
    fn registrable_domains() {
        for (host, want) in [
            ("www.paypal.com", "paypal.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("localhost", "localhost"),
            ("x.example.de", "example.de"),
            ("co.uk", "co.uk"),
            ("", ""),
        ] {
            assert_eq!(registrable(host), want);
        }
        assert_eq!(label("www.hsbc.com.br"), "hsbc");
    }

    #[test]
    fn claims() {
        assert_eq!(claimed_host(b" https://www.bank.example/login "), Some("www.bank.example".into()));
        assert_eq!(claimed_host(b"paypal.com"), Some("paypal.com".into()));
        assert_eq!(claimed_host(b"click here"), None);
        assert_eq!(claimed_host(b"a@b.com"), None);
        assert_eq!(claimed_host(b"readme.txt"), None);
    }

    #[test]
    fn plain_text_links() {
        assert_eq!(in_text(b"see <http://a.b/c> and x://y", 9), [&b"http://a.b/c"[..], b"x://y"]);
        assert!(in_text(b"://", 9).is_empty());
    }

    #[test]
    fn suffixes_match_whole_labels() {
        assert!(is_free_host("evil.web.app") && !is_free_host("notweb.app"));
        assert!(is_shortener("bit.ly") && !is_shortener("orbit.ly"));
        assert!(is_odd_tld("a.xyz") && !is_odd_tld("xyz.com"));
        assert!(looks_random("xk3j9q2lm7") && !looks_random("postmaster"));
    }
}
