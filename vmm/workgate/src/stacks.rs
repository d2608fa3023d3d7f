//! `workgate stacks`: every thread of a core with its stack; and `workgate image`, which gives debuggers the built-in image.

use crate::cli::{DebugArgs, ImageArgs, StacksArgs};
use crate::exit::{Exit, Failure};
use inspect::core::Core;
use inspect::symbols::Names;
use serde_json::json;
use std::path::Path;
use vmm::CoreFile;

/// Prints every thread's stack, and who has which gate.
pub fn stacks(args: &StacksArgs) -> Result<Exit, Failure> {
    let name = args.core.display();
    let file = std::fs::File::open(&args.core)
        .map_err(|error| Failure::request(format_args!("cannot open the core {name}: {error}")))?;
    let core = Core::read(Box::new(file))
        .map_err(|error| Failure::request(format_args!("the core {name}: {error}")))?;
    let image = args.image.as_deref().map(|path| crate::load::bytes("image", path)).transpose()?;
    let table = inspect::stacks::table_in(&core);
    let names = match (&image, &args.image) {
        (Some(image), Some(path)) => named(image, path)?,
        _ => Names::of_table(&table),
    };
    if args.json {
        crate::output::println(&crate::run::to_json(&document(&core, &names))?)?;
    } else {
        crate::output::print(&inspect::stacks::render(&core, &names))?;
    }
    Ok(Exit::Held)
}

fn named<'a>(image: &'a [u8], path: &Path) -> Result<Names<'a>, Failure> {
    Names::new(image).filter(|names| !names.is_empty()).ok_or_else(|| {
        let path = path.display();
        Failure::request(format_args!(
            "the image {path} names no functions; expected an ELF file with symbols"
        ))
    })
}

fn document(core: &Core, names: &Names<'_>) -> serde_json::Value {
    let threads = core.about.threads.iter().map(|thread| {
        let frames = inspect::stacks::frames(core, thread, names);
        let frames = frames.into_iter().map(|(address, name)| json!({"address": address, "function": name}));
        let mut told = json!(thread);
        told["frames"] = frames.collect();
        told
    });
    json!({
        "plan": core.about.plan, "time": core.about.time, "reason": core.about.reason,
        "threads": threads.collect::<Vec<_>>(),
    })
}

/// Writes the built-in image.
pub fn image(args: &ImageArgs) -> Result<Exit, Failure> {
    let image = if args.debug { guest_image::DEBUG_IMAGE } else { guest_image::IMAGE };
    std::fs::write(&args.file, image)
        .map_err(|error| Failure::request(format_args!("cannot write {}: {error}", args.file.display())))?;
    Ok(Exit::Held)
}

/// Where a core of a machine with this plan goes, if one is wanted.
pub fn core_file(args: &DebugArgs, plan: &str) -> Result<Option<CoreFile>, Failure> {
    let file = args.core.as_deref().map(|path| CoreFile::new(path, plan)).transpose();
    file.map_err(|what| Failure::request(format_args!("--core {what}")))
}

/// What became of the core: a line for people, or why there is none.
pub fn told(core: Option<&Result<vmm::Written, String>>) -> Result<Option<String>, Failure> {
    match core {
        None => Ok(None),
        Some(Ok(written)) => {
            let vmm::Written { path, threads, stored, took, .. } = written;
            let (path, kib, ms) = (path.display(), stored >> 10, took.as_millis());
            Ok(Some(format!(
                "core: {path}: {threads} threads and {kib} KiB of memory, written in {ms} ms; `workgate stacks {path}` prints it\n"
            )))
        }
        Some(Err(what)) => Err(Failure::request(what)),
    }
}
