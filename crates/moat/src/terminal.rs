//! Lines for whoever reads standard output and standard error, who may have gone away: `println!` would panic then.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Prints a line; ends the program where nobody reads on.
macro_rules! say {
    ($($text:tt)*) => { $crate::terminal::line(format_args!($($text)*)) };
}

/// Prints a line on standard error, if somebody reads it.
macro_rules! complain {
    ($($text:tt)*) => { $crate::terminal::complaint(format_args!($($text)*)) };
}

pub(crate) use {complain, say};

/// Exit code where standard output cannot be written, as on a full disk.
const EXIT_NOT_WRITTEN: i32 = 1;

/// Prints a line. Whoever reads only the first ones, as `head` does, ends the program in silence.
pub(crate) fn line(text: Arguments<'_>) {
    print(format_args!("{text}\n"));
}

/// Clears the screen.
pub(crate) fn clear() {
    print(format_args!("\x1b[2J\x1b[H"));
}

fn print(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        complain!("moat: {error}");
        std::process::exit(EXIT_NOT_WRITTEN);
    }
}

/// Prints a line on standard error. What cannot be said there can be said nowhere.
pub(crate) fn complaint(text: Arguments<'_>) {
    let _unheard = writeln!(std::io::stderr().lock(), "{text}");
}
