//! Broken rules, as pages show them.

use explore::matrix::escaped;
use verdict::{Finding, time};

/// Findings shown.
const FINDINGS: usize = 64;

/// The section; nothing without a finding.
pub fn section(findings: &[Finding], total: u64) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let one = |finding: &Finding| {
        let (rule, told) = (escaped(&finding.rule), told(finding));
        let line = line(finding);
        format!("<details open><summary><b class=\"broke\">{rule}</b> {line}</summary>\n{told}</details>\n")
    };
    let told: String = findings.iter().take(FINDINGS).map(one).collect();
    format!("<h2>Broken rules: {total}</h2>\n{told}")
}

/// Where, when and what.
pub fn line(finding: &Finding) -> String {
    format!(
        "on {} at {}: {}",
        escaped(finding.device.as_deref().unwrap_or("the machine")),
        time(finding.time),
        escaped(&finding.message)
    )
}

/// The last events, and what the threads were doing.
pub fn told(finding: &Finding) -> String {
    let threads: Vec<String> = finding.threads.iter().map(|thread| thread.line()).collect();
    let (events, threads) = (escaped(&finding.events.join("\n")), escaped(&threads.join("\n")));
    format!("<pre>{events}\n\n{threads}</pre>")
}
