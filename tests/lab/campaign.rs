//! Cases in machines: what each case showed, and which must run again.
//!
//! The emulated host has two defects of its own, both QEMU's (docs/lab.md): an interrupt may be delivered to the guest twice, which the guest
//! recognises without doubt and `workgate` reports as the host's; and the kernel inside may stop for good, so that not even its own time limits
//! come. Neither says anything about the case, which runs again in a new machine; so does a case that shows a bug only by chance, and has not. Whatever else is wrong
//! is final at once.

use crate::process;
use crate::report::{Report, Reports};
use std::borrow::Cow;

/// Machines in which a case may stay unjudged.
const TRIES: u32 = 4;
/// `workgate`'s exit status for "this host cannot do it".
const HOST: i32 = 3;
/// What `workgate run --json` says, with that status, of a processor that is defective.
const DEFECT: &str = "\"how\": \"host-defect\"";

/// One command to run inside, and the exit status that is right for it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The lab's name for it.
    pub name: String,
    /// What runs; `None`: `workgate`.
    pub program: Option<&'static str>,
    /// What it is told.
    pub arguments: Vec<String>,
    /// The status that it must end with.
    pub status: i32,
    /// A line that it must print, if its status does not say enough.
    pub says: Option<&'static str>,
    /// Words that must be in what it prints.
    pub tells: Option<Cow<'static, str>>,
    /// A further command, for when the first has ended with status 0: it looks at what that has left behind, and its status counts.
    pub check: Option<String>,
    /// What it shows is shown by chance: a run in which all held, status 0, says nothing.
    pub chance: bool,
    /// Nothing may run beside it.
    pub alone: bool,
    /// What it takes, more or less, in seconds.
    pub seconds: u32,
    /// How long it may take, in seconds. Far above what is needed: it ends hangs.
    pub limit: u32,
}

#[derive(Debug)]
enum State {
    /// Not judged in so many machines.
    Open(u32),
    Held,
    Wrong,
}

/// All cases of a leg.
#[derive(Debug)]
pub struct Campaign(Vec<(Case, State)>);

impl Campaign {
    /// Nothing has run yet.
    pub fn new(cases: Vec<Case>) -> Self {
        Self(cases.into_iter().map(|case| (case, State::Open(0))).collect())
    }

    /// The cases that a further machine should run; none = the campaign is over.
    pub fn pending(&self) -> Vec<Case> {
        let open = |state: &State| matches!(state, State::Open(tries) if *tries < TRIES);
        self.0.iter().filter(|(_, state)| open(state)).map(|(case, _)| case.clone()).collect()
    }

    /// Judges what came back from a machine that ran [`Campaign::pending`]. Says what it finds, line by line.
    pub fn judge(&mut self, reports: &Reports) -> Vec<String> {
        let mut lines = Vec::new();
        // The first case without a report is the one in which the machine stopped; those behind it never had their turn.
        let mut stopped = false;
        for (case, state) in &mut self.0 {
            let State::Open(tries) = *state else { continue };
            if tries >= TRIES || stopped {
                continue;
            }
            let (next, line) = match reports.reports.iter().find(|report| report.name == case.name) {
                None => {
                    stopped = true;
                    (State::Open(tries + 1), "not judged: the machine inside stopped".to_owned())
                }
                Some(report) if is_defect(report) => {
                    (State::Open(tries + 1), "not judged: the emulated processor is defective".to_owned())
                }
                Some(report) if case.chance && report.status == 0 => (
                    State::Open(tries + 1),
                    "not judged: by chance it did not show what it is for".to_owned(),
                ),
                Some(report) => match fault(case, report) {
                    None => (State::Held, format!("held (status {})", case.status)),
                    Some(fault) => (State::Wrong, fault),
                },
            };
            *state = next;
            lines.push(format!("{} {line}", case.name));
        }
        lines
    }

    /// Whether the case of this name has held.
    pub fn held(&self, name: &str) -> bool {
        self.0.iter().any(|(case, state)| case.name == name && matches!(state, State::Held))
    }

    /// The cases that did not hold, with the reason in a word.
    pub fn wrong(&self) -> Vec<String> {
        let told = |(case, state): &(Case, State)| match state {
            State::Held => None,
            State::Wrong => Some(case.name.clone()),
            State::Open(tries) => Some(format!("{} (not judged in {tries} machines)", case.name)),
        };
        self.0.iter().filter_map(told).collect()
    }
}

fn is_defect(report: &Report) -> bool {
    report.status == HOST && report.out.contains(DEFECT)
}

/// What is wrong with how a command ended, if anything is.
fn fault(case: &Case, report: &Report) -> Option<String> {
    let shown =
        || format!("{}{}", process::last_lines(&report.out, 40), process::last_lines(&report.err, 40));
    if report.status != case.status {
        return Some(format!("ended with status {} instead of {}\n{}", report.status, case.status, shown()));
    }
    if let Some(line) = case.says
        && !report.out.lines().any(|said| said == line)
    {
        return Some(format!("did not say \"{line}\"\n{}", shown()));
    }
    if let Some(words) = &case.tells
        && !report.out.contains(&**words)
    {
        return Some(format!("did not tell \"{words}\"\n{}", shown()));
    }
    let json = case.arguments.iter().any(|word| word == "--json");
    if json && serde_json::from_str::<serde_json::Value>(&report.out).is_err() {
        return Some(format!("printed no JSON document\n{}", shown()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        let case = |name: &str| Case { name: name.into(), ..Case::default() };
        Campaign::new(vec![case("a"), case("b"), case("c")])
    }

    fn reports(told: &[(&str, i32, &str)]) -> Reports {
        let report = |&(name, status, out): &(&str, i32, &str)| Report {
            name: name.into(),
            status,
            out: out.into(),
            err: String::new(),
        };
        Reports { reports: told.iter().map(report).collect(), ..Reports::default() }
    }

    fn pending(campaign: &Campaign) -> Vec<String> {
        campaign.pending().into_iter().map(|case| case.name).collect()
    }

    #[test]
    fn what_shows_by_chance_may_need_several_machines_and_has_to_show_in_the_end() {
        let mut case = campaign().pending().remove(0);
        (case.chance, case.status) = (true, 1);
        let mut campaign = Campaign::new(vec![case.clone()]);
        campaign.judge(&reports(&[("a", 0, "")]));
        assert_eq!((campaign.pending().len(), campaign.wrong().len()), (1, 1));
        campaign.judge(&reports(&[("a", 1, "")]));
        assert!(campaign.pending().is_empty() && campaign.wrong().is_empty());

        let mut campaign = Campaign::new(vec![case]);
        while !campaign.pending().is_empty() {
            campaign.judge(&reports(&[("a", 0, "")]));
        }
        assert_eq!(campaign.wrong(), ["a (not judged in 4 machines)"]);
    }

    #[test]
    fn a_defect_of_the_host_is_tried_again_and_a_failure_is_not() {
        let mut campaign = campaign();
        campaign.judge(&reports(&[("a", HOST, DEFECT), ("b", 1, ""), ("c", 0, "")]));
        assert_eq!(pending(&campaign), ["a"]);
        campaign.judge(&reports(&[("a", 0, "")]));
        assert_eq!(pending(&campaign), Vec::<String>::new());
        assert_eq!(campaign.wrong(), ["b"]);
    }

    #[test]
    fn status_3_without_the_word_is_a_failure() {
        let mut campaign = campaign();
        campaign.judge(&reports(&[("a", HOST, "no KVM"), ("b", 0, ""), ("c", 0, "")]));
        assert_eq!(campaign.wrong(), ["a"]);
    }

    #[test]
    fn a_case_must_say_what_it_is_to_say() {
        let case = Case { name: "a".into(), says: Some("all well"), ..Case::default() };
        for (said, wrong) in [("so far\nall well\n", vec![]), ("not all well\n", vec!["a".to_owned()])] {
            let mut campaign = Campaign::new(vec![case.clone()]);
            campaign.judge(&reports(&[("a", 0, said)]));
            assert_eq!(campaign.wrong(), wrong, "{said}");
        }
    }

    #[test]
    fn a_case_must_tell_what_it_is_to_tell() {
        let case =
            Case { name: "a".into(), tells: Some("class A grows".into()), status: 1, ..Case::default() };
        for (said, wrong) in [("FOUND class A grows by 1\n", vec![]), ("FOUND leak\n", vec!["a".to_owned()])]
        {
            let mut campaign = Campaign::new(vec![case.clone()]);
            campaign.judge(&reports(&[("a", 1, said)]));
            assert_eq!(campaign.wrong(), wrong, "{said}");
        }
    }

    #[test]
    fn a_machine_that_stops_costs_only_the_case_that_ran_then() {
        let mut campaign = campaign();
        campaign.judge(&reports(&[("a", 0, "")]));
        assert_eq!(pending(&campaign), ["b", "c"]);
        for _ in 1..TRIES {
            campaign.judge(&reports(&[]));
        }
        assert_eq!(pending(&campaign), ["c"], "b has had its machines, c had no turn yet");
        campaign.judge(&reports(&[("c", 0, "")]));
        assert_eq!(campaign.wrong(), ["b (not judged in 4 machines)"]);
    }
}
