//! The report of a run, and its trace, as people and programs read them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn workgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_workgate")).args(arguments).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("workgate-{name}-{}", std::process::id()));
        Self(path)
    }

    /// The report of a scenario in the simulator.
    fn report(name: &str, plan: &str, status: i32) -> Self {
        let folder = Self::new(name);
        let output = workgate(&["run", &scenario(plan), "--machine", "sim", "--report", folder.path("")]);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
        folder
    }

    fn path(&self, file: &str) -> &'static str {
        // Leaked: a few bytes for the time of a test.
        self.0.join(file).to_str().expect("a path in UTF-8").to_owned().leak()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in the temporary one does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn picture(page: &str) -> Value {
    let (_, data) = page.split_once("id=\"data\">").expect("the data of the picture");
    let (data, _) = data.split_once("</script>").expect("their end");
    serde_json::from_str(data).expect("JSON")
}

#[test]
fn the_page_of_a_removal_has_lanes_faults_arrows_and_tables() {
    let folder = Folder::report("page", "surprise-removal.plan", 0);
    let page = folder.read("report.html");
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
    for part in
        ["PASS", "I/O ledger", "unplug of edu0", "wake-up, kernel band", "request to disk0", "--seed 1"]
    {
        assert!(page.contains(part), "no `{part}`");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains(" src="));
    let picture = picture(&page);
    let groups = picture["groups"].as_array().expect("groups");
    let named = |name: &str| groups.iter().find(|group| group["name"] == name).expect("a group");
    let lanes = |name: &str| named(name)["lanes"].as_array().expect("lanes").clone();
    assert_eq!(lanes("CPUs").len(), 4);
    assert!(lanes("Threads, kernel band").iter().all(|lane| lane["spans"] != ""));
    assert_eq!(lanes("Devices").len(), 6);
    let faults = picture["faults"].as_array().expect("faults");
    assert!(faults.iter().any(|fault| fault[1] == "edu0" && fault[2] == "unplug"), "{faults:?}");
    let flows = picture["flows"].as_array().expect("chains");
    let keys: Vec<&str> = lanes_of(groups);
    for point in flows.iter().flat_map(|chain| chain.as_array().expect("points")) {
        assert!(keys.contains(&point[1].as_str().expect("a key")), "{point}");
    }
}

/// Lanes and proofs of the chain that begins with `word` on `device`.
fn chain(picture: &Value, word: &str, device: &str) -> Vec<(String, bool)> {
    let array = |value: &Value| value.as_array().expect("an array").clone();
    let faults = array(&picture["faults"]);
    let fault = faults.iter().find(|fault| fault[1] == device && fault[2] == word).expect("the fault");
    let flows = array(&picture["flows"]);
    let flow = flows.iter().find(|points| points[0][0] == fault[0]).expect("its chain");
    let lanes: Vec<Value> =
        array(&picture["groups"]).iter().flat_map(|group| array(&group["lanes"])).collect();
    let named = |point: &Value| {
        let lane = lanes.iter().find(|lane| lane["key"] == point[1]).expect("a lane");
        let name = lane["name"].as_str().expect("a name");
        let (name, _) = name.split_once('#').unwrap_or((name, ""));
        (name.to_owned(), point[2].as_bool().expect("whether it is proven"))
    };
    array(flow).iter().skip(1).map(named).collect()
}

fn links(links: &[(&str, bool)]) -> Vec<(String, bool)> {
    links.iter().map(|(name, proven)| ((*name).to_owned(), *proven)).collect()
}

#[test]
fn arrows_lead_over_what_the_trace_proves_and_say_where_it_does_not() {
    let folder = Folder::report("arrows", "surprise-removal.plan", 0);
    let removal = picture(&folder.read("report.html"));
    let noticed = [("cpu0 interrupts", true), ("IOPCIHotPlug", true)];
    let ended = [("IOServiceTerminateThread", true), ("request", true)];
    assert_eq!(chain(&removal, "unplug", "edu0"), links(&[noticed, ended].concat()));
    let used = [("request", false)];
    assert_eq!(chain(&removal, "replug", "edu0"), links(&[&noticed[..], &used].concat()));
    let folder = Folder::report("arrows-drop", "fault-drop.plan", 0);
    let lost = picture(&folder.read("report.html"));
    let after = [("cpu1 interrupts", false), ("IOWorkLoop", true), ("client", true)];
    assert_eq!(chain(&lost, "drop", "edu0"), links(&after));
}

/// Names of the entries of a tree, and of what stands under them, each with its states.
fn entries(tree: &Value) -> Vec<(String, String)> {
    let entry = |node: &Value| {
        let name = node["name"].as_str().expect("a name").to_owned();
        let mut all = vec![(name, node["state"].to_string())];
        all.extend(entries(&node["children"]));
        all
    };
    tree.as_array().expect("a tree").iter().flat_map(entry).collect()
}

#[test]
fn the_registry_is_told_before_during_and_after_a_removal() {
    let folder = Folder::report("registry", "surprise-removal.plan", 0);
    let json: Value = serde_json::from_str(&folder.read("report.json")).expect("JSON");
    assert_eq!((&json["kind"], &json["registry"]["more_removals"]), (&"run".into(), &0.into()));
    let removal = &json["registry"]["removals"][0];
    assert_eq!((&removal["device"], &removal["action"]), (&"edu0".into(), &"unplug".into()));
    let moments = removal["moments"].as_array().expect("moments");
    let whens: Vec<&str> = moments.iter().map(|moment| moment["when"].as_str().expect("a word")).collect();
    assert_eq!(whens, ["before", "didTerminate", "detach", "after"]);
    let times: Vec<u64> = moments.iter().map(|moment| moment["time"].as_u64().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let states = |moment: usize, name: &str| -> Vec<String> {
        let all = entries(&moments[moment]["tree"]);
        all.into_iter().filter(|(entry, _)| entry == name).map(|(_, states)| states).collect()
    };
    let driver = |moment| states(moment, "EduDriver");
    assert!(driver(0).len() == 1 && !driver(0)[0].contains("inactive"), "{:?}", driver(0));
    assert!(driver(1)[0].contains("inactive") && driver(2)[0].contains("inactive"));
    let clients = |moment, state: &str| {
        states(moment, "EduUserClient").iter().filter(|all| all.contains(state)).count()
    };
    assert_eq!((clients(1, "inactive"), clients(1, "didTerminate"), clients(1, "stopped")), (4, 1, 0));
    assert_eq!((clients(2, "inactive"), clients(2, "stopped")), (4, 1));
    assert_eq!((states(3, "EduDriver").len(), states(3, "edu0").len()), (0, 0));
    assert!(!states(3, "disk0").is_empty(), "the other card stays");
    let page = folder.read("report.html");
    for part in ["phase 2, at the first didTerminate", "<b>EduDriver@", "class=\"ending\"", "class=\"ended\""]
    {
        assert!(page.contains(part), "no `{part}`");
    }
}

#[test]
fn what_was_exercised_is_a_matrix_of_states_and_tables_of_sites_and_rules() {
    let folder = Folder::report("exercised", "smallest.plan", 0);
    let page = folder.read("report.html");
    let row = |head: &str| {
        let start = format!("<tr><th>{head}</th>");
        page.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row of {head}"))
    };
    let json: Value = serde_json::from_str(&folder.read("report.json")).expect("JSON");
    let items = json["run"]["exercised"].as_array().expect("items");
    let hits = |name: &str| {
        let item = items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        item["hits"].as_u64().expect("a count")
    };
    let started = hits("starting → started");
    assert!(started > 0 && row("starting").contains(&format!("<td class=\"held\">{started}</td>")));
    assert_eq!(hits("starting → failed"), 0);
    assert!(row("starting").contains("<td class=\"never\">0</td>"));
    assert!(row("mmio.write").contains(&format!("<td class=\"held\">{}</td>", hits("edu0.mmio.write"))));
    assert!(page.contains("<td class=\"left\">io-lost</td><td class=\"held\">1</td>"));
}

fn lanes_of(groups: &[Value]) -> Vec<&str> {
    let lanes = groups.iter().flat_map(|group| group["lanes"].as_array().expect("lanes"));
    lanes.map(|lane| lane["key"].as_str().expect("a key")).collect()
}

#[test]
fn junit_and_json_say_what_broke() {
    let folder = Folder::report("junit", "close-early.plan", 1);
    let junit = folder.read("junit.xml");
    let tree = roxmltree::Document::parse(&junit).expect("well-formed XML");
    let suites = tree.root_element();
    assert_eq!(suites.tag_name().name(), "testsuites");
    let suite = suites.first_element_child().expect("a suite");
    let cases: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
    let failed = cases.iter().filter(|case| case.children().any(|node| node.has_tag_name("failure"))).count();
    assert_eq!(suite.attribute("tests"), Some(cases.len().to_string().as_str()));
    assert_eq!(suite.attribute("failures"), Some(failed.to_string().as_str()));
    assert!(failed > 0);
    assert!(cases.iter().any(|case| case.attribute("name") == Some("rule close-before-return")));
    let json: Value = serde_json::from_str(&folder.read("report.json")).expect("JSON");
    assert_eq!(json["format"], 1);
    assert_eq!(json["run"]["verdict"]["passed"], false);
    assert!(json["latencies"].as_array().is_some_and(|all| !all.is_empty()));
    let page = folder.read("report.html");
    assert!(page.contains("FAIL") && page.contains("close-before-return"));
    assert!(!picture(&page)["findings"].as_array().expect("findings").is_empty());
}

#[test]
fn a_trace_is_filtered_by_kind_device_cpu_thread_and_time() {
    let folder = Folder::report("filter", "smallest.plan", 0);
    let lines = |more: &[&str]| {
        let mut arguments = vec!["trace", folder.path("trace.bin"), "--format", "json"];
        arguments.extend(more);
        let output = workgate(&arguments);
        assert_eq!(output.status.code(), Some(0), "{more:?}: {}", text(&output.stderr));
        let out = text(&output.stdout);
        out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    };
    let all = lines(&[]);
    let length = std::fs::metadata(folder.path("trace.bin")).expect("the trace").len();
    assert_eq!(all.len() as u64, length / 64);
    let of =
        |fits: &dyn Fn(&Value) -> bool| all.iter().filter(|event| fits(event)).cloned().collect::<Vec<_>>();
    assert!(lines(&["--kind", "gate.close"]) == of(&|event| event["kind"] == "gate.close"));
    let gate = |event: &Value| event["kind"].as_str().is_some_and(|kind| kind.starts_with("gate."));
    assert!(!of(&gate).is_empty() && lines(&["--kind", "gate"]) == of(&gate));
    assert!(lines(&["--device", "edu0"]) == of(&|event| event["slot"] == 1));
    assert!(lines(&["--cpu", "0"]) == of(&|event| event["cpu"] == 0));
    let between = |event: &Value| (100_000..=200_000).contains(&event["plan_time"].as_u64().expect("a time"));
    assert!(!of(&between).is_empty() && lines(&["--from", "100us", "--to", "200us"]) == of(&between));
    let first = all.iter().find(|event| event["kind"] == "thread.start" && event["text"] == "first");
    let first = &first.expect("the first thread")["object"];
    assert!(lines(&["--thread", "first"]) == of(&|event| event["thread"] == *first));
    assert!(lines(&["--thread", &first.to_string()]) == of(&|event| event["thread"] == *first));
    assert!(lines(&["--limit", "7"]) == all[..7]);
    // A plan gives the same trace as the file of its run, and so does the folder.
    let printed = |file: &str| text(&workgate(&["trace", file, "--limit", "200"]).stdout);
    let text = printed(folder.path("trace.bin"));
    assert_eq!(text.lines().count(), 200);
    assert_eq!(text, printed(&scenario("smallest.plan")));
    assert_eq!(text, printed(folder.path("")));
}

#[test]
fn the_document_for_perfetto_is_one() {
    let folder = Folder::report("chrome", "smallest.plan", 0);
    let file = folder.path("trace.json");
    let output = workgate(&["trace", folder.path(""), "--format", "chrome", "--out", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_str(&folder.read("trace.json")).expect("JSON");
    let events = document["traceEvents"].as_array().expect("events");
    let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
    assert!(of("X") > 100 && of("s") > 10 && of("M") > 4);
    assert_eq!(of("b"), of("e"));
    for event in events.iter().filter(|event| event["ph"] == "X") {
        assert!(
            event["ts"].as_f64().is_some() && event["dur"].as_f64().is_some_and(|dur| dur >= 0.0),
            "{event}"
        );
    }
}

#[test]
fn folded_stacks_have_all_time_that_was_not_idle() {
    let folder = Folder::report("folded", "smallest.plan", 0);
    let stacks = |more: &[&str]| {
        let output = workgate(&[&["trace", folder.path(""), "--format", "folded"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        let parse = |line: &str| {
            let (stack, time) = line.rsplit_once(' ').expect("stack and time");
            (stack.to_owned(), time.parse::<u64>().expect("a time"))
        };
        lines.lines().map(parse).collect::<Vec<_>>()
    };
    let all = stacks(&[]);
    assert!(
        all.iter().any(|(stack, _)| stack == "IOWorkLoop;holds the gate of EduDriver;action of EduDriver"),
        "{all:?}"
    );
    let sum = |of: &[(String, u64)]| of.iter().map(|(_, time)| time).sum::<u64>();
    // The kernel's own books say the same, but for interrupts while it idles.
    let json: Value = serde_json::from_str(&folder.read("report.json")).expect("JSON");
    let threads = json["run"]["scheduling"]["threads"].as_array().expect("threads");
    // (The thread that ends the run is still at it behind the last event.)
    let counts = |name: &str| !name.starts_with("idle") && !name.starts_with("finish");
    let busy = threads.iter().filter(|thread| counts(thread["name"].as_str().expect("a name")));
    let books: u64 = busy.map(|thread| thread["running"].as_u64().expect("a time")).sum();
    let busy: Vec<_> = all.iter().filter(|(stack, _)| counts(stack)).cloned().collect();
    assert_eq!((books > 0, sum(&busy)), (true, books));
    let parts = [stacks(&["--cpu", "0"]), stacks(&["--cpu", "1"])];
    assert_eq!(parts.iter().map(|part| sum(part)).sum::<u64>(), sum(&all));
    let loops = stacks(&["--thread", "IOWorkLoop"]);
    assert!(!loops.is_empty() && sum(&loops) < sum(&all));
}

#[test]
fn wrong_requests_exit_2_and_say_what_was_expected() {
    let folder = Folder::report("wrong", "smallest.plan", 0);
    let trace = folder.path("trace.bin");
    std::fs::write(folder.path("cut.bin"), [0; 65]).expect("writable");
    let mut cut = std::fs::read(trace).expect("the trace");
    cut.truncate(100);
    std::fs::write(folder.path("short.bin"), cut).expect("writable");
    let cases: [(&[&str], &str); 9] = [
        (&[trace, "--kind", "gate.cloze"], "gate.close"),
        (&[trace, "--device", "nosuch"], "edu0"),
        (&[trace, "--from", "soon"], "500us"),
        (&[trace, "--format", "folded", "--kind", "gate"], "expected --thread, --cpu, --from or --to"),
        (&[trace, "--cpu", "many"], "many"),
        (&[folder.path("cut.bin")], "record 1"),
        (&[folder.path("short.bin")], "record 2"),
        (&["/nonexistent.bin"], "cannot read /nonexistent.bin"),
        (&[trace, "--out", "/nonexistent/file"], "cannot write"),
    ];
    for (more, hint) in cases {
        let mut arguments = vec!["trace"];
        arguments.extend(more);
        let output = workgate(&arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {told}");
        assert!(told.contains(hint), "{more:?}: {told}");
    }
}

#[test]
fn shells_and_manual_know_every_command() {
    let folder = Folder::new("man");
    let output = workgate(&["man", folder.path("")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let help = text(&workgate(&["--help"]).stdout);
    let (_, commands) = help.split_once("Commands:").expect("a list of commands");
    let words: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.starts_with("Options"))
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect();
    assert!(words.contains(&"run") && words.contains(&"trace"), "{words:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&workgate(&["completions", shell]).stdout);
        assert!(words.iter().all(|word| script.contains(word)), "{shell}");
    }
    for word in words.iter().filter(|word| **word != "help") {
        assert!(folder.read(&format!("workgate-{word}.1")).starts_with(".ie"), "{word}");
    }
    assert_eq!(workgate(&["completions", "tcsh"]).status.code(), Some(2));
    assert_eq!(workgate(&["man", "/dev/null/pages"]).status.code(), Some(2));
}

#[test]
fn a_mistyped_command_or_option_is_answered_with_the_right_one() {
    for (arguments, hint) in [(&["rum"][..], "run"), (&["trace", "x", "--devise", "edu0"], "--device")] {
        let output = workgate(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(hint), "{}", text(&output.stderr));
    }
}
