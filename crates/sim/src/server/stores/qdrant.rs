//! A Qdrant with four collections: searched as the agent and chat are busy, written to
//! as embeddings are made.

use std::fmt::Write as _;

use plimsoll_core::metric::Metric;
use serde_json::json;

use super::{Moment, Page, Told, whole};
use crate::{
    noise::Noise,
    scenario::{Activity, Levels},
    server::inside::Seconds,
};

const VERSION: &str = "1.15.1";
/// Bounds of its answers in seconds, as Qdrant has them.
const BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0];
/// Its collections with the part of all points that each has.
const COLLECTIONS: [(&str, f64); 4] =
    [("documents", 0.62), ("mail", 0.21), ("notes", 0.1), ("photos", 0.07)];
const POINTS: f64 = 1_205_000.0;
const NEW_POINTS_PER_S: f64 = 0.06;
/// What is asked of it: method, endpoint, and the usual time that an answer takes, in
/// microseconds.
const ASKED: [(&str, &str, f64); 2] = [
    ("POST", "/collections/{name}/points/query", 3500.0),
    ("PUT", "/collections/{name}/points", 7000.0),
];
/// Far apart, so that no two answers take the same noise.
const NOISE: u64 = 1 << 20;

/// What it has counted.
#[derive(Debug)]
pub struct Qdrant {
    /// In the order of [`ASKED`].
    answers: [u64; 2],
    times: [Seconds; 2],
    all: Seconds,
}

// === impl Qdrant ===

impl Default for Qdrant {
    fn default() -> Self {
        let none = || Seconds::new(BOUNDS);
        Self { answers: [0; 2], times: [none(), none()], all: none() }
    }
}

impl Qdrant {
    pub fn step(&mut self, second: i64, levels: &Levels, noise: Noise) {
        let level = |activity: Activity| levels[activity as usize].max(0.0);
        let searched = 1.0 + 38.0 * level(Activity::Agent) + 6.0 * level(Activity::Chat);
        let written = 30.0 * level(Activity::Embed);
        for (place, (rate, stream)) in [searched, written].into_iter().zip(1..).enumerate() {
            // A part of an answer is one at times.
            let spread = 0.5 * noise.white(stream, second);
            let count = whole((rate * (1.0 + 0.2 * noise.white(stream + 2, second))) + spread);
            self.answers[place] += count;
            for number in 0..count {
                let luck = noise.white(NOISE * stream + number, second);
                let took = whole(ASKED[place].2 * luck.exp());
                self.times[place].record_us(took);
                self.all.record_us(took);
            }
        }
    }

    /// Points of each collection.
    fn points(moment: &Moment) -> [u64; 4] {
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let all = POINTS + NEW_POINTS_PER_S * moment.age_s as f64;
        COLLECTIONS.map(|(_, share)| whole(all * share))
    }

    pub fn figures(&self, moment: &Moment) -> Vec<Told<'_>> {
        #[expect(clippy::cast_precision_loss, reason = "points")]
        let points = Self::points(moment).iter().sum::<u64>() as f64;
        vec![
            Told::Level(Metric::StoreCollections, 4.0),
            Told::Level(Metric::StorePoints, points),
            Told::Total(Metric::StoreRequests, self.answers.iter().sum()),
            Told::Times(Metric::LatencyE2e, &self.all),
        ]
    }

    pub fn page(&self, method: &str, path: &str, moment: &Moment) -> Page {
        if method != "GET" {
            return Page::missing("");
        }
        match path {
            "/" => Page::json(
                200,
                &json!({
                    "title": "qdrant - vector search engine",
                    "version": VERSION,
                }),
            ),
            "/healthz" => Page::text("healthz check passed"),
            "/livez" => Page::text("livez check passed"),
            "/readyz" => Page::text("all shards are ready"),
            "/collections" => {
                let names = COLLECTIONS.map(|(name, _)| json!({ "name": name }));
                let result = json!({ "collections": names });
                Page::json(200, &json!({ "result": result, "status": "ok", "time": 0.000_006 }))
            }
            "/metrics" => Page::text(self.metrics(moment)),
            _ => Page::missing(""),
        }
    }

    fn metrics(&self, moment: &Moment) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, kind: &str, lines: &[(String, String)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let one = |value: &str| [(String::new(), value.to_owned())];
        let about = format!("{{name=\"qdrant\",version=\"{VERSION}\"}}");
        family("app_info", "information about qdrant server", "gauge", &[(about, "1".into())]);
        family("app_status_recovery_mode", "features enabled in qdrant server", "gauge", &one("0"));
        family("collections_total", "number of collections", "gauge", &one("4"));
        let points: Vec<_> = COLLECTIONS
            .iter()
            .zip(Self::points(moment))
            .map(|((name, _), count)| (format!("{{id=\"{name}\"}}"), count.to_string()))
            .collect();
        let help = "approximate amount of points per collection";
        family("collection_points", help, "gauge", &points);
        family("cluster_enabled", "is cluster support enabled", "gauge", &one("0"));
        let asked = |(method, endpoint, _): (&str, &str, f64)| {
            format!("method=\"{method}\",endpoint=\"{endpoint}\",status=\"200\"")
        };
        let totals: Vec<_> = ASKED
            .into_iter()
            .zip(self.answers)
            .map(|(what, count)| (format!("{{{}}}", asked(what)), count.to_string()))
            .collect();
        family("rest_responses_total", "total number of responses", "counter", &totals);
        let rss = format!("{:.0}", moment.rss);
        let help = "Total number of bytes in physically resident data pages";
        family("memory_resident_bytes", help, "gauge", &one(&rss));

        let name = "rest_responses_duration_seconds";
        let _ =
            writeln!(text, "# HELP {name} response duration histogram\n# TYPE {name} histogram");
        for (what, times) in ASKED.into_iter().zip(&self.times) {
            let labels = asked(what);
            let mut below = 0;
            for (bound, count) in times.bounds.iter().zip(&times.counts) {
                below += count;
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
            }
            let count = times.count();
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}", times.sum);
            let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
        }
        text
    }
}
