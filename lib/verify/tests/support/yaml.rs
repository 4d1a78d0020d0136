//! The subset of YAML the public suites are written in; duplicate keys are kept, which YAML libraries refuse.

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        self.entries().iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    pub fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub fn entries(&self) -> &[(String, Yaml)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }

    #[allow(dead_code)] // not every suite has lists
    /// The items of a list; a single value counts as a list of one.
    pub fn items(&self) -> Vec<&Yaml> {
        if let Self::List(items) = self { items.iter().collect() } else { vec![self] }
    }
}

/// Reads all documents of a file.
pub fn documents(text: &str) -> Vec<Yaml> {
    let documents = text.split("\n---").map(|document| document.trim_start_matches("---"));
    documents.map(|d| Parser::new(d).block(0)).filter(|y| !y.entries().is_empty()).collect()
}

struct Parser {
    lines: Vec<String>,
    at: usize,
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

impl Parser {
    fn new(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect(), at: 0 }
    }

    /// The next line that is neither blank nor a comment.
    fn peek(&mut self) -> Option<String> {
        while let Some(line) = self.lines.get(self.at) {
            let content = line.trim();
            if !content.is_empty() && !content.starts_with('#') {
                return Some(line.clone());
            }
            self.at += 1;
        }
        None
    }

    fn block(&mut self, least: usize) -> Yaml {
        match self.peek() {
            Some(line) if indent(&line) >= least => {
                let here = indent(&line);
                if line.trim_start().starts_with("- ") { self.list(here) } else { self.map(here) }
            }
            _ => Yaml::Text(String::new()),
        }
    }

    fn list(&mut self, here: usize) -> Yaml {
        let mut items = Vec::new();
        while let Some(line) = self.peek().filter(|l| indent(l) == here && l.trim_start().starts_with("- ")) {
            let rest = line[here + 2..].trim_start().to_owned();
            let column = line.len() - rest.len();
            if split_key(&rest).is_some() {
                self.lines[self.at] = format!("{}{rest}", " ".repeat(column));
                items.push(self.map(column));
            } else {
                self.at += 1;
                items.push(self.scalar(rest, here));
            }
        }
        Yaml::List(items)
    }

    fn map(&mut self, here: usize) -> Yaml {
        let mut entries = Vec::new();
        while let Some(line) = self.peek().filter(|l| indent(l) == here) {
            let Some((key, rest)) = split_key(line.trim_start()) else { break };
            self.at += 1;
            let value = self.value(rest.trim().to_owned(), here);
            entries.push((key, value));
        }
        Yaml::Map(entries)
    }

    fn value(&mut self, rest: String, here: usize) -> Yaml {
        if rest.is_empty() {
            return match self.peek() {
                Some(line) if indent(&line) > here => match split_key(line.trim_start()) {
                    None if !line.trim_start().starts_with("- ") => self.scalar(String::new(), here),
                    _ => self.block(here + 1),
                },
                Some(line) if indent(&line) == here && line.trim_start().starts_with("- ") => self.list(here),
                _ => Yaml::Text(String::new()),
            };
        }
        if rest.starts_with(['|', '>']) {
            return Yaml::Text(self.block_scalar(&rest, here));
        }
        self.scalar(rest, here)
    }

    fn block_scalar(&mut self, header: &str, here: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut margin = None;
        while let Some(line) = self.lines.get(self.at) {
            if !line.trim().is_empty() && indent(line) <= here {
                break;
            }
            if margin.is_none() && !line.trim().is_empty() {
                margin = Some(indent(line));
            }
            lines.push(line.get(margin.unwrap_or(0)..).unwrap_or("").to_owned());
            self.at += 1;
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let join = if header.starts_with('|') { "\n" } else { " " };
        let end = if header.contains('-') || lines.is_empty() { "" } else { "\n" };
        lines.join(join) + end
    }

    /// A flow list, or a scalar that may go on over deeper lines.
    fn scalar(&mut self, first: String, here: usize) -> Yaml {
        let mut text = first;
        let open = |t: &str| t.starts_with(['"', '\'']) && closing(t).is_none();
        while let Some(line) = self.lines.get(self.at).cloned() {
            let deeper = !line.trim().is_empty() && indent(&line) > here;
            if !deeper && !open(&text) {
                break;
            }
            text = format!("{text} {}", line.trim()).trim().to_owned();
            self.at += 1;
        }
        match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            Some(inside) => Yaml::List(flow(inside)),
            None => Yaml::Text(unquote(&text)),
        }
    }
}

/// `key: rest`, the key possibly quoted; a colon inside a plain key is no border.
fn split_key(line: &str) -> Option<(String, String)> {
    if line.starts_with(['"', '\'']) {
        let end = closing(line)?;
        let rest = line[end + 1..].strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with(' ')).then(|| (unquote(&line[..=end]), rest.to_owned()));
    }
    if line.starts_with(['[', '|', '>']) {
        return None;
    }
    match line.find(": ") {
        Some(at) => Some((line[..at].to_owned(), line[at + 1..].to_owned())),
        None => line.strip_suffix(':').map(|key| (key.to_owned(), String::new())),
    }
}

/// Where the quoted text at the start ends.
fn closing(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            return Some(i);
        }
    }
    None
}

fn flow(inside: &str) -> Vec<Yaml> {
    let mut items = Vec::new();
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let end = match rest.starts_with(['"', '\'']) {
            true => closing(rest).map_or(rest.len(), |e| e + 1),
            false => rest.find(',').unwrap_or(rest.len()),
        };
        items.push(Yaml::Text(unquote(rest[..end].trim())));
        rest = rest[end..].trim_start().trim_start_matches(',').trim_start();
    }
    items
}

fn unquote(text: &str) -> String {
    if let Some(inside) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return inside.replace("''", "'");
    }
    let Some(inside) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else { return text.to_owned() };
    let mut out = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            Some('0') => out.push('\0'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}
