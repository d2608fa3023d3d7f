//! `fuzz` and `merge` as their users call them. Campaigns are bounded by runs, never by time.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn workgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output().expect("the command starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder of this test's own, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("workgate-fuzz-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        std::fs::write(&path, text).expect("a writable folder");
        path.display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn lines(&self, name: &str) -> Vec<serde_json::Value> {
        let text = self.read(name);
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_cannot_be_kept_is_told_and_ends_the_campaign() {
    let found = workgate(&[
        "fuzz",
        "teardown",
        "--driver",
        "edu=zoo-close-early",
        "--runs",
        "600",
        "--no-shrink",
        "--out",
        "/dev/null/nowhere",
    ]);
    let text = out(&found);
    assert_eq!(found.status.code(), Some(2), "{text}{}", err(&found));
    assert!(text.contains("FOUND close-before-return in run") && text.contains("verdict: FAIL"), "{text}");
    assert!(!text.contains("again: workgate replay"), "there is nothing to replay: {text}");
    assert!(err(&found).contains("cannot write into /dev/null/nowhere"), "{}", err(&found));
}

#[test]
fn a_broken_driver_is_found_made_small_kept_and_replayed() {
    let folder = Folder::new("zoo");
    let findings = folder.file("findings");
    let arguments = [
        "fuzz",
        "teardown",
        "--driver",
        "edu=zoo-close-early",
        "--runs",
        "600",
        "--first",
        "--out",
        &findings,
    ];
    let found = workgate(&arguments);
    assert_eq!(found.status.code(), Some(1), "{}{}", out(&found), err(&found));
    for part in [
        "FOUND close-before-return in run",
        "driver=zoo-close-early",
        "100 of 100 runs again the same",
        "verdict: FAIL",
    ] {
        assert!(out(&found).contains(part), "no {part} in {}", out(&found));
    }
    let bug = &folder.lines("findings/findings.jsonl")[0];
    assert_eq!((&bug["rule"], &bug["target"]), (&"close-before-return".into(), &"teardown".into()));
    assert!(bug["statements"].as_u64().is_some_and(|n| n <= 10), "{bug}");
    let plan = folder.read("findings/close-before-return.plan");
    assert!(
        plan.starts_with("# breaks close-before-return") && plan.contains("driver=zoo-close-early"),
        "{plan}"
    );
    let replay = workgate(&["replay", &folder.file("findings/close-before-return.capsule")]);
    assert_eq!(replay.status.code(), Some(1), "{}", err(&replay));
    assert!(out(&replay).contains("the same as in the capsule"), "{}", out(&replay));
    // The plan alone shows it, too, or the capsule would need luck.
    assert!(bug["plan"].as_str().is_some_and(|text| plan.ends_with(text)), "{bug}");
}

#[test]
fn schedules_of_a_plan_are_fuzzed_and_duplicates_are_filed_under_one_cause() {
    let folder = Folder::new("schedules");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/close-early.plan");
    let (plan, findings) = (root.display().to_string(), folder.file("findings"));
    let arguments =
        ["fuzz", "schedules", "--plan", &plan, "--runs", "40", "--no-shrink", "--json", "--out", &findings];
    let found = workgate(&arguments);
    assert_eq!(found.status.code(), Some(1), "{}{}", out(&found), err(&found));
    let json: serde_json::Value = serde_json::from_str(&out(&found)).expect("a JSON document");
    assert_eq!(json["runs"], 40);
    let runs = json["findings"][0]["runs"].as_u64().expect("a count");
    assert!(json["findings"].as_array().is_some_and(|list| list.len() <= 3) && runs > 5, "{json}");
    // Kept as it was found: the fuzzer's bytes are the schedule.
    assert!(folder.read("findings/close-before-return.capsule").contains("\nschedule bytes "));
    let replay = workgate(&["replay", &folder.file("findings/close-before-return.capsule")]);
    assert!(out(&replay).contains("the same as in the capsule"), "{}{}", out(&replay), err(&replay));
}

#[test]
fn the_same_seed_is_the_same_campaign_and_correct_drivers_bear_it() {
    for target in [
        "teardown",
        "schedules",
        "user_client",
        "mach_messages",
        "plan_text",
        "pci",
        "pci_config",
        "virtqueues",
        "xhci",
        "ohci",
    ] {
        let folder = Folder::new(target);
        let findings = folder.file("findings");
        let document = |jobs| {
            let arguments = ["fuzz", target, "--runs", "64", "--jobs", jobs, "--json", "--out", &findings];
            let output = workgate(&arguments);
            assert_eq!(output.status.code(), Some(0), "{target}: {}{}", out(&output), err(&output));
            out(&output)
        };
        let one = document("1");
        assert_eq!(one, document("2"), "{target}");
        let json: serde_json::Value = serde_json::from_str(&one).expect("a JSON document");
        assert!(json["runs"] == 64 && json["features"].as_u64().is_some_and(|n| n > 20), "{one}");
        assert!(!Path::new(&findings).exists(), "nothing was found, so nothing is written");
    }
}

#[test]
fn a_corpus_grows_and_garbage_in_it_does_no_harm() {
    let folder = Folder::new("corpus");
    let corpus = folder.file("corpus");
    folder.write("corpus/garbage", "\u{0}\u{fffd} no plan at all");
    folder.write("corpus/empty", "");
    folder.write("corpus/long", &"x".repeat(100_000));
    folder.write("corpus/half.part", "what an interrupted campaign left");
    let run = |seed| workgate(&["fuzz", "virtqueues", "--runs", "80", "--seed", seed, "--corpus", &corpus]);
    let output = run("1");
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    let files = std::fs::read_dir(&corpus).expect("it is there").count();
    assert!(files > 10, "{files}");
    let again = run("2");
    assert_eq!(again.status.code(), Some(0), "{}{}", out(&again), err(&again));
    let one = workgate(&["fuzz", "virtqueues", "--input", &folder.file("corpus/garbage")]);
    assert!(one.status.code() == Some(0) && out(&one).contains("slot 1"), "{}", out(&one));
}

#[test]
fn wrong_requests_say_what_was_expected() {
    let folder = Folder::new("wrong");
    let file = folder.write("file", "x");
    let plan = folder.write("p.plan", "plug edu0 edu slot=1\nrun for=1ms\n");
    let cases: [(&[&str], &str); 12] = [
        (&["fuzz"], "TARGET"),
        (&["fuzz", "tear-down"], "expected one of teardown, steady, schedules"),
        (&["fuzz", "teardown", "--runs", "0"], "0"),
        (&["fuzz", "teardown", "--time", "3"], "30s, 5m or 2h"),
        (&["fuzz", "teardown", "--shard", "2/2"], "I below N"),
        (&["fuzz", "teardown", "--driver", "edu"], "DEVICE=DRIVER"),
        (&["fuzz", "teardown", "--driver", "edu=zoo-nosuch"], "zoo-close-early"),
        (&["fuzz", "teardown", "--driver", "vga=zoo-close-early"], "one of edu, virtio-blk, daq"),
        (&["fuzz", "teardown", "--plan", &plan, "--driver", "edu7=zoo-close-early"], "a device of the plan"),
        (&["fuzz", "pci", "--driver", "edu=zoo-close-early"], "go with teardown or steady or schedules"),
        (&["fuzz", "pci", "--corpus", &file], "cannot use the corpus"),
        (&["fuzz", "pci", "--input", "/nonexistent"], "cannot read input /nonexistent"),
    ];
    for (arguments, expected) in cases {
        let output = workgate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}{}", out(&output), err(&output));
        assert!(err(&output).contains(expected), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn a_campaign_that_is_interrupted_keeps_what_it_found() {
    let folder = Folder::new("interrupt");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/close-early.plan");
    let (plan, findings) = (root.display().to_string(), folder.file("findings"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["fuzz", "schedules", "--plan", &plan, "--time", "1h", "--no-shrink", "--out", &findings])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the command starts");
    // It finds something sooner or later, and ends only when it is told to.
    let list = Path::new(&findings).join("findings.jsonl");
    while !list.exists() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(folder.lines("findings/findings.jsonl").iter().any(|line| line["rule"] == "close-before-return"));
    assert!(folder.read("findings/summary.json").contains("\"runs\""));
    let names = std::fs::read_dir(&findings).expect("it is there").map(|entry| entry.expect("a file").path());
    let half: Vec<_> = names.filter(|path| path.extension().is_some_and(|e| e == "part")).collect();
    assert!(half.is_empty(), "half-written: {half:?}");
}

#[test]
fn shards_of_an_exploration_are_merged_too() {
    let folder = Folder::new("explored");
    let plan = folder.write("p.plan", "plug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=200us\n");
    let shards = ["0/2", "1/2"].map(|shard| {
        let out = folder.file(&shard[..1]);
        let output = workgate(&["explore", &plan, "--schedules", "6", "--shard", shard, "--out", &out]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out
    });
    let merge = |folders: &[&String]| {
        let mut arguments = vec!["merge"];
        arguments.extend(folders.iter().map(|folder| folder.as_str()));
        let merged = folder.file("merged");
        arguments.extend(["--out", &merged]);
        workgate(&arguments)
    };
    let output = merge(&[&shards[0], &shards[1]]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("2 folders, 12 runs"), "{}", out(&output));
}

/// Two shards of one campaign that find the same bug.
fn shards(folder: &Folder) -> [String; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/close-early.plan");
    let plan = root.display().to_string();
    ["0/2", "1/2"].map(|shard| {
        let out = folder.file(&format!("shard-{}", &shard[..1]));
        let arguments = [
            "fuzz",
            "schedules",
            "--plan",
            &plan,
            "--runs",
            "20",
            "--shard",
            shard,
            "--no-shrink",
            "--out",
            &out,
        ];
        let output = workgate(&arguments);
        assert_eq!(output.status.code(), Some(1), "{}{}", self::out(&output), err(&output));
        out
    })
}

#[test]
fn shards_are_merged_by_cause_with_their_counts() {
    let folder = Folder::new("merge");
    let [zero, one] = shards(&folder);
    let found = |name: &str| {
        let lines = folder.lines(&format!("{name}/findings.jsonl"));
        lines.into_iter().find(|line| line["rule"] == "close-before-return").expect("it was found")
    };
    let merged = folder.file("merged");
    let output = workgate(&["merge", &zero, &one, "--out", &merged]);
    assert_eq!(output.status.code(), Some(1), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("2 folders, 40 runs"), "{}", out(&output));
    let (a, b, both) = (found("shard-0"), found("shard-1"), found("merged"));
    let runs = |bug: &serde_json::Value| bug["runs"].as_u64().expect("a count");
    assert_eq!(runs(&both), runs(&a) + runs(&b));
    assert!(both["statements"].as_u64() <= a["statements"].as_u64().min(b["statements"].as_u64()));
    let capsule = both["capsule"].as_str().expect("a capsule");
    assert!(capsule.starts_with(&merged), "{capsule}");
    let replay = workgate(&["replay", capsule]);
    assert_eq!(replay.status.code(), Some(1), "{}", err(&replay));
    // What was merged can be merged again.
    let output = workgate(&["merge", &merged, "--json", "--out", &folder.file("again")]);
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("a JSON document");
    assert_eq!((&json["runs"], runs(&json["findings"][0])), (&40.into(), runs(&both)));
}

#[test]
fn a_shard_that_found_nothing_counts() {
    let folder = Folder::new("nothing");
    let shard = folder.file("shard");
    let output = workgate(&["fuzz", "plan_text", "--runs", "20", "--shard", "1/3", "--out", &shard]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let output = workgate(&["merge", &shard, "--out", &folder.file("merged")]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("1 folders, 20 runs, 0 lines, 0 causes"), "{}", out(&output));
}

#[test]
fn what_cannot_be_merged_is_named_and_nothing_is_written() {
    let folder = Folder::new("garbage");
    let capsule = "workgate-capsule 1\nrule io-lost\nhash 12\nschedule plain\nplan p\nrun for=1ms\n";
    let line = |rule: &str, capsule: &str| {
        format!(
            "{{\"rule\":\"{rule}\",\"first\":1,\"runs\":2,\"capsule\":\"x/{capsule}\",\"statements\":1,\"deviations\":0,\"preemptions\":0,\"verified\":0,\"plan\":\"\"}}\n"
        )
    };
    folder.write("good/a.capsule", capsule);
    let good = line("io-lost", "a.capsule");
    folder.write("good/findings.jsonl", &good);
    let bad = |name: &str, text: &str| {
        folder.write(&format!("{name}/a.capsule"), capsule);
        folder.write(&format!("{name}/findings.jsonl"), text);
        folder.file(name)
    };
    let cases = [
        (bad("cut", &good[..40]), "findings.jsonl:1: "),
        (bad("noise", &format!("{good}\u{0}garbage\n")), "findings.jsonl:2: "),
        (bad("other", "[1,2]\n"), "expected one finding as a JSON object"),
        (bad("gone", &line("io-lost", "b.capsule")), "b.capsule cannot be read"),
        (bad("swapped", &line("io-twice", "a.capsule")), "its capsule about io-lost"),
        (folder.file("nowhere"), "cannot read the folder"),
        (folder.write("empty/x", "").replace("/x", ""), "is no result folder"),
    ];
    for (name, expected) in &cases {
        let merged = folder.file("merged");
        let output = workgate(&["merge", &folder.file("good"), name, "--out", &merged]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}{}", out(&output), err(&output));
        assert!(err(&output).contains(expected), "{name}: {}", err(&output));
        assert!(!Path::new(&merged).exists(), "{name}: something was written");
    }
    let twice = workgate(&["merge", &folder.file("good"), &folder.file("good"), "--out", &folder.file("m")]);
    assert!(twice.status.code() == Some(2) && err(&twice).contains("given twice"), "{}", err(&twice));
    folder.write("damaged/findings.jsonl", &good);
    folder.write("damaged/a.capsule", "workgate-capsule 1\nrule io-lost\nhash zz\n");
    let damaged = workgate(&["merge", &folder.file("damaged"), "--out", &folder.file("m")]);
    assert!(
        damaged.status.code() == Some(2) && err(&damaged).contains("16 hexadecimal"),
        "{}",
        err(&damaged)
    );
}

/// The real image, from a snapshot: its findings are told as those of the simulator are.
#[test]
fn the_image_on_kvm_is_fuzzed_from_a_snapshot() {
    let folder = Folder::new("kvm");
    let plan = folder.write(
        "p.plan",
        "machine cpus=1 memory=16M\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=1ms\n",
    );
    let two = folder.write("two.plan", "machine cpus=2 memory=16M\nplug edu0 edu slot=1\nrun for=1ms\n");
    let run = |plan: &str, more: &[&str]| {
        let arguments = ["fuzz", "kvm-image", "--plan", plan, "--runs", "3", "--jobs", "1", "--json"];
        let findings = folder.file("findings");
        workgate(&[&arguments, more, &["--out", &findings][..]].concat())
    };
    let output = run(&plan, &[]);
    if output.status.code() == Some(3) {
        println!("skipped: {}", err(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("a JSON document");
    assert!(json["runs"] == 3 && json["features"].as_u64().is_some_and(|n| n > 50), "{json}");
    // A machine that goes back has one processor, and says so.
    let wrong = run(&two, &[]);
    assert!(wrong.status.code() == Some(2) && err(&wrong).contains("has one"), "{}", err(&wrong));
}
