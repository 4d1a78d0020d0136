//! BODY and BODYSTRUCTURE.
//!
//! Standards   RFC 3501 7.4.2; RFC 2557 (body-fld-loc), 3282 (body-fld-lang)
//! Invariants  nesting is that of the part tree, which is bounded
use super::envelope::envelope;
use crate::write::{nstring, string};
use penny_mime::content::{ContentType, Disposition};
use penny_mime::header::unfold;
use penny_mime::param::{Params, value_and_params};
use penny_mime::{Fields, Part, Structure};

/// Appends the structure of a message; `extended` for BODYSTRUCTURE.
pub fn body_structure(out: &mut Vec<u8>, message: &[u8], structure: &Structure, extended: bool) {
    Writer { message, structure, extended }.part(out, structure.root());
}

struct Writer<'a> {
    message: &'a [u8],
    structure: &'a Structure,
    extended: bool,
}

/// Values of the fields of a part's header that are told, the first of each.
#[derive(Default)]
struct Told<'a> {
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    language: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
}

impl<'a> Told<'a> {
    fn of(header: &'a [u8]) -> Told<'a> {
        let mut told = Told::default();
        for field in Fields::new(header) {
            let Some((head, name)) = field.name.split_at_checked("Content-".len()) else { continue };
            if head.eq_ignore_ascii_case(b"Content-")
                && let Some(slot) = told.slot(name)
            {
                slot.get_or_insert(field.value);
            }
        }
        told
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let all: [(&[u8], &mut Option<&'a [u8]>); 7] = [
            (b"ID", &mut self.id),
            (b"Description", &mut self.description),
            (b"Transfer-Encoding", &mut self.encoding),
            (b"MD5", &mut self.md5),
            (b"Disposition", &mut self.disposition),
            (b"Language", &mut self.language),
            (b"Location", &mut self.location),
        ];
        all.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, slot)| slot)
    }
}

impl Writer<'_> {
    fn part(&self, out: &mut Vec<u8>, part: &Part) {
        if part.is_multipart() { self.multipart(out, part) } else { self.single(out, part) }
    }

    fn header<'b>(&'b self, part: &Part) -> &'b [u8] {
        part.header.of(self.message)
    }

    /// body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
    fn multipart(&self, out: &mut Vec<u8>, part: &Part) {
        out.push(b'(');
        for &child in &part.children {
            self.part(out, &self.structure.parts[child]);
        }
        if part.children.is_empty() {
            // the grammar wants at least one body
            out.extend_from_slice(b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0");
            out.extend_from_slice(if self.extended { b" NIL NIL NIL NIL)" } else { b")" });
        }
        out.push(b' ');
        string(out, &part.content_type.sub);
        if self.extended {
            out.push(b' ');
            params(out, &part.content_type.params);
            extension(out, &Told::of(self.header(part)));
        }
        out.push(b')');
    }

    /// body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
    fn single(&self, out: &mut Vec<u8>, part: &Part) {
        out.push(b'(');
        let told = Told::of(self.header(part));
        fields(out, part, &told);
        if part.is_message() {
            self.embedded(out, part);
        } else if part.content_type.is_kind("text") || part.content_type.is("message", "rfc822") {
            self.text_or_opaque_message(out, part);
        }
        if self.extended {
            out.push(b' ');
            nstring_field(out, told.md5);
            extension(out, &told);
        }
        out.push(b')');
    }

    fn embedded(&self, out: &mut Vec<u8>, part: &Part) {
        if let Some(inner) = part.children.first().map(|&i| &self.structure.parts[i]) {
            out.push(b' ');
            envelope(out, self.header(inner));
            out.push(b' ');
            self.part(out, inner);
            out.extend_from_slice(format!(" {}", part.body.lines).as_bytes());
        }
    }

    /// A message/rfc822 we did not look into (encoded, or too deep) still has to have an envelope and a body.
    fn text_or_opaque_message(&self, out: &mut Vec<u8>, part: &Part) {
        if !part.content_type.is_kind("text") {
            out.extend_from_slice(
                b" (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0",
            );
            out.extend_from_slice(if self.extended { b" NIL NIL NIL NIL)" } else { b")" });
        }
        out.extend_from_slice(format!(" {}", part.body.lines).as_bytes());
    }
}

/// media type, body-fields
fn fields(out: &mut Vec<u8>, part: &Part, told: &Told<'_>) {
    let ContentType { kind, sub, params: list } = &part.content_type;
    string(out, kind);
    out.push(b' ');
    string(out, sub);
    out.push(b' ');
    params(out, list);
    for value in [told.id, told.description] {
        out.push(b' ');
        nstring_field(out, value);
    }
    out.push(b' ');
    let encoding = told.encoding.map(|value| value_and_params(value).0).filter(|word| !word.is_empty());
    string(out, &encoding.map_or_else(|| b"7BIT".to_vec(), |word| word.to_ascii_uppercase()));
    out.extend_from_slice(format!(" {}", part.body.crlf_len()).as_bytes());
}

fn nstring_field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    nstring(out, value.map(unfold).as_deref());
}

/// body-fld-dsp, body-fld-lang, body-fld-loc
fn extension(out: &mut Vec<u8>, told: &Told<'_>) {
    out.push(b' ');
    match told.disposition.and_then(Disposition::parse) {
        Some(d) => {
            out.push(b'(');
            string(out, &d.kind);
            out.push(b' ');
            params(out, &d.params);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    language(out, told.language);
    out.push(b' ');
    nstring_field(out, told.location);
}

/// body-fld-lang = nstring / "(" string *(SP string) ")"
fn language(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let field = value.map(unfold).unwrap_or_default();
    let tags: Vec<&[u8]> =
        field.split(|&b| b == b',').map(penny_mime::header::trim).filter(|t| !t.is_empty()).collect();
    match tags.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        tags => {
            for (index, tag) in tags.iter().enumerate() {
                out.push(if index == 0 { b'(' } else { b' ' });
                string(out, tag);
            }
            out.push(b')');
        }
    }
}

/// body-fld-param
fn params(out: &mut Vec<u8>, params: &Params) {
    if params.raw().is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (index, p) in params.raw().iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        string(out, &p.name);
        out.push(b' ');
        string(out, &p.value);
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_mime::Limits;

    fn render(message: &str, extended: bool) -> String {
        let s = Structure::parse(message.as_bytes(), Limits::default());
        let mut out = Vec::new();
        body_structure(&mut out, message.as_bytes(), &s, extended);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_parts() {
        assert_eq!(
            render("Content-Type: text/plain; charset=us-ascii\n\na\nb\n", false),
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 6 2)"
        );
        assert_eq!(render("\nx", true), "(\"text\" \"plain\" NIL NIL NIL \"7BIT\" 1 0 NIL NIL NIL NIL)");
    }

    #[test]
    fn multipart_with_attachment_and_message() {
        let m = "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png; name=a.png\nContent-ID: <i@d>\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a.png\nContent-Language: de, en\n\nAAAA\n--x\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--x--\n";
        assert_eq!(
            render(m, true),
            "((\"image\" \"png\" (\"name\" \"a.png\") \"<i@d>\" NIL \"BASE64\" 4 NIL (\"attachment\" (\"filename\" \"a.png\")) (\"de\" \"en\") NIL)(\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 19 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)"
        );
    }

    #[test]
    fn broken_structures_stay_in_the_grammar() {
        assert_eq!(
            render("Content-Type: multipart/mixed\n\nx", false),
            "((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0) \"mixed\")"
        );
        let encoded = render("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n", false);
        assert!(encoded.ends_with("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0) 1)"), "{encoded}");
    }
}
