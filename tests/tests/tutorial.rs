//! The tutorial is true: its files build outside of the workspace and run on both machines, and the mistakes that it names are found.

use devices::fault::plan::Plan;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use verdict::{Ended, Verifier};

/// What the removal forgets in the first mistake.
const WAKEUPS: &str = "            self.gate.command_wakeup(self.done, false);
            self.gate.command_wakeup(self.free, false);
        });
";

/// Where the second mistake goes.
const WILL_TERMINATE: &str =
    "    fn will_terminate(&self, _me: &ServiceRef, _nub: &ServiceRef, _options: Options) {\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is in a folder of the workspace")
        .to_owned()
}

/// The files of the tutorial by path, and its shell commands for one's own machine.
struct Tutorial {
    files: BTreeMap<String, String>,
    commands: String,
}

fn tutorial() -> Tutorial {
    let text = fs::read_to_string(root().join("docs/write-a-driver.md")).expect("the tutorial");
    let mut tutorial = Tutorial { files: BTreeMap::new(), commands: String::new() };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: String = lines.by_ref().take_while(|l| *l != "```").flat_map(|l| [l, "\n"]).collect();
        match info.split_once(" file=") {
            Some((_, file)) => *tutorial.files.entry(file.to_owned()).or_default() += &block,
            // The first commands; the others need KVM.
            None if info == "sh" && tutorial.commands.is_empty() => tutorial.commands = block,
            None => {}
        }
    }
    tutorial
}

/// A folder with the crate in `tutor`, and Workgate in `workgate`; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(tutorial: &Tutorial, name: &str) -> Self {
        // The same name each time, so that cargo finds what it built the last time; another one for another copy of Workgate.
        let mut hasher = DefaultHasher::new();
        root().hash(&mut hasher);
        let folder = std::env::temp_dir().join(format!("workgate-{name}-{:016x}", hasher.finish()));
        _ = fs::remove_dir_all(&folder);
        let folder = Self(folder);
        for (file, text) in &tutorial.files {
            folder.write(file, text);
        }
        std::os::unix::fs::symlink(root(), folder.0.join("workgate")).expect("a link to the workspace");
        folder
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join("tutor").join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        fs::write(path, text).expect("a new file");
    }

    /// Runs `commands` in the crate's folder, offline, with the target folder of this build: its dependencies are there already.
    fn run(&self, commands: &str) -> Output {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
        Command::new("sh")
            .args(["-e", "-c", commands])
            .current_dir(self.0.join("tutor"))
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", target)
            .output()
            .expect("a shell")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_tutorials_driver_builds_and_bears_the_removal_and_its_mistakes_are_found() {
    let tutorial = tutorial();
    let names: Vec<_> = tutorial.files.keys().map(String::as_str).collect();
    let expected = [
        "Cargo.toml",
        "examples/run.rs",
        "removal.plan",
        "src/client.rs",
        "src/driver.rs",
        "src/engine.rs",
        "src/lib.rs",
    ];
    assert_eq!(names, expected);
    let folder = Folder::new(&tutorial, "tutorial");

    let output = folder.run(&tutorial.commands);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.starts_with("100 schedules passed"), "{out}\n{err}");
    assert!(!err.contains("warning: unused"), "{err}");

    let engine = &tutorial.files["src/engine.rs"];
    assert_eq!(engine.matches(WAKEUPS).count(), 1);
    folder.write("src/engine.rs", &engine.replace(WAKEUPS, "        });\n"));
    assert_found(&folder, &tutorial, &["io-lost", "never-quiet"]);
    folder.write("src/engine.rs", engine);

    let driver = &tutorial.files["src/driver.rs"];
    assert_eq!(driver.matches(WILL_TERMINATE).count(), 1);
    let close = format!("{WILL_TERMINATE}        _nub.close(_me, Options::empty());\n");
    folder.write("src/driver.rs", &driver.replace(WILL_TERMINATE, &close));
    assert_found(&folder, &tutorial, &["close-before-return"]);
}

/// The image is built as the page says, by the package that has it; the command around it would take all of a release build.
#[test]
fn the_tutorials_driver_bears_the_removal_in_the_guests_image_on_kvm() {
    let slow_down = match vmm::probe::quick() {
        Ok(host) => host.slow_down,
        Err(error) => {
            assert!(error.is_host(), "{error}");
            return println!("skipped: {error}");
        }
    };
    let tutorial = tutorial();
    let folder = Folder::new(&tutorial, "tutorial-kvm");
    let image = image_with(&folder);
    // How long things may take is the business of hosts that keep time.
    let timeless = |line: &&str| !(line.starts_with("expect") && line.contains("within="));
    let text: String =
        tutorial.files["removal.plan"].lines().filter(timeless).flat_map(|l| [l, "\n"]).collect();
    let plan = Plan::parse("removal.plan", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut verifier = Verifier::new(&plan).of_shared_time();
    let options = vmm::Options { slow_down, ..vmm::Options::default() };
    let outcome = vmm::run(&plan, &image, &options, &mut |event| verifier.event(event));
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.ending, vmm::Ending::PowerOff, "{}", outcome.describe());
    let verdict = verifier.finish(Ended::Done);
    let told = verdict::render(&verdict);
    assert!(verdict.passed, "{told}\n{}", outcome.describe());
    for part in ["unplug of card", "replug card", ".willTerminate(card@", "offline"] {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
}

/// The guest's image with the driver crate in it.
fn image_with(folder: &Folder) -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image-with-driver");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--offline", "--package", "guest-image", "--manifest-path"])
        // By the path by which the driver knows the workspace: to cargo another one would be another workspace.
        .arg(folder.0.join("workgate/Cargo.toml"))
        .current_dir(&folder.0)
        .env("WORKGATE_DRIVER", folder.0.join("tutor"))
        // What is shown needs no quick kernel, and this one is made for one run.
        .env("CARGO_PROFILE_GUEST_OPT_LEVEL", "1")
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = fs::read_dir(target.join("debug/build")).expect("what was built");
    let images = built.map(|entry| entry.expect("a folder").path().join("out/workgate-guest.elf"));
    let newest = images
        .filter(|path| path.exists())
        .max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).expect("a file has a time"));
    fs::read(newest.expect("an image")).expect("the image")
}

fn assert_found(folder: &Folder, tutorial: &Tutorial, rules: &[&str]) {
    let output = folder.run(&tutorial.commands);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    for rule in rules {
        assert!(err.contains(&format!("BROKEN {rule}")), "{rule} is not in:\n{err}");
    }
}
