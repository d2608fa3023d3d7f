//! The pages of reports in headless Chromium. Where there is none, that is said and nothing is tested.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What Chromium is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with a profile and files of its own, which go with it.
struct Browser {
    name: &'static str,
    folder: PathBuf,
}

impl Browser {
    fn new(test: &str) -> Option<Self> {
        let is_there =
            |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        let Some(name) = NAMES.iter().find(is_there) else {
            println!("skipped: there is no Chromium ({})", NAMES.join(", "));
            return None;
        };
        let folder = std::env::temp_dir().join(format!("workgate-browser-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a writable temporary folder");
        Some(Self { name, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Opens a page in a window of this size; what the browser prints.
    fn open(&self, page: &Path, (width, height): (u32, u32), more: &[String]) -> Output {
        let output = Command::new(self.name)
            // The page is our own, and a sandbox needs what containers do not give.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--enable-logging=stderr",
                "--virtual-time-budget=2000",
            ])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", self.path("profile").display()))
            .args(more)
            .arg(format!("file://{}", page.display()))
            .output()
            .expect("the browser starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }

    /// The page's elements once its script has run, and what the console says: errors of scripts, and what the page's policy forbids.
    fn elements(&self, page: &Path, size: (u32, u32)) -> (String, Vec<String>) {
        let output = self.open(page, size, &["--dump-dom".to_owned()]);
        let console =
            text(&output.stderr).lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        (text(&output.stdout), console)
    }

    /// A picture of the page, for somebody who prefers light (1) or dark (0).
    fn picture(&self, page: &Path, scheme: u8) -> Vec<u8> {
        let file = self.path("picture.png");
        let more = [
            format!("--blink-settings=preferredColorScheme={scheme}"),
            format!("--screenshot={}", file.display()),
        ];
        self.open(page, (900, 600), &more);
        let picture = std::fs::read(&file).expect("a picture");
        std::fs::remove_file(&file).expect("it is ours");
        picture
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A folder left behind in the temporary one does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The page of a report that this command writes.
fn report(folder: &Path, arguments: &[&str]) -> PathBuf {
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/close-early.plan");
    let report = folder.join("report");
    let output = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(arguments)
        .args([&plan, Path::new("--report"), &report])
        .current_dir(folder)
        .output()
        .expect("the command starts");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    report.join("report.html")
}

/// Height in pixels of all lanes together, as the page's script has set it.
fn height(elements: &str) -> u32 {
    let (_, room) = elements.split_once("<div id=\"room\"").expect("the time line");
    let (room, _) = room.split_once('>').expect("its end");
    let (_, height) = room.split_once("style=\"height: ").expect("the script ran");
    height.split_once("px").and_then(|(number, _)| number.parse().ok()).expect("pixels")
}

#[test]
fn the_page_of_a_run_draws_its_lanes_and_asks_for_nothing() {
    let Some(browser) = Browser::new("run") else { return };
    let page = report(&browser.folder, &["run", "--machine", "sim"]);
    for size in [(1300, 900), (380, 800)] {
        let (elements, console) = browser.elements(&page, size);
        assert_eq!(console, Vec::<String>::new());
        // Two dozen threads ran, and each has a lane of 18 pixels.
        assert!(height(&elements) > 24 * 18, "{}", height(&elements));
    }
    // What the policy forbids would be seen.
    let evil = browser.path("evil.html");
    let text = std::fs::read_to_string(&page).expect("the page");
    std::fs::write(&evil, text.replace("<body>", "<body><img src=\"file:///nonexistent.png\">"))
        .expect("writable");
    let (_, console) = browser.elements(&evil, (900, 600));
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");
}

/// What the page, scrolled down by so many pixels, tells of the lane at this height (pixels from the time line's top) where it was busy first.
fn told(browser: &Browser, page: &Path, scrolled: u32, y: u32) -> String {
    let script = format!(
        "<script>{{const line = document.getElementById('line'), told = document.getElementById('told');\
         document.getElementById('frame').scrollTop = {scrolled};\
         const box = line.getBoundingClientRect();\
         for (let x = 190; x < box.width && !told.textContent.includes(' for '); x++)\
         line.dispatchEvent(new PointerEvent('pointermove', {{ clientX: box.left + x, clientY: box.top + {y} }}));}}</script></body>"
    );
    let copy = browser.path("told.html");
    let text = std::fs::read_to_string(page).expect("the page");
    std::fs::write(&copy, text.replace("</body>", &script)).expect("writable");
    let (elements, console) = browser.elements(&copy, (1300, 500));
    assert_eq!(console, Vec::<String>::new());
    let (_, told) = elements.split_once("<span id=\"told\">").expect("what lies under the pointer");
    told.split_once('<').expect("its end").0.to_owned()
}

/// Machine times (ns) of the first two events that these filters let through.
fn times(report: &Path, filters: &[&str]) -> Vec<f64> {
    let output = Command::new(env!("CARGO_BIN_EXE_workgate"))
        .args(["trace", "--format", "json", "--limit", "2"])
        .args(filters)
        .arg(report)
        .output()
        .expect("the command starts");
    let event = |line: &str| -> serde_json::Value { serde_json::from_str(line).expect("JSON") };
    text(&output.stdout).lines().map(|line| event(line)["time"].as_f64().expect("a time")).collect()
}

#[test]
fn the_page_tells_what_lies_under_the_pointer() {
    let Some(browser) = Browser::new("told") else { return };
    let page = report(&browser.folder, &["run", "--machine", "sim"]);
    // Below the axis (24 pixels) and two heads (22) come the plan's lane (18) and that of the first CPU, in its middle.
    let first = 24 + 22 + 18 + 22 + 9;
    let cpu = told(&browser, &page, 0, first);
    let folder = page.parent().expect("a folder");
    let ready = times(folder, &["--kind", "boot.ready"])[0];
    let ran = times(folder, &["--kind", "thread.dispatch", "--cpu", "0"]);
    let stretch = format!("cpu0: first from {}us for {}us", (ran[0] - ready) / 1e3, (ran[1] - ran[0]) / 1e3);
    assert!(cpu.ends_with(&stretch), "{cpu}, not {stretch}");
    // The axis stays where it is, and the next lane comes to this place.
    let interrupts = told(&browser, &page, 18, first);
    assert!(interrupts.contains("cpu0 interrupts: vector "), "{interrupts}");
}

#[test]
fn pages_follow_the_choice_of_light_or_dark() {
    let Some(browser) = Browser::new("schemes") else { return };
    let page = report(&browser.folder, &["run", "--machine", "sim"]);
    let light = browser.picture(&page, 1);
    assert!(light.starts_with(b"\x89PNG") && light.len() > 4_096);
    assert!(light == browser.picture(&page, 1), "the same page looks the same");
    assert!(light != browser.picture(&page, 0), "dark is as light");
}

#[test]
fn the_page_of_a_campaign_needs_no_script() {
    let Some(browser) = Browser::new("campaign") else { return };
    let page = report(&browser.folder, &["explore", "--schedules", "2", "--no-shrink"]);
    let (elements, console) = browser.elements(&page, (1300, 900));
    assert_eq!(console, Vec::<String>::new());
    assert!(elements.contains("close-before-return") && !elements.contains("<script"));
    assert!(browser.picture(&page, 1) != browser.picture(&page, 0), "dark is as light");
}
