//! How good a filter is: ROC area, errors at the cuts, calibration; as text and as SVG.
//!
//! 1-ROCA is the chance that a random ham scores above a random spam, ties counting half.

use crate::math::{log10, ten_to};
use crate::verdict::Class;

/// One labelled message with its score.
#[derive(Debug, Clone, Copy)]
pub struct Scored {
    /// Its score.
    pub score: f64,
    /// Its verdict.
    pub class: Class,
    /// The truth.
    pub spam: bool,
}

/// The measurements.
#[derive(Debug, Clone)]
pub struct Report {
    ham: usize,
    spam: usize,
    false_spam: usize,
    false_ham: usize,
    unsure: (usize, usize),
    /// 1 - area under the ROC curve, a fraction.
    pub one_minus_area: f64,
    missed_at_none: f64,
    missed_at_permille: f64,
    bins: Vec<(f64, f64, usize, usize)>,
    curve: Vec<(f64, f64)>,
}

impl Report {
    /// Measures.
    pub fn of(all: &[Scored]) -> Report {
        let count = |f: &dyn Fn(&Scored) -> bool| all.iter().filter(|s| f(s)).count();
        let (curve, one_minus_area) = curve(all);
        let (ham, spam) = (count(&|s| !s.spam), count(&|s| s.spam));
        Report {
            ham,
            spam,
            false_spam: count(&|s| !s.spam && s.class == Class::Spam),
            false_ham: count(&|s| s.spam && s.class != Class::Spam),
            unsure: (count(&|s| !s.spam && s.class == Class::Unsure), count(&|s| s.spam && s.class == Class::Unsure)),
            one_minus_area,
            missed_at_none: missed_at(&curve, 0.0),
            missed_at_permille: missed_at(&curve, 0.001),
            bins: bins(all),
            curve,
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let percent = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
        let mut out = format!("measured on {} ham and {} spam messages\n", self.ham, self.spam);
        out.push_str(&format!("1-ROCA %: {:.4}\n", 100.0 * self.one_minus_area));
        out.push_str(&format!("ham called spam: {} ({:.3} %)\n", self.false_spam, percent(self.false_spam, self.ham)));
        out.push_str(&format!("spam not caught: {} ({:.2} %)\n", self.false_ham, percent(self.false_ham, self.spam)));
        out.push_str(&format!("unsure: {} ham, {} spam\n", self.unsure.0, self.unsure.1));
        out.push_str(&format!("spam missed with no ham lost: {:.2} %\n", 100.0 * self.missed_at_none));
        out.push_str(&format!("spam missed with 0.1 % ham lost: {:.2} %\n", 100.0 * self.missed_at_permille));
        out.push_str("calibration:\n  score          messages     spam  really spam\n");
        for &(low, high, n, spam) in &self.bins {
            out.push_str(&format!("  {low:.3}-{high:.3}  {n:10} {spam:8}  {:8.2} %\n", percent(spam, n)));
        }
        out + &self.plot()
    }

    /// The curve in characters: spam caught over ham lost, both axes logarithmic towards the good corner.
    fn plot(&self) -> String {
        const WIDTH: usize = 60;
        const HEIGHT: usize = 16;
        let mut rows = vec![vec![b' '; WIDTH]; HEIGHT];
        for column in 0..WIDTH {
            let lost = ten_to(-4.0 + 4.0 * column as f64 / (WIDTH - 1) as f64);
            let missed = missed_at(&self.curve, lost).max(1e-4);
            let row = (-log10(missed) / 4.0 * (HEIGHT - 1) as f64).round() as usize;
            if let Some(cell) = rows.iter_mut().nth_back(row.min(HEIGHT - 1)).and_then(|r| r.get_mut(column)) {
                *cell = b'*';
            }
        }
        let mut out = String::from("spam missed (log, 0.01 % at the top) over ham lost (log, 0.01 % to 100 %)\n");
        for row in rows {
            out.push_str(&format!("  |{}\n", String::from_utf8_lossy(&row).trim_end()));
        }
        out + "  +" + &"-".repeat(WIDTH) + "\n"
    }

    /// As a drawing.
    pub fn svg(&self) -> String {
        let x = |lost: f64| 60.0 + 500.0 * (log10(lost.max(1e-4)) + 4.0) / 4.0;
        let y = |missed: f64| 40.0 + 400.0 * (log10(missed.max(1e-4)) + 4.0) / 4.0;
        let mut points: Vec<String> = Vec::new();
        for &(lost, missed) in &self.curve {
            points.push(format!("{:.1},{:.1}", x(lost), y(missed)));
        }
        let mut out = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"500\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"600\" height=\"500\" fill=\"white\"/>\n",
        );
        for (power, name) in [(1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %"), (1.0, "100 %")] {
            let (px, py) = (x(power), y(power));
            out.push_str(&format!("<path d=\"M{px:.1} 40V440M60 {py:.1}H560\" stroke=\"#ccc\"/>\n"));
            out.push_str(&format!("<text x=\"{px:.1}\" y=\"456\" text-anchor=\"middle\">{name}</text>\n"));
            out.push_str(&format!("<text x=\"54\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\n", py + 4.0));
        }
        out.push_str(&format!(
            "<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" points=\"{}\"/>\n",
            points.join(" ")
        ));
        out.push_str(&format!(
            "<text x=\"60\" y=\"24\">spam missed over ham lost; 1-ROCA {:.4} %, {} ham, {} spam</text>\n</svg>\n",
            100.0 * self.one_minus_area,
            self.ham,
            self.spam
        ));
        out
    }
}

/// Points (ham lost, spam missed) from the strictest cut to the loosest, and 1-ROCA.
fn curve(all: &[Scored]) -> (Vec<(f64, f64)>, f64) {
    let mut sorted = all.to_vec();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let spam = sorted.iter().filter(|s| s.spam).count().max(1) as f64;
    let ham = sorted.iter().filter(|s| !s.spam).count().max(1) as f64;
    let (mut lost, mut caught, mut area) = (0.0, 0.0, 0.0);
    let mut points = vec![(0.0, 1.0)];
    for group in sorted.chunk_by(|a, b| a.score == b.score) {
        let s = group.iter().filter(|s| s.spam).count() as f64;
        let h = group.len() as f64 - s;
        area += h * (spam - caught - s) + h * s / 2.0;
        lost += h;
        caught += s;
        points.push((lost / ham, 1.0 - caught / spam));
    }
    (points, area / (spam * ham))
}

/// Spam missed at the loosest cut that loses no more ham than that.
fn missed_at(curve: &[(f64, f64)], lost: f64) -> f64 {
    curve.iter().filter(|(l, _)| *l <= lost).map(|(_, m)| *m).fold(1.0, f64::min)
}

fn bins(all: &[Scored]) -> Vec<(f64, f64, usize, usize)> {
    const EDGES: [f64; 12] = [0.0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0];
    EDGES
        .windows(2)
        .filter_map(|e| match *e {
            [low, high] => {
                let inside = |s: &&Scored| s.score >= low && (s.score < high || (high == 1.0 && s.score >= 1.0));
                let n = all.iter().filter(inside).count();
                Some((low, high, n, all.iter().filter(inside).filter(|s| s.spam).count()))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(score: f64, spam: bool) -> Scored {
        let class = if score >= 0.9 { Class::Spam } else { Class::Ham };
        Scored { score, class, spam }
    }

    #[test]
    fn area_counts_pairs_and_half_ties() {
        let all = [scored(0.1, false), scored(0.6, false), scored(0.6, true), scored(0.9, true)];
        // pairs: (0.1,0.6) (0.1,0.9) (0.6,0.9) right, (0.6,0.6) half
        assert!((Report::of(&all).one_minus_area - 0.125).abs() < 1e-12);
        let perfect = [scored(0.1, false), scored(0.9, true)];
        assert_eq!(Report::of(&perfect).one_minus_area, 0.0);
    }

    #[test]
    fn texts_come_out() {
        let report = Report::of(&[scored(0.1, false), scored(1.0, true), scored(0.95, false)]);
        assert!(report.text().contains("ham called spam: 1 (50.000 %)"));
        assert!(report.svg().contains("<polyline"));
        assert!(Report::of(&[]).text().contains("0 ham"));
    }
}
