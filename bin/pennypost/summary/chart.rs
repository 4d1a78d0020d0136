//! Charts as inline SVG; colours come from the page's style sheet.

use super::stats::Stats;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;

/// Text for HTML and XML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // control characters have no place in a page
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A round number that is not less.
fn ceiling(most: u64) -> u64 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if most <= step * factor * 4 {
                return step * factor * 4;
            }
        }
        step *= 10;
    }
}

/// Received, delivered and refused by hour, side by side.
pub fn hours(s: &Stats) -> String {
    let (height, left, bottom) = (200.0, 44.0, 22.0);
    let most = s.hours.values().flat_map(|h| [h.received, h.delivered, h.refused]).max().unwrap_or(0);
    let top = ceiling(most.max(1));
    let slot = (WIDTH - left) / s.hours.len().max(1) as f64;
    let mut out =
        format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"messages by hour\">", height + bottom);
    for i in 0..=4u64 {
        let y = height - (height - 8.0) * i as f64 / 4.0;
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            top * i / 4
        );
    }
    let every = s.hours.len().div_ceil(12).max(1);
    for (i, (hour, counts)) in s.hours.iter().enumerate() {
        let x = left + slot * i as f64;
        let values = [("received", counts.received), ("delivered", counts.delivered), ("refused", counts.refused)];
        for (j, (class, value)) in values.iter().enumerate() {
            let tall = (height - 8.0) * *value as f64 / top as f64;
            let wide = slot * 0.8 / 3.0;
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"><title>{:02}:00 {value} {class}</title></rect>",
                x + slot * 0.1 + wide * j as f64,
                height - tall,
                wide.max(1.0) - 0.5,
                hour.rem_euclid(24)
            );
        }
        if i % every == 0 {
            let middle = x + slot / 2.0;
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:02}h</text>",
                height + 16.0,
                hour.rem_euclid(24)
            );
        }
    }
    out + "</svg>"
}

/// Bars with their names on the left and numbers on the right.
pub fn bars(label: &str, rows: &[(&str, u64)], class: &str) -> String {
    // as wide as its column of the page, so that letters keep their size
    const WIDTH: f64 = 460.0;
    // wide ones too fit beside the bars
    const LETTERS_MAX: usize = 24;
    let (row, names) = (24.0, 210.0);
    let most = rows.iter().map(|r| r.1).max().unwrap_or(0).max(1);
    let height = row * rows.len() as f64;
    let label = escape(label);
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">");
    for (i, (name, count)) in rows.iter().enumerate() {
        let y = row * i as f64;
        let long = (WIDTH - names - 60.0) * *count as f64 / most as f64;
        let cut = name.chars().count() > LETTERS_MAX;
        let shown: String =
            if cut { name.chars().take(LETTERS_MAX - 1).chain(['…']).collect() } else { name.to_string() };
        let _ = write!(
            out,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}<title>{}</title></text>\
             <rect class=\"{class}\" x=\"{names}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>\
             <text class=\"count\" x=\"{:.1}\" y=\"{:.1}\">{count}</text>",
            names - 10.0,
            y + 16.0,
            escape(&shown),
            escape(name),
            y + 4.0,
            long.max(if *count > 0 { 2.0 } else { 0.0 }),
            row - 8.0,
            names + long + 8.0,
            y + 16.0
        );
    }
    out + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        assert_eq!([0, 1, 4, 5, 9, 41, 1000].map(ceiling), [4, 4, 4, 8, 20, 80, 2000]);
    }

    #[test]
    fn names_cannot_break_out() {
        let svg = bars("x", &[("<script>\"&\u{1b}", 3)], "refused");
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;&quot;&amp;\u{fffd}"), "{svg}");
    }
}
