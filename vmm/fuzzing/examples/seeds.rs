//! Writes the seed corpus of each target of cargo-fuzz, made from tests/scenarios, into fuzz/corpus.
#![forbid(unsafe_code)]

use fuzzing::targets::{self, Setting};
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for name in targets::names() {
        let folder = corpus.join(name);
        fs::create_dir_all(&folder)?;
        let seeds = targets::of(name, Setting::default())?.seeds();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{name}: {} seeds", seeds.len());
    }
    Ok(())
}
