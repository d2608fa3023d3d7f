//! Cores of our own kernel: after a panic, with every thread, its stack and its name.

mod common;

use common::on_this_host;
use devices::fault::plan::Plan;
use inspect::core::Core;
use inspect::symbols::Names;
use inspect::{State, stacks};
use std::path::PathBuf;
use trace::Kind;
use vmm::{CoreFile, Options, Outcome};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs our kernel, which breaks in the way that `how` names, and wants a core in `folder`.
fn crash(how: &str, cpus: usize, folder: &std::path::Path) -> Option<Outcome> {
    let text = format!("machine cpus={cpus} memory=64M\nrun for=1ms\n");
    let plan = Plan::parse("crash.plan", &text).expect("a plan");
    let core = CoreFile::new(folder, &plan.name).expect("a folder");
    assert_eq!(core.path(), folder.join("crash.core"));
    let options = Options { command_line: format!("crash={how}"), core: Some(core), ..Options::default() };
    on_this_host(vmm::run(&plan, guest_image::IMAGE, &options, &mut |_| {}))
}

#[test]
fn a_panic_leaves_a_core_with_every_thread() {
    let folder = folder("panic");
    let Some(outcome) = crash("panic", 1, &folder) else { return };
    let written = outcome.core.expect("a core is called for").expect("it is written");
    println!(
        "a core of 64 MiB: {} ms, {} KiB stored, file of {} KiB",
        written.took.as_millis(),
        written.stored >> 10,
        written.bytes >> 10
    );
    let file = std::fs::File::open(&written.path).expect("it is there");
    let core = Core::read(Box::new(file)).expect("a core");
    assert_eq!((core.about.signal, &*core.about.reason), (6, "the guest panicked"));
    let by_name = |name: &str| core.about.threads.iter().find(|thread| thread.name == name);
    let (first, idle) =
        (by_name("first").expect("the first thread"), by_name("idle0").expect("an idle thread"));
    assert_eq!((first.state, first.cpu, first.priority), (State::Running, Some(0), 81));
    assert_eq!((idle.cpu, idle.priority), (None, 0));
    let table = stacks::table_in(&core);
    let names = Names::of_table(&table);
    let functions = |thread| -> Vec<String> {
        stacks::frames(&core, thread, &names).into_iter().map(|(_, name)| name).collect()
    };
    let panics = functions(first);
    assert!(panics.iter().any(|name| name.contains("crash::crash")), "{panics:#?}");
    assert!(panics.iter().any(|name| name.contains("thread_entry")), "{panics:#?}");
    let idles = functions(idle);
    assert!(idles.iter().any(|name| name.contains("switch_away")), "{idles:#?}");
    assert!(idles.iter().any(|name| name.contains("start_cpu")), "{idles:#?}");
    let text = stacks::render(&core, &names);
    assert!(text.contains(": running on cpu0, priority 81"), "{text}");
}

#[test]
fn a_panic_while_an_event_is_recorded_is_heard_like_any_other() {
    let plan = Plan::parse("crash.plan", "machine cpus=2 memory=64M\nrun for=1ms\n").expect("a plan");
    for (how, message) in [("panic", "as asked on the command "), ("recording", "while an event is record")] {
        let options = Options { command_line: format!("crash={how}"), ..Options::default() };
        let mut panics = Vec::new();
        let outcome = vmm::run(&plan, guest_image::IMAGE, &options, &mut |event| {
            panics.extend((event.kind == Kind::Panic).then(|| event.text_str().to_owned()));
        });
        if on_this_host(outcome).is_some() {
            assert_eq!(panics, [message], "{how}");
        }
    }
}

#[test]
fn a_fault_on_one_of_two_processors_shows_both() {
    let folder = folder("fault");
    let Some(outcome) = crash("null", 2, &folder) else { return };
    let written = outcome.core.expect("a core is called for").expect("it is written");
    let core =
        Core::read(Box::new(std::fs::File::open(&written.path).expect("it is there"))).expect("a core");
    let threads = &core.about.threads;
    let running: Vec<_> = threads.iter().filter_map(|thread| thread.cpu).collect();
    assert_eq!(running.len(), 2, "{threads:#?}");
    assert_eq!(threads[0].name, "first", "the one that broke comes first: {threads:#?}");
    let table = stacks::table_in(&core);
    let names = Names::of_table(&table);
    let stack = |n: usize| -> Vec<String> {
        stacks::frames(&core, &threads[n], &names).into_iter().map(|(_, name)| name).collect()
    };
    // From the exception's stack over to that of the thread that it interrupted.
    for function in ["exception", "crash::", "thread_entry"] {
        assert!(stack(0).iter().any(|name| name.contains(function)), "{function} in {:#?}", stack(0));
    }
    // It may not have come to its idle thread yet.
    assert!(stack(1).iter().any(|name| name.contains("start_cpu")), "{:#?}", stack(1));
}

#[test]
fn a_run_that_ends_well_leaves_none() {
    let folder = folder("well");
    let Some(outcome) = crash("nothing-known", 1, &folder) else { return };
    assert!(outcome.core.is_none(), "{:?}", outcome.core);
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
}

#[test]
fn a_place_that_is_not_there_is_told_before_the_machine_runs() {
    let what = CoreFile::new(std::path::Path::new("/no/such/folder/core"), "a.plan").expect_err("no folder");
    assert!(what.contains("/no/such/folder"), "{what}");
}
