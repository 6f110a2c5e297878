//! The text format of Prometheus, read with bounds: so many lines, so many
//! series, so many labels, so long a line. What does not fit is left out and
//! counted; nothing panics, and nothing is kept of what nobody asked for.
//!
//! The format is that of the exposition format 0.0.4, with what OpenMetrics
//! adds on top (`# EOF`, exemplars after `#`, `_created` series) read past.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use crate::adapter::Buckets;

/// Bounds of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Samples that are kept.
    pub series: usize,
    /// Labels of one sample.
    pub labels: usize,
    /// Bytes of one line.
    pub line: usize,
}

/// One line: a name, its labels, a value. The value may be NaN or infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// The samples that were asked for, and what was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    pub samples: Vec<Sample>,
    /// Lines that are no sample and no comment, and those over a bound.
    pub refused: usize,
    /// More samples than the bound were asked for.
    pub cut: bool,
}

// === impl Bounds ===

impl Default for Bounds {
    /// vLLM with one model has some 700 samples; a Qdrant with a hundred
    /// collections some 5000.
    fn default() -> Self {
        Self { series: 10_000, labels: 32, line: 8 << 10 }
    }
}

// === impl Sample ===

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

// === impl Exposition ===

impl Exposition {
    /// Reads all samples whose name `wanted` asks for.
    pub fn read(text: &str, bounds: Bounds, mut wanted: impl FnMut(&str) -> bool) -> Self {
        let mut out = Self::default();
        for line in text.split('\n') {
            let line = line.trim_end_matches('\r').trim_start_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() > bounds.line {
                out.refused += 1;
                continue;
            }
            let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                out.refused += 1;
                continue;
            }
            if !wanted(name) {
                continue;
            }
            match sample(name, rest, bounds.labels) {
                Some(_) if out.samples.len() >= bounds.series => {
                    out.cut = true;
                    return out;
                }
                Some(sample) => out.samples.push(sample),
                None => out.refused += 1,
            }
        }
        out
    }

    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// Whether there is a sample of that name.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The sum over all labels of the finite values of that name; `None` where there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.fold(name, |a, b| a + b)
    }

    /// The largest finite value of that name; `None` where there is none.
    pub fn max(&self, name: &str) -> Option<f64> {
        self.fold(name, f64::max)
    }

    /// The first of these names that has a finite value, summed: servers rename.
    pub fn sum_of_first(&self, names: &[&str]) -> Option<f64> {
        names.iter().find_map(|name| self.sum(name))
    }

    /// The histogram of that base name (without `_bucket`), summed over all labels
    /// but `le`, its bounds multiplied by `scale` (1000 for seconds to milliseconds).
    /// `None` where it has no bucket.
    pub fn histogram(&self, base: &str, scale: f64) -> Option<Buckets> {
        let name = format!("{base}_bucket");
        let mut cumulative: Vec<(f64, f64)> = Vec::new();
        for sample in self.all(&name) {
            let Some(bound) = sample.label("le").and_then(number) else { continue };
            if bound.is_nan() || !sample.value.is_finite() || sample.value < 0.0 {
                continue;
            }
            let bound = bound * scale;
            match cumulative.binary_search_by(|(b, _)| b.total_cmp(&bound)) {
                Ok(at) => cumulative[at].1 += sample.value,
                Err(at) => cumulative.insert(at, (bound, sample.value)),
            }
        }
        (!cumulative.is_empty()).then_some(Buckets { cumulative })
    }

    fn fold(&self, name: &str, with: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let values = self.all(name).map(|sample| sample.value).filter(|value| value.is_finite());
        values.reduce(with)
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// What follows a name: labels in braces, a value, perhaps a time, perhaps an exemplar.
fn sample(name: &str, rest: &str, most_labels: usize) -> Option<Sample> {
    let rest = rest.trim_start_matches([' ', '\t']);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside, most_labels)?,
        None => (Vec::new(), rest),
    };
    let value = number(rest.split([' ', '\t']).find(|word| !word.is_empty())?)?;
    Some(Sample { name: name.to_string(), labels, value })
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut text: &str, most: usize) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        if labels.len() >= most {
            return None;
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = quoted(rest.trim_start_matches([' ', '\t']))?;
        labels.push((name.trim().to_string(), value));
        text = rest;
    }
}

/// A text in quotes with `\\`, `\"` and `\n` in it, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}

/// A value of the format: Go's numbers, with `+Inf`, `-Inf` and `NaN`.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also takes "infinity" and "nan", which the format does not have.
        text if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            text.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { series: 100, labels: 4, line: 256 };

    fn read(text: &str) -> Exposition {
        Exposition::read(text, BOUNDS, |_| true)
    }

    #[test]
    fn samples_are_read_with_labels_times_and_exemplars() {
        let text = "# HELP x What.\n# TYPE x counter\nx 3\r\n\
            vllm:a_total{model_name=\"a b\",finished_reason=\"stop\",} 2.5e3 1395066363000\n\
            h_bucket{le=\"0.1\"} 8.0 # {trace_id=\"abc\"} 0.06 1520879607.7\n\
            path{v=\"C:\\\\DIR\\n\\\"q\\\"}\"} -Inf\n  spaced  {  a = \"1\" }  7\n# EOF\n";
        let e = read(text);
        assert_eq!(e.refused, 0);
        assert_eq!(e.sum("x"), Some(3.0));
        let a = e.all("vllm:a_total").next().unwrap();
        assert_eq!((a.label("model_name"), a.value), (Some("a b"), 2500.0));
        assert_eq!(e.sum("h_bucket"), Some(8.0));
        assert_eq!(e.all("path").next().unwrap().label("v"), Some("C:\\DIR\n\"q\"}"));
        assert_eq!(e.sum("spaced"), Some(7.0));
        assert_eq!(e.sum("not there"), None);
    }

    #[test]
    fn not_a_number_and_infinity_are_read_and_never_summed() {
        let e = read("x NaN\nx{a=\"1\"} +Inf\nx{a=\"2\"} 4\ny NaN\n");
        assert_eq!(e.samples.len(), 4);
        assert_eq!((e.sum("x"), e.max("x"), e.sum("y")), (Some(4.0), Some(4.0), None));
    }

    #[test]
    fn what_is_no_sample_is_refused_and_counted_alone() {
        let e = read("x\nx one\n1x 3\n{a=\"b\"} 3\nx{a=\"b} 3\nx{a=b} 3\nx nan\nx infinity\nok 1");
        assert_eq!((e.samples.len(), e.refused), (1, 8));
    }

    #[test]
    fn a_million_labels_an_endless_line_and_a_million_series_are_bounded() {
        let labels: String = (0..1_000_000).map(|i| format!("l{i}=\"v\",")).collect();
        let e = read(&format!("x{{{labels}}} 1\nok 1\n"));
        assert_eq!((e.samples.len(), e.refused), (1, 1));
        let short = "x{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\"} 1";
        assert_eq!(read(short).refused, 1);
        let e = read(&"9".repeat(10_000_000));
        assert_eq!((e.samples.len(), e.refused), (0, 1));
        let e = read(&"x 1\n".repeat(1_000_000));
        assert_eq!((e.samples.len(), e.cut), (100, true));
    }

    #[test]
    fn what_nobody_asked_for_takes_no_room() {
        let text = "junk 1\n".repeat(1000) + "x 2\n";
        let e = Exposition::read(&text, BOUNDS, |name| name == "x");
        assert_eq!((e.samples.len(), e.cut), (1, false));
    }

    #[test]
    fn a_histogram_is_summed_over_its_labels_and_scaled() {
        let text = "t_bucket{m=\"a\",le=\"0.1\"} 1\nt_bucket{m=\"a\",le=\"+Inf\"} 3\n\
            t_bucket{m=\"b\",le=\"0.1\"} 2\nt_bucket{m=\"b\",le=\"+Inf\"} 2\n\
            t_bucket{m=\"b\",le=\"NaN\"} 2\nt_bucket{m=\"b\"} 2\nt_sum 4\nt_count 5\n";
        let e = read(text);
        let buckets = e.histogram("t", 1000.0).unwrap();
        assert_eq!(buckets.cumulative, [(100.0, 3.0), (f64::INFINITY, 5.0)]);
        assert_eq!(e.histogram("u", 1.0), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_the_bounds_hold(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let text = String::from_utf8_lossy(&bytes);
            let e = read(&text);
            prop_assert!(e.samples.len() <= BOUNDS.series);
        }

        #[test]
        fn no_line_that_is_nearly_one_panics(
            text in "([a-z:_0-9]{0,4}[{]?([a-z]{0,2}=?\"?[a-z\\\\\"é]{0,3}\"?,?){0,6}[}]? ?[-+0-9.eEnNaAiIfF]{0,5} ?[0-9#]{0,3}\n?){0,8}",
        ) {
            let e = read(&text);
            prop_assert!(e.samples.iter().all(|s| s.labels.len() <= BOUNDS.labels));
            let _ = e.histogram("a", 1000.0);
        }

        #[test]
        fn what_is_written_by_the_book_is_read_back(
            name in "[a-z_:][a-z0-9_:]{0,8}",
            label in "[a-z_]{1,6}",
            value in "\\PC{0,10}",
            number in any::<f64>(),
        ) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = match number {
                n if n.is_nan() => "NaN".to_string(),
                f64::INFINITY => "+Inf".into(),
                f64::NEG_INFINITY => "-Inf".into(),
                n => format!("{n:e}"),
            };
            let e = read(&format!("{name}{{{label}=\"{escaped}\"}} {text}\n"));
            prop_assert_eq!(e.refused, 0);
            prop_assert_eq!(e.samples[0].label(&label), Some(value.as_str()));
            let same = e.samples[0].value.total_cmp(&number).is_eq()
                || (number.is_nan() && e.samples[0].value.is_nan());
            prop_assert!(same);
        }
    }
}
