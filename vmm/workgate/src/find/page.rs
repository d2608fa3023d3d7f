//! An exploration as a page: one file, no network.

use super::bug::Bug;
use devices::fault::plan::Plan;
use explore::campaign::Summary;
use explore::matrix::{Matrix, escaped};
use explore::teardown::{self, Item};
use std::collections::BTreeMap;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;background:#fff;color:#222}\
table{border-collapse:collapse;margin:1em 0}th,td{padding:.25em .6em;border:1px solid #ccc;text-align:right;font-size:13px}\
th:first-child{text-align:left;font-family:ui-monospace,monospace}.held{background:#d9f0d9}.broke{background:#f6c6c6;font-weight:600}\
.none{background:#f4f4f4}pre{background:#f4f4f4;padding:1em;overflow:auto}\
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}th,td{border-color:#444}.held{background:#1d3b24}\
.broke{background:#6b2020}.none,pre{background:#22252b}}";

/// The page.
pub fn page(
    plan: &Plan,
    how: &str,
    summary: &Summary,
    matrices: &BTreeMap<String, Matrix>,
    exercised: &[Item],
    bugs: &[Bug],
) -> String {
    let tables: String = matrices
        .iter()
        .map(|(device, matrix)| format!("<h2>{}</h2>\n{}", escaped(device), matrix.html()))
        .collect();
    let found: String = bugs
        .iter()
        .map(|bug| {
            let capsule = bug.capsule.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let again = format!("workgate replay {capsule}");
            format!(
                "<h2>{}</h2>\n<p>{} run(s); {} statements, {} deviations of the schedule; {} of 100 runs again the same.</p>\n<pre>{}</pre>\n<pre>{}</pre>\n",
                escaped(&bug.rule),
                bug.runs,
                bug.statements,
                bug.deviations,
                bug.verified,
                escaped(&bug.plan),
                escaped(&again)
            )
        })
        .collect();
    let verdict = if bugs.is_empty() { "Nothing found." } else { "Bugs found." };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title><style>{STYLE}</style></head><body>\n\
         <h1>{name}</h1>\n<p>{}</p>\n<p>{} runs, {} traces, {} states. <b>{verdict}</b></p>\n{tables}<h2>Exercised</h2>\n<pre>{}</pre>\n{found}</body></html>\n",
        escaped(how.trim_end()),
        summary.runs,
        summary.traces,
        summary.states,
        escaped(&teardown::table(exercised, true)),
        name = escaped(&plan.name),
    )
}
