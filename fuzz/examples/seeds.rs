//! Writes the seed corpus, made from tests/scenarios, into fuzz/corpus: the texts for `plan_text`, the cases that are most like them for `teardown`.
#![forbid(unsafe_code)]

use devices::fault::plan::Plan;
use std::{error::Error, fs, path::Path};
use workgate_fuzz::case::Case;

/// Schedules for each scenario.
const SCHEDULES: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [texts, cases] = ["plan_text", "teardown"].map(|target| here.join("corpus").join(target));
    for folder in [&texts, &cases, &here.join("corpus/pci")] {
        fs::create_dir_all(folder)?;
    }
    let mut written = 0;
    for entry in fs::read_dir(here.join("../tests/scenarios"))? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let plan = Plan::parse(&name, &text).map_err(|errors| format!("{}: {errors:?}", path.display()))?;
        fs::write(texts.join(&name), &text)?;
        for seed in 0..SCHEDULES {
            fs::write(cases.join(format!("{name}-{seed}")), Case::like(&plan, seed).to_bytes())?;
        }
        written += 1;
    }
    println!("seeds of {written} scenarios");
    Ok(())
}
