//! The documentation and the scenarios speak the language that the parser reads.

use crate::catalogue;
use crate::fault::plan::{Plan, render, words};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The plan, which must also suit the models.
fn parse(name: &str, text: &str) -> Plan {
    let plan = Plan::parse(name, text).unwrap_or_else(|errors| panic!("{}", render(&errors, text, false)));
    let errors = catalogue::check(&plan);
    assert!(errors.is_empty(), "{}", render(&errors, text, false));
    plan
}

#[test]
fn the_examples_of_the_documentation_parse() {
    let page = std::fs::read_to_string(root().join("docs/plans.md")).expect("docs/plans.md is there");
    let examples: Vec<&str> =
        page.split("```plan\n").skip(1).map(|part| part.split("```").next().unwrap_or("")).collect();
    assert!(examples.len() > 10, "only {} examples", examples.len());
    for (n, example) in examples.iter().enumerate() {
        parse(&format!("docs/plans.md, example {}", n + 1), example);
    }
    let all = examples.concat();
    for word in words::STATEMENTS.iter().chain(words::ACTIONS).chain(words::EXPECTATIONS) {
        assert!(all.split_whitespace().any(|w| w == *word), "no example of `{word}`");
    }
    for word in words::LATER_ACTIONS {
        assert!(page.contains(&format!("`{word}`")), "`{word}` is not mentioned");
    }
}

#[test]
fn the_scenarios_parse_and_are_canonical() {
    let folder = std::fs::read_dir(root().join("tests/scenarios")).expect("tests/scenarios is there");
    let mut seen = 0;
    for entry in folder {
        let path = entry.expect("a folder entry").path();
        if path.extension().is_none_or(|e| e != "plan") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable plan");
        let name = path.file_name().expect("a file name").to_string_lossy();
        assert_eq!(parse(&name, &text).to_string(), text, "{name} is not in canonical form");
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} scenarios");
}
