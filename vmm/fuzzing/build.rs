//! Embeds the plans of tests/scenarios: they are the seeds of the corpora, so that whoever has the program has them.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fmt::Write, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../tests/scenarios").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "plan"));
    // The order of a folder is nobody's promise, and the order of seeds is part of what a number means.
    paths.sort();
    let mut text = String::from("&[\n");
    for path in &paths {
        let name = path.file_name().ok_or("a file without a name")?;
        writeln!(
            text,
            "({:?}, include_str!({:?})),",
            name.display().to_string(),
            path.display().to_string()
        )?;
    }
    text.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("scenarios.rs"), text)?;
    Ok(())
}
