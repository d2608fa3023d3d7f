//! What the leg runs: the scenarios, and the tours of a Linux.

use super::cycles;
use crate::Request;
use crate::campaign::Case;
use crate::error::LabError;
use crate::linux;
use crate::login;
use crate::root_disk;
use crate::scenarios::Scenario;

/// How long one command may take. Far above what is needed: it ends hangs.
const COMMAND_LIMIT_SECONDS: u32 = 500;
/// The same for each second of a plan's machine time, several times what it takes on a host that does nothing else.
const LIMIT_PER_MACHINE_SECOND: u32 = 500;
/// The same for each round of a tour of a Linux; it gets [`LINUX_LIMIT_SECONDS`] besides.
const ROUND_LIMIT_SECONDS: u32 = 150;
/// How long a Linux may take for its tour: this host takes two minutes and a half, and more than eight beside other work.
const LINUX_LIMIT_SECONDS: u32 = 1_500;
/// Rounds of the tour in which everything is torn out, unless it is told how many: alone, and in the long leg.
const ROUNDS: u32 = 1;
/// How often everything is ejected in order.
const EJECTIONS: u32 = 2;
const ROUNDS_LONG: u32 = 20;
/// Host seconds to a machine second. The machine measures 17 when nothing else runs; a busy host must not turn a plan's deadlines into
/// judgements of the host.
const SLOW_DOWN: u32 = 120;
/// The same for plans that end so soon, or in which a driver's own timer is so short, that the time of a few interrupts is too long.
const SLOW_DOWN_DELICATE: u32 = 800;
/// The name of the case that boots a Linux in our machine.
const LINUX: &str = "linux";
/// The same, and things are torn out of it.
const SURPRISE: &str = "linux-surprise";
/// Somebody logs in to a Linux in our machine; what that takes, in seconds.
const LOGIN: &str = "linux-login";
const LOGIN_SECONDS: u32 = 90;
/// What a plan takes besides its machine time, in seconds.
const PLAN_SECONDS: u32 = 2;

/// How often everything is torn out.
pub fn rounds(request: &Request) -> u32 {
    rounds_or(request, ROUNDS)
}

/// How often everything is ejected in order; each time writes a MiB to the root disk.
pub fn ejections(request: &Request) -> u32 {
    rounds_or(request, EJECTIONS)
}

/// What was asked for, or `usual` unless the leg is a long one.
fn rounds_or(request: &Request, usual: u32) -> u32 {
    request.rounds.unwrap_or(if request.long { ROUNDS_LONG } else { usual })
}

/// The cases that are asked for, and before them a look at the host inside.
///
/// # Errors
/// One of this name is not known.
pub fn cases(request: &Request, scenarios: &[Scenario]) -> Result<Vec<Case>, LabError> {
    if request.boot_only {
        return Ok(Vec::new());
    }
    let limit = COMMAND_LIMIT_SECONDS;
    let machine_seconds = |scenario: &Scenario, factor: u32| {
        let machine_time = u32::try_from(scenario.machine_time).unwrap_or(u32::MAX);
        machine_time.saturating_mul(factor) / 1_000
    };
    let slow_down = |scenario: &Scenario| if scenario.delicate { SLOW_DOWN_DELICATE } else { SLOW_DOWN };
    let doctor = Case {
        name: "doctor".into(),
        arguments: vec!["doctor".into()],
        seconds: 1,
        limit,
        ..Case::default()
    };
    let linux = |name: &str, arguments, limit| Case {
        name: name.into(),
        arguments,
        says: Some(linux::LAST_WORD),
        check: Some(root_disk::check()),
        alone: true,
        seconds: 1,
        limit,
        ..Case::default()
    };
    let wanted = |name: &str| request.only.is_empty() || request.only.iter().any(|only| only == name);
    let all = request.long || !request.only.is_empty();
    let asked = |scenario: &&Scenario| all || !scenario.long;
    let cases =
        scenarios.iter().filter(asked).filter(|scenario| wanted(&scenario.name)).map(|scenario| Case {
            name: scenario.name.clone(),
            arguments: [
                "run",
                &format!("/scenarios/{}.plan", scenario.name),
                "--machine",
                "kvm",
                "--slow-down",
                &slow_down(scenario).to_string(),
                "--json",
            ]
            .map(Into::into)
            .into(),
            status: scenario.finds.is_some().into(),
            tells: scenario.finds.as_ref().map(|rule| format!("\"rule\": \"{rule}\"").into()),
            chance: scenario.chance,
            seconds: PLAN_SECONDS.saturating_add(machine_seconds(scenario, slow_down(scenario))),
            limit: limit.saturating_add(machine_seconds(scenario, LIMIT_PER_MACHINE_SECOND)),
            ..Case::default()
        });
    let limit = |rounds: u32| LINUX_LIMIT_SECONDS.saturating_add(rounds.saturating_mul(ROUND_LIMIT_SECONDS));
    let ejections = ejections(request);
    let tour = wanted(LINUX).then(|| linux(LINUX, linux::arguments(ejections), limit(ejections)));
    let surprise = wanted(SURPRISE) && all;
    let rounds = rounds(request);
    let surprise = surprise.then(|| linux(SURPRISE, linux::surprise_arguments(rounds), limit(rounds)));
    let login = wanted(LOGIN).then(|| Case {
        name: LOGIN.into(),
        program: Some(login::PROGRAM),
        arguments: vec![login::WORD.into()],
        says: Some(login::LAST_WORD),
        seconds: LOGIN_SECONDS,
        limit: LINUX_LIMIT_SECONDS,
        ..Case::default()
    });
    let cycles = cycles::cases(COMMAND_LIMIT_SECONDS, SLOW_DOWN);
    let cycles =
        cycles.into_iter().filter(|case| wanted(&case.name) && (all || !cycles::is_long(&case.name)));
    let cases: Vec<Case> = cases.chain(cycles).chain(tour).chain(surprise).chain(login).collect();
    let known = |only: &&String| cases.iter().any(|case| case.name == **only);
    if let Some(unknown) = request.only.iter().find(|only| !known(only)) {
        let cycles = cycles::cases(COMMAND_LIMIT_SECONDS, SLOW_DOWN).into_iter().map(|case| case.name);
        let names = scenarios.iter().map(|scenario| scenario.name.clone()).chain(cycles);
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(LabError::Failed(format!(
            "there is no scenario `{unknown}`; there are {names}, {LINUX}, {SURPRISE}, {LOGIN}"
        )));
    }
    Ok(std::iter::once(doctor).chain(cases).collect())
}
