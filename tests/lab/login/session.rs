//! What somebody does who logs in to a Linux, and what must come back.

use super::line::Line;
use crate::error::LabError;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Who logs in.
const USER: &str = "root";
/// The password, the prompt, and the host's name: the first file system makes what it is told of them on the kernel's command line.
pub const PASSWORD: &str = "sesame";
pub const PROMPT: &str = "wg>";
pub const HOST: &str = "guest";
/// The shell asks the terminal where its cursor is. Nobody here has one.
const QUERY: &str = "\x1b[6n";
/// How long it takes somebody to remember it.
const THOUGHT: Duration = Duration::from_secs(2);
/// XOFF and XON, by which Linux asks whoever types to stop while its buffers are full, and to go on.
const STOP: char = '\x13';
const GO: char = '\x11';
/// Lines that are pasted at once, each of [`WIDTH`] characters: many times what the serial port holds, and as much as Linux's own buffers do.
const PASTED: usize = 48;
const WIDTH: usize = 64;

fn wrong<T>(what: impl Into<String>) -> Result<T, LabError> {
    Err(LabError::Failed(what.into()))
}

/// `came` must be `right`; `what` is it.
pub fn same(what: &str, came: &str, right: &str) -> Result<(), LabError> {
    if came == right {
        println!("login: {what}");
        return Ok(());
    }
    let common = came.bytes().zip(right.bytes()).take_while(|(a, b)| a == b).count();
    let from =
        |text: &str| String::from_utf8_lossy(&text.as_bytes()[common..]).chars().take(80).collect::<String>();
    wrong(format!(
        "{what}: {} bytes came and {} are right; from byte {common} on came {:?} and not {:?}",
        came.len(),
        right.len(),
        from(came),
        from(right)
    ))
}

/// Says who it is, and comes to a shell.
pub fn log_in(line: &mut Line) -> Result<(), LabError> {
    line.until(&format!("{HOST} login: "))?;
    line.say(&format!("{USER}\r"))?;
    same("the name is echoed", &line.until("Password: ")?, &format!("{USER}\r\n"))?;
    // It asks first, and then switches the echo off: a person is never as quick.
    std::thread::sleep(THOUGHT);
    line.say(&format!("{PASSWORD}\r"))?;
    let greeting = line.until(PROMPT)?;
    match greeting.contains(PASSWORD) {
        true => wrong("the password is echoed"),
        false => Ok(()),
    }
}

/// Types a command, which must be echoed as it is.
pub fn command(line: &mut Line, command: &str) -> Result<(), LabError> {
    line.say(&format!("{command}\r"))?;
    let echo = line.until("\r\n")?;
    let echo = echo.strip_prefix(QUERY).unwrap_or(&echo);
    match echo == command {
        true => Ok(()),
        false => wrong(format!("{command:?} is echoed as {echo:?}")),
    }
}

/// Types a command and gives its answer, lines with `\n` behind them.
pub fn ask(line: &mut Line, words: &str) -> Result<String, LabError> {
    command(line, words)?;
    Ok(line.until(PROMPT)?.replace("\r\n", "\n"))
}

/// The answer to `words` must be `right`.
fn answers(line: &mut Line, words: &str, right: &str) -> Result<(), LabError> {
    let came = ask(line, words)?;
    same(&format!("{words} says {}", right.trim_end().replace('\n', " ")), &came, right)
}

/// What this Linux knows of its machine: two processors, and `edu` in slot 1.
pub fn look_around(line: &mut Line, kernel: &str) -> Result<(), LabError> {
    answers(line, "uname -r", &format!("{kernel}\n"))?;
    answers(line, "grep -c ^processor /proc/cpuinfo", "2\n")?;
    answers(line, "cd /sys/bus/pci/devices; cat 0000:01:00.0/vendor", "0x1234\n")?;
    answers(line, "cat 0000:01:00.0/device", "0x11e8\n")?;
    answers(line, "cat 0000:01:00.0/class; cd", "0x00ff00\n")?;
    answers(line, "tty", "/dev/ttyS0\n")
}

/// A text of many lines comes at once: the terminal echoes all of it, and the file gets all of it.
pub fn paste(line: &mut Line) -> Result<(), LabError> {
    let lines = (0..PASTED).map(|n| {
        let head = format!("{n:03} ");
        let letters = (b'a'..=b'z').cycle().skip(n).take(WIDTH - head.len()).map(char::from);
        head + &letters.collect::<String>()
    });
    let text: String = lines.map(|line| line + "\n").collect();
    // The shell edits its own line, and echoes it itself, until it starts the command.
    command(line, "echo now; cat > pasted")?;
    line.until("now\r\n")?;
    line.say(&text.replace('\n', "\r"))?;
    let last = text.lines().next_back().unwrap_or_default();
    let echo = line.until(last)? + last + &line.until("\n")? + "\n";
    // A terminal takes these for itself. Nobody stops here: what Linux has not read yet waits for it.
    let echo = echo.replace([STOP, GO], "");
    same("a paste of 3 KiB is echoed whole", &echo, &text.replace('\n', "\r\n"))?;
    line.say("\x04")?;
    line.until(PROMPT)?;
    same("and is in the file", &ask(line, "cat pasted")?, &text)
}

/// A key ends what runs; who leaves is asked for a name again.
pub fn interrupt_and_come_back(line: &mut Line) -> Result<(), LabError> {
    command(line, "echo now; cat")?;
    line.until("now\r\n")?;
    // What comes a second time comes from the command: the terminal is its own by then.
    line.say("here\r")?;
    line.until("here\r\nhere\r\n")?;
    line.say("\x03")?;
    same("control-C ends a command", &line.until(PROMPT)?, "^C\r\n")?;
    command(line, "exit")?;
    log_in(line)?;
    println!("login: who leaves is asked for a name again");
    Ok(())
}

/// What the shell's `count` prints, and what comes behind it.
pub fn counted(word: &str, numbers: RangeInclusive<usize>) -> String {
    numbers.map(|n| format!("{word} {n}\r\n")).collect::<String>() + PROMPT + QUERY
}

/// Switches the machine off, whose last words are taken.
pub fn switch_off(line: &mut Line) -> Result<(), LabError> {
    command(line, "poweroff")?;
    line.rest().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_from_where_it_does() {
        assert!(same("a", "one\n", "one\n").is_ok());
        let error = same("a", "line 1\nlime 2", "line 1\nline 2\n").expect_err("they differ").to_string();
        assert!(
            error
                .contains("13 bytes came and 14 are right; from byte 9 on came \"me 2\" and not \"ne 2\\n\""),
            "{error}"
        );
        assert!(same("a", "", "x").is_err() && same("a", "x", "").is_err());
    }
}
