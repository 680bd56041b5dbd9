//! The last lines of what happened, shown when a test fails.

use std::collections::VecDeque;
use std::env;

/// How many lines are kept, unless `TUNSTACK_TRANSCRIPT` in the environment says otherwise.
const LINES: usize = 60;

/// A bounded log that prints itself when the test that owns it panics.
pub struct Transcript {
    lines: VecDeque<String>,
    most: usize,
    left_out: usize,
}

impl Default for Transcript {
    fn default() -> Self {
        let asked = env::var("TUNSTACK_TRANSCRIPT").ok();
        let most = asked.and_then(|number| number.parse().ok());
        Self { lines: VecDeque::new(), most: most.unwrap_or(LINES), left_out: 0 }
    }
}

impl Transcript {
    /// Adds a line; the oldest goes when there are too many.
    pub fn note(&mut self, line: String) {
        if self.lines.len() >= self.most {
            self.lines.pop_front();
            self.left_out += 1;
        }
        self.lines.push_back(line);
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("--- what happened ({} earlier lines left out)", self.left_out);
        for line in &self.lines {
            eprintln!("{line}");
        }
        eprintln!("---");
    }
}
