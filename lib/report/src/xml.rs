//! The little XML that reports use: elements and text, as a tree.
//!
//! Invariants  1. attributes, comments, processing instructions and document types are skipped, never interpreted
//!             2. only the five named entities and character references are resolved: no expansion, no files
//! Failures    `None` for what is not well-formed

/// Nesting of a document; real reports need six.
const DEPTH_MAX: usize = 32;
/// Elements of a document.
const NODES_MAX: usize = 2_000_000;

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Local name, prefix removed.
    pub name: String,
    /// Text directly inside, outer white space removed.
    pub text: String,
    pub children: Vec<Node>,
}

impl Node {
    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// All children of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The text of a child, empty without one.
    pub fn value(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.as_str())
    }
}

/// Parses a document and returns its root.
pub(crate) fn parse(text: &str) -> Option<Node> {
    let mut stack: Vec<Node> = vec![Node::default()];
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut nodes = 0;
    while let Some(at) = rest.find('<') {
        let (before, tail) = rest.split_at(at);
        stack.last_mut()?.text.push_str(&unescape(before));
        rest = skip_or(tail, "<!--", "-->")
            .or_else(|| skip_or(tail, "<?", "?>"))
            .or_else(|| skip_or(tail, "<!DOCTYPE", ">"))
            .unwrap_or(tail);
        if rest.len() != tail.len() {
            continue;
        }
        if let Some(data) = tail.strip_prefix("<![CDATA[") {
            let (inside, after) = data.split_once("]]>")?;
            stack.last_mut()?.text.push_str(inside);
            rest = after;
            continue;
        }
        let (tag, after) = tail.get(1..)?.split_once('>')?;
        rest = after;
        nodes += 1;
        element(tag, &mut stack)?;
        if stack.len() > DEPTH_MAX || nodes > NODES_MAX {
            return None;
        }
    }
    let mut outer = stack.pop().filter(|_| stack.is_empty())?;
    outer.children.pop()
}

fn skip_or<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.split_once(close).map(|(_, after)| after)
}

/// A start, end or empty tag.
fn element(tag: &str, stack: &mut Vec<Node>) -> Option<()> {
    if let Some(name) = tag.strip_prefix('/') {
        let mut node = stack.pop().filter(|_| !stack.is_empty())?;
        if node.name != local(name) {
            return None;
        }
        node.text = node.text.trim().to_owned();
        stack.last_mut()?.children.push(node);
        return Some(());
    }
    let empty = tag.ends_with('/');
    let name = local(tag.trim_end_matches('/').split_whitespace().next()?);
    let node = Node { name, ..Node::default() };
    if empty {
        stack.last_mut()?.children.push(node);
    } else {
        stack.push(node);
    }
    Some(())
}

fn local(name: &str) -> String {
    name.trim().rsplit(':').next().unwrap_or_default().to_owned()
}

/// Resolves the predefined entities and character references; others stay as written.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('&') {
        out.push_str(before);
        match tail.split_once(';').and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = tail;
            }
        }
    }
    out + rest
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// Text for an element: escaped, without what XML 1.0 can't hold.
pub(crate) fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees() {
        let text = "<?xml version='1.0'?><!-- x --><a:r xmlns='y'>\n <b k='>'>1 &lt;&amp;&#x41;</b><c/><b><![CDATA[<2>]]></b></a:r>";
        // an attribute that holds '>' is not used by reports; it only spoils its own element's text
        let root = parse(text).unwrap();
        assert_eq!(root.name, "r");
        let values: Vec<&str> = root.all("b").map(|b| b.text.as_str()).collect();
        assert!(values[0].ends_with("1 <&A") && values[1] == "<2>");
        assert!(root.child("c").is_some());
    }

    #[test]
    fn hostile_documents() {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaa\">]><r>&a;</r>";
        // the internal subset is cut at its first '>', the rest is text; the entity is never expanded
        assert!(parse(bomb).is_none_or(|r| r.text.contains("&a;")));
        assert!(parse(&"<a>".repeat(100)).is_none());
        for bad in ["", "<a>", "<a></b>", "</a>", "<a", "<>", "x"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn escapes_go_both_ways() {
        let odd = "a<b>&\"c'";
        assert_eq!(parse(&format!("<r>{}</r>", escape(odd))).unwrap().text, odd);
        assert_eq!(escape("a\u{0}\nb"), "ab");
    }
}
